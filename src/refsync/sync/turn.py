"""One batch's turn in a pass: plan it, build its commit, check it, publish it, and say what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from loguru import logger

from refsync.categories import MODEL_REFERENCE_CATEGORY, CanonicalFormat
from refsync.clone.repository import Repository
from refsync.clone.worktree import IndexLock, index_locked
from refsync.errors import BatchStateError, BranchMovedError, LocalEditsError
from refsync.pending_queue.models import Batch, BatchState, PendingChangeRecord, PendingChangeStatus
from refsync.pending_queue.service import PendingQueueService
from refsync.sync.apply import build, observe, reader, stamp_for
from refsync.sync.checking import Checks, Verdicts, is_known_red, why_red
from refsync.sync.land import mark_landed, record_landed, settle_reserved
from refsync.sync.plan import BatchPlan, Model, Observed, Refusal, plan_batch
from refsync.sync.publish import publish_locally
from refsync.sync.reference import (
    ApplySettings,
    HeldBatch,
    LandedBatch,
    Progress,
    ReferenceRepository,
    RejectedChange,
    RepositoryReport,
)

RACE_ATTEMPTS = 5
"""How often a batch is planned anew in one pass when somebody else was quicker."""
_RACES = (BranchMovedError, LocalEditsError, BatchStateError)


@dataclass(frozen=True)
class Pass:
    """What one pass works with.

    ``stopping`` is asked between batches, so that a daemon told to stop finishes the step in hand only, and while
    a check runs, which is given up. ``verdicts`` are what the checks of this pass said.
    """

    queue: PendingQueueService
    repositories: Sequence[ReferenceRepository]
    apply: ApplySettings
    progress: Progress | None = None
    stopping: Callable[[], bool] = lambda: False
    verdicts: Verdicts = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """One repository's turn in a pass; ``awaited`` are the models whose batch has not landed, with its number."""

    work: Pass
    reference: ReferenceRepository
    clone: Repository
    outcome: RepositoryReport
    awaited: dict[Model, int] = field(default_factory=dict)

    @property
    def queue(self) -> PendingQueueService:
        """The queue of the pass."""
        return self.work.queue

    @property
    def tip(self) -> str:
        """The commit that the batch in hand is planned on."""
        assert self.outcome.tip is not None
        return self.outcome.tip

    def observe(self, changes: Sequence[PendingChangeRecord]) -> Observed:
        """What the changes meet at the tip."""
        return observe(self.clone, self.reference, reader(self.clone, self.tip), changes, self.awaited)

    def plan(self, changes: Sequence[PendingChangeRecord], observed: Observed) -> BatchPlan:
        """What to do with the changes."""
        return plan_batch(changes, observed, stamp_for(self.reference))

    def build(self, batch: Batch, plan: BatchPlan, changes: Sequence[PendingChangeRecord]) -> str | None:
        """The commit of what is planned, on the tip."""
        return build(self.clone, self.reference, self.tip, batch, plan, changes)


def advance(turn: Turn, batch: Batch) -> None:
    """Bring one batch as far as it can go; what it leaves unlanded is added to what is awaited."""
    clone, outcome = turn.clone, turn.outcome
    for attempt in range(RACE_ATTEMPTS):
        try:
            # A person's git is locked out for the landing only; who lost a race holds the lock while building, too,
            # but never while checking: a check may take minutes.
            with index_locked(clone) if attempt and not turn.reference.check else nullcontext() as lock:
                held = _try_batch(turn, turn.queue.get_batch(batch.number), lock)
            break
        except _RACES as lost:
            if attempt == RACE_ATTEMPTS - 1:
                raise
            logger.info("batch {}: {}; planning it anew", batch.number, lost)
            clone.preflight()
            outcome.recorded += record_landed(clone, turn.reference, clone.tip())
    if held:
        outcome.held.append(held)
        for change in _open_changes(turn.queue, batch.number):
            turn.awaited.setdefault((change.category, change.model_name), batch.number)


def _try_batch(turn: Turn, batch: Batch, lock: IndexLock | None) -> HeldBatch | None:
    queue, number, outcome = turn.queue, batch.number, turn.outcome
    outcome.tip = turn.clone.tip()
    changes = _open_changes(queue, number)
    observed = turn.observe(changes)
    plan = turn.plan(changes, observed)
    for conflict in plan.conflicts:
        outcome.rejected.append(_reject(queue, turn.reference, changes, conflict))
    if not plan.written and not plan.done:
        if plan.waiting:
            return _hold(queue, batch, plan.waiting[0].reason)
        note_landed(outcome, mark_landed(queue, batch, None))
        return None
    if _is_known_red(turn, batch, plan):
        return HeldBatch(number, batch.reason or "")
    if plan.waiting:
        _split(queue, batch, plan.waiting)
    if batch.state == BatchState.held:
        queue.resume_batch(number)
    return _land(turn, batch, plan, observed, changes, lock)


def _land(
    turn: Turn,
    batch: Batch,
    plan: BatchPlan,
    observed: Observed,
    changes: Sequence[PendingChangeRecord],
    lock: IndexLock | None,
) -> HeldBatch | None:
    clone, queue, outcome, tip = turn.clone, turn.queue, turn.outcome, turn.tip
    try:
        _reserve(queue, batch, plan)
        commit = turn.build(batch, plan, changes)
        if commit:
            queue.record_commit(batch.number, base_commit=tip, commit=commit)
            if reason := _why_red(turn, batch, commit, plan, observed, changes):
                return _hold(queue, batch, reason)
            with nullcontext(lock) if lock else index_locked(clone) as held:
                publish_locally(held, batch, tip=tip, commit=commit)
    except BaseException:
        note_landed(outcome, settle_reserved(clone, queue, queue.get_batch(batch.number), clone.tip()))
        raise
    if commit:
        outcome.tip = commit
        outcome.recorded += record_landed(clone, turn.reference, commit)
    note_landed(outcome, mark_landed(queue, batch, commit))
    return None


def _is_known_red(turn: Turn, batch: Batch, plan: BatchPlan) -> bool:
    settings = turn.reference.check
    return settings is not None and is_known_red(turn.clone, settings, batch, turn.tip, plan.written)


def _why_red(
    turn: Turn,
    batch: Batch,
    commit: str,
    plan: BatchPlan,
    observed: Observed,
    changes: Sequence[PendingChangeRecord],
) -> str | None:
    """Run the operator's checks on a built commit: why it must not be published, ``None`` where it may be."""
    if turn.reference.check is None:
        return None

    def build_part(part: Sequence[PendingChangeRecord]) -> str | None:
        return turn.build(batch, turn.plan(part, observed), part)

    checks = Checks(turn.clone, turn.reference.check, turn.work.verdicts, turn.work.stopping)
    written = [change for change in changes if change.change_id in plan.written]
    return why_red(checks, turn.tip, commit, written, build_part, lambda failure: _note_red(turn, failure))


def _note_red(turn: Turn, failure: str) -> None:
    """A check that fails without the batch, too."""
    told = f"{failure} (already at {turn.tip[:12]}; it holds nothing)"
    if told not in turn.outcome.already_red:
        turn.outcome.already_red.append(told)
        logger.warning("{}: {}", turn.reference.name, told)


def note_landed(outcome: RepositoryReport, landed: LandedBatch | None) -> None:
    """Put a batch that landed, if one did, into the report."""
    if landed:
        outcome.landed.append(landed)


def _reserve(queue: PendingQueueService, batch: Batch, plan: BatchPlan) -> None:
    reserved = {change.change_id for change in queue.reserve_batch(batch.number)}
    if reserved != {*plan.written, *plan.done}:
        raise BatchStateError(f"batch {batch.number}: some of its changes were purged meanwhile")


def _open_changes(queue: PendingQueueService, number: int) -> list[PendingChangeRecord]:
    waiting = (PendingChangeStatus.APPROVED, PendingChangeStatus.APPLYING)
    return [change for change in queue.changes_of_batch(number) if change.status in waiting]


def _hold(queue: PendingQueueService, batch: Batch, reason: str) -> HeldBatch:
    if batch.state != BatchState.held or batch.reason != reason:
        queue.hold_batch(batch.number, reason)
        logger.warning("batch {batch}: held: {reason}", batch=batch.number, reason=reason)
    return HeldBatch(batch.number, reason)


def _split(queue: PendingQueueService, batch: Batch, waiting: Sequence[Refusal]) -> None:
    """Put what has to wait into a batch of its own, so that the rest can land."""
    reason = waiting[0].reason
    split = queue.split_batch(batch.number, [refusal.change_id for refusal in waiting], reason=reason)
    logger.warning(
        "batch {}: changes {} wait as batch {}: {}",
        batch.number,
        split.reassigned_change_ids,
        split.new_batch_id,
        reason,
    )


def _reject(
    queue: PendingQueueService,
    reference: ReferenceRepository,
    changes: Sequence[PendingChangeRecord],
    conflict: Refusal,
) -> RejectedChange:
    change = next(change for change in changes if change.change_id == conflict.change_id)
    queue.reject_by_refsync(change.change_id, conflict.reason)
    _record_error(reference, change.category, f"change {change.change_id}: {conflict.reason}")
    logger.warning(
        "batch {batch}: change {change} rejected: {reason}",
        batch=change.batch_id,
        change=change.change_id,
        reason=conflict.reason,
    )
    return RejectedChange(change.change_id, conflict.reason)


def _record_error(reference: ReferenceRepository, category: MODEL_REFERENCE_CATEGORY, info: str) -> None:
    legacy = reference.written_format(category) is CanonicalFormat.legacy
    record = reference.metadata.record_legacy_error if legacy else reference.metadata.record_v2_error
    record(category, info, "GitBackend")
