"""One batch's turn in a pass: plan it, build its commit, check it, publish it, and say what became of it."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import nullcontext

from loguru import logger

from refsync.clone.journal import IndexLock
from refsync.clone.landing import index_locked
from refsync.clone.refs import built_ref, delete_refs, keep_built
from refsync.errors import (
    BatchStateError,
    BranchMovedError,
    LandingRefusedError,
    LocalEditsError,
    ObjectLostError,
    PushRefusedError,
)
from refsync.pending_queue.daemon_door import DaemonDoor
from refsync.pending_queue.holds import Hold, HoldKind
from refsync.pending_queue.models import Batch, BatchState, PendingChangeRecord
from refsync.ranges import render_ranges
from refsync.sync.apply import build, observe, stamp_for
from refsync.sync.checking import Checks, is_known_red, red_check
from refsync.sync.deletions import hold_for_deletions
from refsync.sync.keeping_rules import plan_within_rules
from refsync.sync.landed import mark_landed
from refsync.sync.look import Look
from refsync.sync.plan import BatchPlan, Observed, Refusal, Waiting, plan_batch
from refsync.sync.reference import HeldBatch, QueuedBatch, ReferenceRepository, RejectedChange, ReturnedChange
from refsync.sync.turn import Turn

_RACES = (BranchMovedError, LocalEditsError, BatchStateError, ObjectLostError)


def advance(turn: Turn, batch: Batch) -> None:
    """Bring one batch as far as it can go; what it leaves unlanded is added to what is awaited."""
    races = turn.publisher.races
    held: HeldBatch | None = None
    for attempt in range(races.attempts):
        try:
            # A person's git is locked out for the landing only; who lost a race holds the lock while building, too,
            # but never while checking, which may take minutes, or while a remote is asked.
            locked = attempt and not turn.reference.check and races.locks_clone
            with index_locked(turn.clone) if locked else nullcontext() as lock:
                held = _try_batch(turn, turn.queue.get_batch(batch.number) if attempt else batch, lock)
            break
        except _RACES as lost:
            if attempt == races.attempts - 1:
                if not races.holds or not isinstance(lost, BranchMovedError):
                    raise
                told = f"somebody else was quicker {races.attempts} times: {lost}; it is tried again"
                held = turn.hold(batch, Hold(kind=HoldKind.lost_races, reason=told))
                break
            logger.info("batch {}: {}; planning it anew", batch.number, lost)
            _prepare_another_attempt(turn, batch, attempt)
    if held:
        turn.outcome.held.append(held)
    if not any(landed.number == batch.number for landed in turn.outcome.landed):
        turn.await_models(batch)


def _prepare_another_attempt(turn: Turn, batch: Batch, attempt: int) -> None:
    time.sleep(random.uniform(0, turn.publisher.races.jitter_seconds * 2 ** min(attempt, 4)))
    turn.publisher.ask_news(turn, anew=True)
    turn.catch_up()
    turn.settle(turn.queue.get_batch(batch.number), turn.tip)


def _try_batch(turn: Turn, batch: Batch, lock: IndexLock | None) -> HeldBatch | None:
    queue, number, outcome = turn.queue, batch.number, turn.outcome
    if batch.state not in (BatchState.sealed, BatchState.held):
        return None  # what the remote had new has ended it
    if _vet(turn, number) and queue.get_batch(number).state is BatchState.abandoned:
        return None
    turn.publisher.start(turn)
    changes = turn.queue.open_changes(batch.number)
    observed = observe(turn, changes)
    plan = plan_within_rules(changes, observed, stamp_for(turn.reference))
    for conflict in plan.conflicts:
        outcome.rejected.append(reject(queue, turn.reference, changes, conflict))
    if not plan.written and not plan.done:
        if plan.waiting:
            return turn.hold(batch, plan.waiting[0].hold)
        turn.note_landed(mark_landed(queue, batch, None))
        return None
    if not batch.is_confirmed and (too_many := hold_for_deletions(turn.reference, plan, observed)):
        return turn.hold(batch, too_many)
    if batch.hold and (_is_known_red(turn, batch, plan) or _was_refused_here(turn, batch.hold)):
        return HeldBatch.of(batch, batch.hold)
    if plan.waiting:
        _split(turn, batch, plan.waiting)
    if batch.state == BatchState.held:
        if batch.hold:
            turn.told[number] = batch.hold
        batch = queue.resume_batch(number)
    if plan.written and (reason := turn.publisher.why_not_yet(queue, turn.reference, batch)):
        outcome.queued.append(QueuedBatch(number, reason))
        return None
    return _land(turn, batch, plan, observed, changes, lock)


def _vet(turn: Turn, number: int) -> bool:
    """Take out what somebody had a part in who may not, by the config of this process; whether there was such."""
    unallowed = turn.queue.vet_batch(number)
    for each in unallowed:
        if each.rejected:
            turn.outcome.rejected.append(RejectedChange(each.change_id, each.reason))
        else:
            turn.outcome.returned.append(ReturnedChange(each.change_id, each.reason))
        what = "rejected" if each.rejected else "waits for review again"
        told = "batch {batch}: change {change} {what}: {reason}"
        logger.warning(told, batch=number, change=each.change_id, what=what, reason=each.reason)
    return bool(unallowed)


def _land(
    turn: Turn,
    batch: Batch,
    plan: BatchPlan,
    observed: Observed,
    changes: Sequence[PendingChangeRecord],
    lock: IndexLock | None,
) -> HeldBatch | None:
    clone, queue, publisher = turn.clone, turn.queue, turn.publisher
    publisher.make_sure(turn)
    for judge in filter(lambda each: each.fault, observed.judges.values()):
        logger.warning("{}: no record is checked by its schema: {}", turn.reference.name, judge.fault)
    try:
        commit = build(turn, batch, plan, changes)
        if commit:
            keep_built(clone, batch.job or "", commit)
        batch = _reserve(turn, batch, plan, commit)
        if commit:
            if red := _red_check(turn, batch, commit, plan, observed, changes):
                return turn.hold(batch, red)
            publisher.deliver(turn, batch, commit, lock)
            if not publisher.lands:
                return None
    except PushRefusedError as refusal:
        return turn.hold(batch, Hold(kind=HoldKind.refused_push, reason=str(refusal), since_tip=turn.tip))
    except BaseException as failure:
        if isinstance(failure, LandingRefusedError) and publisher.remote is None:  # what a remote has cannot be held
            return turn.hold(batch, Hold(kind=HoldKind.refused_landing, reason=str(failure)))
        if isinstance(failure, ObjectLostError):
            delete_refs(clone, [built_ref(batch.job or "")])  # it would be in git's own way
        turn.settle(queue.get_batch(batch.number), clone.tip())
        raise
    turn.note_landed(mark_landed(queue, batch, commit, notes=plan.notes))
    if commit:
        delete_refs(clone, [built_ref(batch.job or "")])
    return None


def _was_refused_here(turn: Turn, hold: Hold) -> bool:
    """Whether the remote has refused the batch on this very tip; a person or another tip changes that."""
    return hold.kind is HoldKind.refused_push and hold.since_tip == turn.tip and turn.publisher.remote is not None


def _is_known_red(turn: Look, batch: Batch, plan: BatchPlan) -> bool:
    settings = turn.reference.check
    return settings is not None and is_known_red(turn.clone, settings, batch, turn.tip, plan.written)


def _red_check(
    turn: Turn,
    batch: Batch,
    commit: str,
    plan: BatchPlan,
    observed: Observed,
    changes: Sequence[PendingChangeRecord],
) -> Hold | None:
    """Run the operator's checks on a built commit: why it must not be published, ``None`` where it may be."""
    if turn.reference.check is None:
        return None

    def build_part(part: Sequence[PendingChangeRecord]) -> str | None:
        return build(turn, batch, plan_batch(part, observed, stamp_for(turn.reference)), part)

    checks = Checks(turn.clone, turn.reference.check, turn.work.verdicts, turn.work.stopping)
    written = [change for change in changes if change.change_id in plan.written]
    return red_check(checks, turn.tip, commit, written, build_part, lambda failure: _note_red(turn, failure))


def _note_red(turn: Turn, failure: str) -> None:
    """A check that fails without the batch, too."""
    told = f"{failure} (already at {turn.tip[:12]}; it holds nothing)"
    if told not in turn.outcome.already_red:
        turn.outcome.already_red.append(told)
        logger.warning("{}: {}", turn.reference.name, told)


def _reserve(turn: Turn, batch: Batch, plan: BatchPlan, commit: str | None) -> Batch:
    """Lock what is planned, and keep which commit was built of it before that is published."""
    built = {"base_commit": turn.tip, "commit": commit} if commit else {}
    if {*turn.queue.reserve_batch(batch.number, **built)} != {*plan.written, *plan.done}:
        raise BatchStateError(f"batch {batch.number}: some of its changes were purged meanwhile")
    return batch.model_copy(update=built)


def _split(turn: Turn, batch: Batch, waiting: Sequence[Waiting]) -> None:
    """Put what has to wait into a batch of its own, so that the rest can land."""
    hold = waiting[0].hold
    split = turn.queue.split_batch(batch.number, [each.change_id for each in waiting], hold)
    turn.split_off.append(split.new_batch_id)
    logger.warning(
        "batch {}: changes {} wait as batch {}: {}",
        batch.number,
        render_ranges(split.reassigned_change_ids),
        split.new_batch_id,
        hold.reason,
    )


def reject(
    queue: DaemonDoor,
    reference: ReferenceRepository,
    changes: Sequence[PendingChangeRecord],
    conflict: Refusal,
) -> RejectedChange:
    """Refuse a change that conflicts with what is there, and count the error."""
    change = next(change for change in changes if change.change_id == conflict.change_id)
    _count_refusal(reference, change, conflict.reason)  # first: what is rejected already is not looked at again
    queue.reject_by_refsync(change.change_id, conflict.reason)
    logger.warning(
        "batch {batch}: change {change} rejected: {reason}",
        batch=change.batch_id,
        change=change.change_id,
        reason=conflict.reason,
    )
    return RejectedChange(change.change_id, conflict.reason)


def _count_refusal(reference: ReferenceRepository, change: PendingChangeRecord, reason: str) -> None:
    reference.metadata.record_error(
        reference.written_format(change.category),
        change.category,
        f"change {change.change_id}: {reason}",
        backend_type="GitBackend",
        change=change.change_id,
    )
