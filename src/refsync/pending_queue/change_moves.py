"""The moves of changes, each kept in the history; all within a transaction of the caller."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from refsync.errors import BatchStateError, ChangeNotFoundError, ChangeStateError
from refsync.pending_queue.events import ChangesMoved
from refsync.pending_queue.lifecycle import OPEN_STATUSES, check_change_move, check_change_status
from refsync.pending_queue.models import (
    REFSYNC,
    Actor,
    Batch,
    BatchState,
    ChangeEvent,
    Member,
    PendingChangeRecord,
    PendingChangeStatus,
    now_ts,
)

if TYPE_CHECKING:
    from refsync.pending_queue.store.transaction import QueueTransaction

_S = PendingChangeStatus

_Change = TypeVar("_Change", PendingChangeRecord, Member)

Why = str | None | Callable[[int], str | None]
"""What the history says of a move; a function says it of each change, by its id."""


def stored_change(queue: QueueTransaction, change_id: int) -> PendingChangeRecord:
    """The change with this id.

    Raises:
        ChangeNotFoundError: there is none.
    """
    change = queue.change(change_id)
    if change is None:
        raise ChangeNotFoundError(f"no change has the id {change_id}; list the queue to see which there are")
    return change


def withdrawable_change(queue: QueueTransaction, change: PendingChangeRecord) -> PendingChangeRecord:
    """The change, whose approval can be withdrawn.

    Raises:
        ChangeStateError: it is not approved.
        BatchStateError: its batch is not open any more.
    """
    check_change_status(change, _S.APPROVED)
    batch = None if change.batch_id is None else queue.batch(change.batch_id)
    if batch is not None and batch.state is not BatchState.open:
        raise BatchStateError(
            f"change {change.change_id} is in batch {batch.number}, which is {batch.state}; "
            "an approval can be withdrawn while the batch is open"
        )
    return change


def submit(queue: QueueTransaction, records: Iterable[PendingChangeRecord]) -> list[PendingChangeRecord]:
    """Store new changes; each names the other open proposals for its model."""
    added = queue.add(records)
    events = [_submission(change) for change in added]
    queue.add_events((change.change_id, event) for change, event in zip(added, events, strict=True))
    queue.tell(ChangesMoved([change], event) for change, event in zip(added, events, strict=True))
    return with_conflicts(queue, added)


def with_conflicts(queue: QueueTransaction, changes: Sequence[PendingChangeRecord]) -> list[PendingChangeRecord]:
    """The changes, each open one naming the other open proposals for its model."""
    proposals = queue.other_proposals(change.change_id for change in changes if change.status in OPEN_STATUSES)

    def with_others(change: PendingChangeRecord) -> PendingChangeRecord:
        others = proposals.get(change.change_id)
        return change if change.conflicts_with == others else change.model_copy(update={"conflicts_with": others})

    return list(map(with_others, changes))


def move(
    queue: QueueTransaction,
    changes: Sequence[_Change],
    to: PendingChangeStatus,
    *,
    actor: Actor,
    why: Why = None,
    **values: Any,
) -> list[_Change]:
    """Bring changes to another status, setting these fields of them too; all or none.

    Raises:
        ChangeStateError: the status of one does not allow the move.
    """
    for change in changes:
        check_change_move(change, to)
    moved = queue.update(changes, {"status": to, "updated_at": now_ts(), **values})
    note(queue, zip(changes, moved, strict=True), actor=actor, why=why)
    return moved


def note(
    queue: QueueTransaction,
    moves: Iterable[tuple[_Change, _Change | None]],
    *,
    actor: Actor,
    why: Why,
) -> None:
    """Append to the histories of stored changes, each given as it was and as it is now, ``None`` where it is purged."""
    alike: dict[tuple[Any, ...], list[_Change]] = {}
    for before, after in moves:
        now = after or before
        reason = why(now.change_id) if callable(why) else why
        alike.setdefault((before.status, after and after.status, reason, now.batch_id), []).append(now)
    for (from_status, to_status, reason, batch_id), changes in alike.items():
        event = _event(actor, from_status=from_status, to_status=to_status, why=reason, batch_id=batch_id)
        queue.add_event((change.change_id for change in changes), event)
        queue.tell([ChangesMoved(list(filter(None, map(_record_of, changes))), event)])


def _record_of(change: PendingChangeRecord | Member) -> PendingChangeRecord | None:
    return change.record if isinstance(change, Member) else change


def approve(
    queue: QueueTransaction, changes: Sequence[PendingChangeRecord], batch: Batch, *, actor: Actor
) -> list[PendingChangeRecord]:
    """Accept pending changes into the open batch."""
    return move(
        queue,
        changes,
        _S.APPROVED,
        actor=actor,
        batch_id=batch.number,
        batch_title=batch.title,
        approved_by=actor.id,
        approved_username=actor.username,
        approved_at=now_ts(),
    )


def withdraw(
    queue: QueueTransaction,
    changes: Sequence[PendingChangeRecord],
    *,
    actor: Actor,
    why: str = "the approval is withdrawn",
) -> list[PendingChangeRecord]:
    """Take approvals back; the changes are as they were before."""
    return move(
        queue,
        changes,
        _S.PENDING,
        actor=actor,
        why=why,
        batch_id=None,
        batch_title=None,
        approved_by=None,
        approved_username=None,
        approved_at=None,
    )


def reject(
    queue: QueueTransaction,
    changes: Sequence[_Change],
    reason: str,
    *,
    actor: Actor,
    batch: Batch | None = None,
) -> list[_Change]:
    """Refuse changes; with a batch, they name that one from now on."""
    joined = {} if batch is None else {"batch_id": batch.number, "batch_title": batch.title}
    return move(
        queue,
        changes,
        _S.REJECTED,
        actor=actor,
        why=reason,
        rejected_by=actor.id,
        rejected_username=actor.username,
        rejected_at=now_ts(),
        reject_reason=reason,
        applied_job_id=None,
        **joined,
    )


def is_reserved(change: PendingChangeRecord | Member, token: str | None) -> bool:
    """Whether the job with this token holds the change."""
    return change.status is _S.APPLYING and change.applied_job_id == token


def check_holder(changes: Iterable[PendingChangeRecord | Member], is_ours: Callable[[str | None], bool]) -> None:
    """See that whoever has reserved one of the changes is us, by the token of the reservation.

    Raises:
        ChangeStateError: another job has one.
    """
    for change in changes:
        if change.status is _S.APPLYING and not is_ours(change.applied_job_id):
            raise ChangeStateError(f"change {change.change_id} is being applied by another job; wait until that ends")


def reserve(queue: QueueTransaction, changes: Sequence[_Change], token: str | None) -> list[_Change]:
    """Lock approved changes for a job, all or none; the same job gets those again that it holds.

    Raises:
        ChangeStateError: one is not approved, or another job holds it.
    """
    free = [change for change in changes if not is_reserved(change, token)]
    check_holder(free, lambda _: False)
    for change in free:
        check_change_status(change, _S.APPROVED)
    locked = {each.change_id: each for each in move(queue, free, _S.APPLYING, actor=REFSYNC, applied_job_id=token)}
    return [locked.get(change.change_id, change) for change in changes]


def release(
    queue: QueueTransaction, changes: Sequence[_Change], *, why: str = "the reservation is released"
) -> list[_Change]:
    """The changes, unlocked where they are locked, without having been applied."""
    locked = [change for change in changes if change.status is _S.APPLYING]
    freed = move(queue, locked, _S.APPROVED, actor=REFSYNC, why=why, applied_job_id=None)
    by_id = {change.change_id: change for change in freed}
    return [by_id.get(change.change_id, change) for change in changes]


def how_it_landed(change_id: int, commit: str | None, edited: Collection[int], notes: Mapping[int, str]) -> str | None:
    """What the history of a change says of its landing; ``notes`` say what else is to be known, by the change's id."""
    landed = f"landed in {commit}{', as edited in review' if change_id in edited else ''}" if commit else None
    return "; ".join(filter(None, (landed, notes.get(change_id)))) or None


def apply(
    queue: QueueTransaction,
    changes: Sequence[_Change],
    *,
    actor: Actor | None,
    token: str | None,
    commit: str | None = None,
    why: Why = None,
) -> list[_Change]:
    """Mark changes as landed, by a job's token; no ``actor`` where nobody knows yet who did it.

    Raises:
        ChangeStateError: one is neither approved nor reserved.
    """
    return move(
        queue,
        changes,
        _S.APPLIED,
        actor=actor or REFSYNC,
        why=why,
        applied_by=actor.id if actor else None,
        applied_username=actor.username if actor else None,
        applied_at=now_ts(),
        applied_job_id=token,
        commit=commit,
    )


def credit(queue: QueueTransaction, changes: Sequence[PendingChangeRecord], by: Actor) -> None:
    """Say who landed changes that were marked without that."""
    after = queue.update(changes, {"applied_by": by.id, "applied_username": by.username, "updated_at": now_ts()})
    note(queue, zip(changes, after, strict=True), actor=by, why="merged it, as the forge told later")


def purge(queue: QueueTransaction, changes: Collection[PendingChangeRecord], *, actor: Actor) -> None:
    """Remove changes; their history says who did."""
    note(queue, ((change, None) for change in changes), actor=actor, why="purged")
    queue.remove([change.change_id for change in changes])


def _submission(change: PendingChangeRecord) -> ChangeEvent:
    return _event(
        change.requester,
        at=change.requested_at,
        to_status=change.status,
        why=change.notes,
        batch_id=change.batch_id,
    )


def _event(actor: Actor, **told: Any) -> ChangeEvent:
    """A move that somebody made, and what else is told of it."""
    return ChangeEvent(by=actor.id, username=actor.username, provider=actor.provider, os_user=actor.os_user, **told)
