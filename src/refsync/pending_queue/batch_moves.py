"""The moves of batches; all within a transaction of the caller."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from refsync.errors import BatchNotFoundError, BatchStateError, ChangeStateError, RequestError
from refsync.pending_queue import change_moves
from refsync.pending_queue.events import BatchMoved, BatchReviewable, BatchSplit
from refsync.pending_queue.holds import Hold, tell_with_command
from refsync.pending_queue.lease import Attempt, Lease
from refsync.pending_queue.lifecycle import ACCEPTED_STATUSES, IN_WORK_STATES, check_batch_move, check_batch_state
from refsync.pending_queue.models import (
    REFSYNC,
    Actor,
    Batch,
    BatchSplitInfo,
    BatchState,
    Member,
    PendingChangeRecord,
    PendingChangeStatus,
    Proposal,
    now_ts,
)

if TYPE_CHECKING:
    from refsync.pending_queue.store.transaction import QueueTransaction

_B = BatchState
_S = PendingChangeStatus

_ITS_ATTEMPT_IS_OVER = "the attempt that had reserved it is over"
NOTHING_LEFT = "nothing left: every change was refused"


def stored_batch(queue: QueueTransaction, number: int) -> Batch:
    """The batch with this number.

    Raises:
        BatchNotFoundError: there is none.
    """
    batch = queue.batch(number)
    if batch is None:
        raise BatchNotFoundError(f"no batch has the number {number}; list the batches to see which there are")
    return batch


def split(
    queue: QueueTransaction, number: int, change_ids: Collection[int], hold: Hold, *, lease: Lease
) -> BatchSplitInfo:
    """Let some changes of a batch in work wait in a held batch of their own.

    Raises:
        BatchStateError: the batch is not in work, or nothing would be left in it.
        RequestError: no change is named.
        ChangeStateError: a change is not an approved one of this batch, or another job holds one.
    """
    batch = stored_batch(queue, number)
    check_batch_state(batch, IN_WORK_STATES, "split")
    wanted = set(change_ids)
    if not wanted:
        raise RequestError(f"batch {number}: name the changes to split off")
    members = _free_members(queue, batch, ACCEPTED_STATUSES, lease)
    wanted |= {change.lands_with for change in members if change.change_id in wanted and change.lands_with}
    for change_id in sorted(wanted - {change.change_id for change in members}):
        raise ChangeStateError(f"change {change_id} is no approved change of batch {number}; leave it out")
    if len(wanted) == len(members):
        raise BatchStateError(f"batch {number} would have nothing left; hold it instead of splitting it")
    leaving = change_moves.release(queue, [change for change in members if change.change_id in wanted])
    return split_off(queue, batch, leaving, state=_B.held, hold=hold, repository=batch.repository)


def let_wait(queue: QueueTransaction, number: int, hold: Hold, *, lease: Lease, is_news: bool = True) -> Batch:
    """Let a batch in work wait, its reservations given up; ``is_news`` as :func:`move` has it.

    Raises:
        BatchStateError: it is not in work.
    """
    batch = stored_batch(queue, number)
    check_batch_state(batch, IN_WORK_STATES, "held")
    change_moves.release(queue, _free_members(queue, batch, {_S.APPLYING}, lease))
    return move(queue, batch, _B.held, hold=hold, is_news=is_news)


def reseal(queue: QueueTransaction, number: int, *, by: Actor | None, confirmed: bool = False) -> Batch:
    """Let a held batch be worked on again; a person's wish to is kept in the history of its changes.

    Confirmed, it may delete as much as it does.

    Raises:
        BatchStateError: it is not held.
    """
    batch = stored_batch(queue, number)
    check_batch_state(batch, {_B.held}, "tried again")
    if by is not None:
        changes = queue.members_of_batch(number, ACCEPTED_STATUSES)
        why = f"batch {number} is to be tried again" + (", and may delete what it does" if confirmed else "")
        change_moves.note(queue, zip(changes, changes, strict=True), actor=by, why=why)
    return move(queue, batch, _B.sealed, is_confirmed=batch.is_confirmed or confirmed)


def propose(
    queue: QueueTransaction, number: int, proposal: Proposal, *, lease: Lease, gets_request: bool = False
) -> Batch:
    """Let a batch be reviewed on its proposal branch; its changes wait there as approved ones.

    Where it ``gets_request``, people have something to look at once :func:`note_proposal` knows its number.

    Raises:
        BatchStateError: it is not in work.
    """
    batch = stored_batch(queue, number)
    check_batch_state(batch, IN_WORK_STATES, "proposed")
    reserved = _free_members(queue, batch, {_S.APPLYING}, lease)
    change_moves.release(queue, reserved, why=f"proposed as {proposal.branch}")
    proposed = move(queue, batch, _B.proposed, proposal=proposal)
    if not gets_request and (batch.proposal is None or batch.proposal.branch != proposal.branch):
        queue.tell([BatchReviewable(proposed)])
    return proposed


def note_proposal(queue: QueueTransaction, number: int, proposal: Proposal) -> Batch:
    """Keep what is known of a batch's branch and pull request; its state stays."""
    batch = stored_batch(queue, number)
    noted = queue.save_batch(batch.model_copy(update={"proposal": proposal}))
    if proposal.number is not None and (batch.proposal is None or batch.proposal.number != proposal.number):
        queue.tell([BatchReviewable(noted)])
    return noted


def reseal_proposal(queue: QueueTransaction, number: int) -> Batch:
    """Take a proposed batch back into work; its branch and pull request stay.

    Raises:
        BatchStateError: it is not proposed.
    """
    batch = stored_batch(queue, number)
    check_batch_state(batch, {_B.proposed}, "built anew")
    return move(queue, batch, _B.sealed)


def abandon(queue: QueueTransaction, number: int, reason: str, *, by: Actor) -> Batch:
    """Give a held or proposed batch up; its changes are refused with the reason.

    Raises:
        BatchStateError: it is neither.
    """
    check_batch_state(stored_batch(queue, number), {_B.held, _B.proposed}, "abandoned")
    return give_up(queue, number, reason, by=by)


def give_up(queue: QueueTransaction, number: int, reason: str, *, by: Actor, lease: Lease | None = None) -> Batch:
    """Give a batch in work up, whether anybody has looked at it or not; its changes are refused with the reason.

    Raises:
        BatchStateError: it is not in work.
    """
    batch = stored_batch(queue, number)
    check_batch_state(batch, IN_WORK_STATES, "given up")
    changes = change_moves.release(queue, _free_members(queue, batch, ACCEPTED_STATUSES, lease))
    change_moves.reject(queue, changes, reason, actor=by)
    return move(queue, batch, _B.abandoned, reason=reason)


def reserve(queue: QueueTransaction, number: int, *, lease: Lease) -> list[Member]:
    """Lock the batch's approved changes for an attempt, and tell which; again it gives the same.

    Raises:
        BatchStateError: it is not sealed or proposed.
        ChangeStateError: another job holds one of them; none is locked.
    """
    batch = stored_batch(queue, number)
    check_batch_state(batch, {_B.sealed, _B.proposed}, "reserved")
    token = Attempt(batch.job, lease).token
    members = _free_members(queue, batch, ACCEPTED_STATUSES, lease)
    others = [change for change in members if not change_moves.is_reserved(change, token)]
    freed = {change.change_id: change for change in change_moves.release(queue, others, why=_ITS_ATTEMPT_IS_OVER)}
    return change_moves.reserve(queue, [freed.get(change.change_id, change) for change in members], token)


def note_commit(queue: QueueTransaction, number: int, *, base_commit: str | None, commit: str) -> Batch:
    """Keep which commit was built for a batch, and on which.

    Raises:
        BatchStateError: it is not in work.
    """
    batch = stored_batch(queue, number)
    check_batch_state(batch, IN_WORK_STATES, "committed")
    return queue.save_batch(batch.model_copy(update={"base_commit": base_commit, "commit": commit}))


def release(queue: QueueTransaction, number: int, *, lease: Lease) -> list[Member]:
    """Unlock what an attempt holds of a batch, or one that is over did, and tell what that was."""
    attempt = Attempt(stored_batch(queue, number).job, lease)
    reserved = queue.members_of_batch(number, {_S.APPLYING})
    return change_moves.release(queue, [each for each in reserved if attempt.may_take(each.applied_job_id)])


def land(
    queue: QueueTransaction,
    number: int,
    *,
    commit: str | None,
    by: Actor | None,
    lease: Lease,
    change_ids: Collection[int] | None,
    edited: Collection[int] = (),
    notes: Mapping[int, str] | None = None,
) -> list[int]:
    """Mark the batch's changes, or those named, as landed; what is left over gets a batch of its own.

    Returns:
        The ids of all that have landed with it, ascending; done again, it changes nothing.

    Raises:
        BatchStateError: the batch is open.
        ChangeStateError: a change named is not an accepted one of this batch, or another job holds it.
    """
    batch = stored_batch(queue, number)
    if batch.state in (_B.landed, _B.abandoned):
        return queue.ids_of_batch(number, {_S.APPLIED})
    check_batch_state(batch, IN_WORK_STATES, "landed")
    found = _free_members(queue, batch, {*ACCEPTED_STATUSES, _S.APPLIED}, lease)
    landed = [change.change_id for change in found if change.status is _S.APPLIED]
    members = [change for change in found if change.status is not _S.APPLIED]
    landing = _named(members, change_ids, landed, number)
    why = partial(change_moves.how_it_landed, commit=commit, edited=edited, notes=notes or {})
    change_moves.apply(queue, landing, actor=by, token=batch.job, commit=commit, why=why)
    done = {change.change_id for change in landing}
    if landing and len(done) == len(members):
        move(queue, batch, _B.landed, landed_at=time.time(), commit=commit or batch.commit)
    else:
        change_moves.release(queue, [change for change in members if change.change_id not in done])
        settle(queue, number, commit=commit if landing else None)
        if not landing:
            abandon_if_nothing_is_left(queue, number)
    return sorted({*landed, *done})


def split_off(
    queue: QueueTransaction,
    batch: Batch,
    changes: Sequence[Member],
    *,
    state: BatchState,
    hold: Hold | None = None,
    repository: str | None,
    by: Actor = REFSYNC,
) -> BatchSplitInfo:
    """Give approved changes of a batch a new batch of their own, with the same title and times."""
    new = queue.add_batch(
        batch.model_copy(
            update={
                "state": state,
                "repository": repository,
                "job": None if state is _B.open else new_token(),
                "hold": hold,
                "reason": None,
                "base_commit": None,
                "commit": None,
                "proposal": None,
                "split_from": batch.number,
            }
        )
    )
    moved = queue.update(changes, {"batch_id": new.number, "updated_at": now_ts()})
    why = f"split off from batch {batch.number}" + (f": {hold.reason}" if hold else "")
    change_moves.note(queue, zip(changes, moved, strict=True), actor=REFSYNC, why=why)
    info = BatchSplitInfo(
        original_batch_id=batch.number,
        new_batch_id=new.number,
        reassigned_change_ids=[change.change_id for change in changes],
    )
    queue.tell([BatchSplit(info, by.id), BatchMoved(new, None)])
    return info


def settle(queue: QueueTransaction, number: int | None, *, commit: str | None = None) -> BatchSplitInfo | None:
    """See that a batch does not mix applied and open changes, after one of its changes has moved.

    What is still approved beside applied changes gets a batch of its own; a batch of which nothing is open has
    landed, by the commit where one is given.
    """
    batch = None if number is None else queue.batch(number)
    if batch is None or batch.state in (_B.landed, _B.abandoned):
        return None
    members = queue.statuses_of_batch(batch.number)
    if not members[_S.APPLIED]:
        _close_if_left(queue, batch.number)
        return None
    if commit is not None:
        batch = batch.model_copy(update={"commit": commit})
    _end_or_fix(queue, batch, still_applying=members[_S.APPLYING] > 0)
    if not members[_S.APPROVED]:
        return None
    left = queue.members_of_batch(batch.number, {_S.APPROVED})
    state = _B.sealed if batch.state is _B.proposed else batch.state
    return split_off(queue, batch, left, state=state, hold=batch.hold, repository=batch.repository)


def close_left(queue: QueueTransaction, changes: Iterable[PendingChangeRecord]) -> None:
    """End the open batches that have lost their last approval with these changes, so that no empty one is listed."""
    for number in sorted({change.batch_id for change in changes if change.batch_id is not None}):
        _close_if_left(queue, number)


def _free_members(
    queue: QueueTransaction, batch: Batch, statuses: Collection[PendingChangeStatus], lease: Lease | None
) -> list[Member]:
    """The changes of a batch in these statuses, of which no other job holds one.

    Raises:
        ChangeStateError: another job, which lives, holds one.
    """
    members = queue.members_of_batch(batch.number, statuses)
    if lease is not None:
        change_moves.check_holder(members, Attempt(batch.job, lease).may_take)
    return members


def new_token() -> str:
    """A batch's token, unique in the world."""
    return uuid.uuid4().hex


def _named(
    members: list[Member], change_ids: Collection[int] | None, landed: Collection[int], number: int
) -> list[Member]:
    if change_ids is None:
        return members
    for change_id in sorted(set(change_ids).difference(landed, (change.change_id for change in members))):
        raise ChangeStateError(f"change {change_id} is no approved change of batch {number}; it cannot land with it")
    named = set(change_ids)
    return [change for change in members if change.change_id in named or change.lands_with in named]


def abandon_if_nothing_is_left(queue: QueueTransaction, number: int) -> None:
    """End a batch in work of which every change was refused, or taken out."""
    batch = stored_batch(queue, number)
    if batch.state in IN_WORK_STATES and not _has_any(queue, number, ACCEPTED_STATUSES):
        move(queue, batch, _B.abandoned, reason=NOTHING_LEFT)


def _has_any(queue: QueueTransaction, number: int, statuses: Collection[PendingChangeStatus]) -> bool:
    members = queue.statuses_of_batch(number)
    return any(members[status] for status in statuses)


def _close_if_left(queue: QueueTransaction, number: int) -> None:
    """End an open batch that has lost its last approval, so that no empty one is listed."""
    batch = queue.batch(number)
    if batch is None or batch.state is not _B.open:
        return
    if queue.categories_of_batch(number) or _has_any(queue, number, {_S.APPLYING, _S.APPLIED}):
        return
    if queue.is_referred_to(number):
        move(queue, batch, _B.abandoned, reason="nothing left: every approval was withdrawn or refused")
    else:
        queue.remove_batch(number)


def _end_or_fix(queue: QueueTransaction, batch: Batch, *, still_applying: bool) -> None:
    if not still_applying:
        move(queue, batch, _B.landed, landed_at=time.time())
    elif batch.state is _B.open:  # no further approval may join what is applied in part
        seal(queue, batch)


def seal(queue: QueueTransaction, batch: Batch) -> Batch:
    """Fix the set of an open batch, which belongs to no repository yet."""
    return move(queue, batch, _B.sealed, job=new_token(), sealed_at=time.time())


def move(
    queue: QueueTransaction,
    batch: Batch,
    to: BatchState,
    *,
    hold: Hold | None = None,
    reason: str | None = None,
    is_news: bool = True,
    **values: Any,
) -> Batch:
    """Bring a batch to another state, setting these fields too; ``hold`` goes with being held, ``reason`` with its end.

    ``is_news`` is for people, see :class:`BatchMoved`.

    Raises:
        BatchStateError: its state does not allow the move.
    """
    check_batch_move(batch, to)
    told = {"hold": hold, "reason": tell_with_command(hold, batch.number) if hold else reason}
    moved = batch.model_copy(update={"state": to, **told, **values})
    queue.tell([BatchMoved(moved, batch.state, is_news)])
    return queue.save_batch(moved)
