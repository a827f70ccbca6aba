"""Approved changes applied now: their batch is sealed and the daemon woken, and what became of them is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from refsync.application import Application
from refsync.errors import BatchNotFoundError, ChangeStateError, RequestError, UnservedError
from refsync.pending_queue.holds import tell
from refsync.pending_queue.lifecycle import ACCEPTED_STATUSES
from refsync.pending_queue.models import (
    Actor,
    Batch,
    BatchSplitInfo,
    BatchState,
    PendingChangeRecord,
    PendingChangeStatus,
)
from refsync.sync.sealing import holder_of
from refsync.use_cases.answer import Sparse
from refsync.use_cases.serving import is_served

_S = PendingChangeStatus


@dataclass(frozen=True)
class Begun:
    """What is being applied, and the split that this took."""

    change_ids: tuple[int, ...]
    split: BatchSplitInfo | None = None


class ProposedAs(Sparse):
    """Where a batch waits for people's review in git."""

    branch: str
    url: str | None


class Applied(Sparse):
    """What became of changes so far.

    A change that failed is at odds with what the reference holds now, or its batch is held; ``failed_error`` says why.
    """

    applied: list[PendingChangeRecord]
    failed_change_id: int | None = None
    failed_error: str | None = None
    failed_error_type: str | None = None
    proposal: ProposedAs | None = None
    batch_split_occurred: bool = False
    batch_split_original_batch_id: int | None = None
    batch_split_new_batch_id: int | None = None
    batch_split_reassigned_count: int | None = None


def begin_batch(application: Application, number: int, *, actor: Actor) -> Begun:
    """Apply what is approved in a batch; nothing where all of it is applied already.

    Raises:
        BatchNotFoundError: there is no such batch, or nothing in it was ever approved.
        UnservedError: no daemon would do it.
    """
    application.queue.get_batch(number)
    changes = application.queue.changes_of_batch(number)
    approved = [change for change in changes if change.status in ACCEPTED_STATUSES]
    if not approved and not any(change.status is _S.APPLIED for change in changes):
        raise BatchNotFoundError(f"batch {number} has no approved change")
    return _begin(application, approved, actor) if approved else Begun(())


def begin_changes(
    application: Application, change_ids: Sequence[int], *, actor: Actor, allow_mixed_batch: bool = False
) -> Begun:
    """Apply approved changes; those of the open batch are split off first where they are not all of it.

    Raises:
        ChangeNotFoundError: an id is unknown.
        ChangeStateError: a change is not approved.
        RequestError: they are of several batches and may not be, or there are none.
        UnservedError: no daemon would do it.
    """
    changes = [application.queue.show_change(change_id) for change_id in dict.fromkeys(change_ids)]
    if not changes:
        raise RequestError("name the changes to apply")
    for change in changes:
        if change.status not in ACCEPTED_STATUSES:
            raise ChangeStateError(f"change {change.change_id} is {change.status}, not approved")
    numbers = sorted({change.batch_id or 0 for change in changes})
    if len(numbers) > 1 and not allow_mixed_batch:
        raise RequestError(
            f"the changes are of batches {', '.join(map(str, numbers))}; apply one at a time, or allow it"
        )
    return _begin(application, changes, actor)


def _begin(application: Application, changes: Sequence[PendingChangeRecord], actor: Actor) -> Begun:
    if not is_served(application):
        raise UnservedError("no daemon serves this store, so nothing is applied now; what is approved stays so")
    batches = _batches(application, changes)
    waiting = [change.change_id for change in changes if batches[change.batch_id or 0].state is BatchState.open]
    split = None
    if waiting:
        repositories = application.repositories
        _, split = application.queue.seal_changes(
            waiting, lambda category: holder_of(repositories, category), actor=actor
        )
    application.state.wake()
    return Begun(tuple(change.change_id for change in changes), split)


def look(application: Application, begun: Begun) -> tuple[Applied, bool]:
    """What has become of the changes so far, and whether nothing more is to be waited for."""
    changes = [application.queue.show_change(change_id) for change_id in begun.change_ids]
    batches = _batches(application, changes)
    outcome: dict[str, object] = {"applied": [change for change in changes if change.status is _S.APPLIED]}
    ready = True
    for change in changes:
        batch = batches.get(change.batch_id or 0)
        if change.status is _S.REJECTED:
            outcome |= _failed(change, change.reject_reason or "", "PendingChangeConflictError")
        elif change.status in ACCEPTED_STATUSES and batch is not None and batch.state is BatchState.held:
            outcome |= _failed(change, tell(batch.hold) if batch.hold else "", "BatchHeldError")
        elif change.status in ACCEPTED_STATUSES and batch is not None and batch.state is BatchState.proposed:
            assert batch.proposal is not None
            outcome |= {"proposal": ProposedAs(branch=batch.proposal.branch, url=batch.proposal.url)}
        elif change.status is not _S.APPLIED:
            ready = False
    return Applied.model_validate({**outcome, **_split(begun.split)}), ready


def _failed(change: PendingChangeRecord, why: str, kind: str) -> dict[str, object]:
    return {"failed_change_id": change.change_id, "failed_error": why, "failed_error_type": kind}


def _split(split: BatchSplitInfo | None) -> dict[str, object]:
    if split is None:
        return {}
    return {
        "batch_split_occurred": True,
        "batch_split_original_batch_id": split.original_batch_id,
        "batch_split_new_batch_id": split.new_batch_id,
        "batch_split_reassigned_count": len(split.reassigned_change_ids),
    }


def _batches(application: Application, changes: Iterable[PendingChangeRecord]) -> dict[int, Batch]:
    numbers = {change.batch_id for change in changes if change.batch_id is not None}
    return {number: application.queue.get_batch(number) for number in numbers}
