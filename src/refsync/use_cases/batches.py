"""Batches: seen, sealed, let go on, given up, undone."""

from __future__ import annotations

from collections.abc import Iterable

from refsync.application import Application
from refsync.errors import RequestError
from refsync.pending_queue.models import (
    Actor,
    Batch,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueueFilter,
)
from refsync.sync.reverting import plan_reversal
from refsync.sync.sealing import seal_now
from refsync.use_cases.answer import Answer, AnswerOf


class Batches(AnswerOf[list[Batch]]):
    """Batches by number."""


class RevertingChange(Answer):
    """A change that undoes another batch."""

    change_id: int
    status: PendingChangeStatus
    batch_id: int | None


class BatchWithChanges(Batch):
    """A batch with its changes, the batches that it reverts, and the changes that revert it."""

    changes: list[PendingChangeRecord]
    reverts: list[int]
    reverted_by: list[RevertingChange]


class Reversal(Answer):
    """What was submitted to undo a batch, and a line for each thing that a reviewer has to know of it.

    With ``conflicts`` (a line each) nothing was submitted.
    """

    changes: list[PendingChangeRecord]
    remarks: list[str]
    conflicts: list[str]


def list_batches(application: Application) -> Batches:
    """All batches."""
    return Batches(application.queue.list_batches())


def show_batch(application: Application, number: int) -> BatchWithChanges:
    """One batch with its changes.

    Raises:
        BatchNotFoundError: there is none with this number.
    """
    batch = application.queue.get_batch(number)
    changes = application.queue.changes_of_batch(number)
    return BatchWithChanges(
        **dict(batch), changes=changes, reverts=_reverted(changes), reverted_by=_reverting(application, number)
    )


def seal_batch(application: Application, *, actor: Actor) -> Batches:
    """Fix the open batch's set of changes, one batch for each repository that it touches.

    Raises:
        RequestError: no batch is open.
    """
    sealed = seal_now(application.queue, application.repositories, actor=actor)
    if not sealed:
        raise RequestError("no batch is open; approve a change first: refsync queue approve ID --title TEXT")
    return Batches(sealed)


def retry_batch(application: Application, number: int, *, actor: Actor, confirmed: bool = False) -> Batch:
    """Let a held batch be worked on again; ``confirmed`` where it is held for how much it deletes.

    Raises:
        NotAllowedError: the actor may not review one of its changes.
        BatchNotFoundError: there is none with this number.
        BatchStateError: it is not held, or is to be confirmed, or not.
    """
    return application.queue.retry_batch(number, actor=actor, confirmed=confirmed)


def abandon_batch(application: Application, number: int, *, reason: str, actor: Actor) -> Batch:
    """Give a held or proposed batch up; its changes are rejected with the reason.

    Raises:
        BatchNotFoundError: there is none with this number.
        BatchStateError: it is neither held nor proposed.
    """
    return application.queue.abandon_batch(number, reason=reason, actor=actor)


def revert_batch(application: Application, number: int, *, actor: Actor) -> Reversal:
    """Submit what undoes a landed batch, to be reviewed like any change; later edits of other fields stay.

    Raises:
        BatchNotFoundError: there is none with this number.
        RefsyncError: it cannot be reverted, or what undoes it is refused.
    """
    reversal = plan_reversal(application.queue, application.tips(), number, actor=actor)
    if reversal.conflicts:
        return Reversal(changes=[], remarks=list(reversal.remarks), conflicts=list(reversal.conflicts))
    changes = application.queue.enqueue_many(reversal.submissions)
    return Reversal(changes=changes, remarks=list(reversal.remarks), conflicts=[])


def _reverted(changes: Iterable[PendingChangeRecord]) -> list[int]:
    """The batches that these changes revert; what was rejected does not count."""
    standing = (change for change in changes if change.status is not PendingChangeStatus.REJECTED)
    return sorted({change.reverts for change in standing if change.reverts is not None})


def _reverting(application: Application, number: int) -> list[RevertingChange]:
    standing = set(PendingChangeStatus) - {PendingChangeStatus.REJECTED}
    page = application.queue.list_changes(queue_filter=PendingQueueFilter(reverts=number, statuses=standing))
    return [
        RevertingChange(change_id=each.change_id, status=each.status, batch_id=each.batch_id) for each in page.items
    ]
