"""Which batch a commit of the target branch brought, and for whom.

The store knows which commit a batch landed in, and is asked first. A commit's message is next: another installation's
batch, or a store that was lost. A merge commit has a message of its own; what was merged stands behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from refsync.categories import CategoryName
from refsync.clone.commits import ParsedCommit, parse_message
from refsync.clone.history import LandedCommit
from refsync.clone.messages import merged_messages
from refsync.clone.repository import Repository
from refsync.clone.squashes import parse_quoted
from refsync.errors import BatchNotFoundError
from refsync.pending_queue.models import PendingChangeRecord, PendingChangeStatus
from refsync.pending_queue.queue_door import QueueDoor


@dataclass(frozen=True)
class Brought:
    """A batch, and who asked for and approved what it did to a model, each as ``name <id>``."""

    batch: int
    requested_by: list[str]
    approved_by: list[str]


def batches_behind(
    clone: Repository,
    queue: QueueDoor,
    commits: Collection[LandedCommit],
    category: CategoryName,
) -> Callable[[LandedCommit, str], Brought | None]:
    """What tells of each of the commits which batch it brought to a model; ``None`` for a commit that is a person's."""
    landed = queue.batches_landed_in([commit.sha for commit in commits])

    def brought(commit: LandedCommit, model: str) -> Brought | None:
        told = _told(clone, commit)
        number = landed.get(commit.sha)
        if number is None:
            return _by_message(told)
        if changes := _changes(queue, number, category, model):
            return _by_changes(number, changes)
        return _by_message(told) if told and told.batch == number else Brought(number, [], [])

    return brought


def _changes(queue: QueueDoor, number: int, category: CategoryName, model: str) -> list[PendingChangeRecord]:
    """The changes of a batch to a model; where it names another, whose variant the model may be, all of them."""
    try:
        landed = [each for each in queue.changes_of_batch(number) if each.status is PendingChangeStatus.APPLIED]
    except BatchNotFoundError:  # purged since
        return []
    own = [each for each in landed if each.category == category and model in _models(each)]
    return own or landed


def _models(change: PendingChangeRecord) -> set[str]:
    return {change.model_name, *(change.related_models or ())}


def _by_changes(number: int, changes: Iterable[PendingChangeRecord]) -> Brought:
    requested: dict[str, None] = {}
    approved: dict[str, None] = {}
    for each in changes:
        requested[f"{each.requested_username} <{each.requested_by}>"] = None
        if each.approved_by:
            approved[f"{each.approved_username} <{each.approved_by}>"] = None
    return Brought(number, list(requested), list(approved))


def _by_message(told: ParsedCommit | None) -> Brought | None:
    if told is None:
        return None
    people = [[f"{each.username} <{each.id}>" for each in group] for group in (told.requested_by, told.approved_by)]
    return Brought(told.batch, *people)


def _told(clone: Repository, commit: LandedCommit) -> ParsedCommit | None:
    for message in (commit.message, *merged_messages(clone, commit.sha)):
        if parsed := parse_message(message) or next(parse_quoted(message), None):
            return parsed
    return None
