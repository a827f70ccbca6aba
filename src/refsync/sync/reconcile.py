"""One pass: look at the world, do what is missing. Running it twice is harmless."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from loguru import logger

from refsync.categories import MODEL_REFERENCE_CATEGORY, CanonicalFormat
from refsync.clone.repository import Repository
from refsync.clone.worktree import IndexLock, finish_interrupted_landing, index_locked
from refsync.errors import BatchStateError, BranchMovedError, LocalEditsError, RefsyncError, TemporaryError
from refsync.pending_queue.models import Batch, BatchState, PendingChangeRecord, PendingChangeStatus
from refsync.pending_queue.service import PendingQueueService
from refsync.sync.apply import build, observe, reader, stamp_for
from refsync.sync.land import mark_landed, record_landed, settle_reserved
from refsync.sync.plan import BatchPlan, Model, Refusal, plan_batch
from refsync.sync.publish import publish_locally
from refsync.sync.reference import (
    ApplySettings,
    HeldBatch,
    LandedBatch,
    PassReport,
    Progress,
    ReferenceRepository,
    RejectedChange,
    RepositoryReport,
)
from refsync.sync.sealing import holder_of, oldest_first, seal_when_due

RACE_ATTEMPTS = 5
"""How often a batch is planned anew in one pass when somebody else was quicker."""
_RACES = (BranchMovedError, LocalEditsError, BatchStateError)
_WAITING = (BatchState.sealed, BatchState.held)


@dataclass(frozen=True)
class Pass:
    """What one pass works with.

    ``stopping`` is asked between batches, so that a daemon told to stop finishes the step in hand only.
    """

    queue: PendingQueueService
    repositories: Sequence[ReferenceRepository]
    apply: ApplySettings
    progress: Progress | None = None
    stopping: Callable[[], bool] = lambda: False


def reconcile(work: Pass) -> PassReport:
    """Seal what is due, then bring every repository up to date; one that fails does not stop the others.

    The caller holds the pass lock.

    Raises:
        Exception: a bug, after the other repositories had their turn; expected failures are in the report.
    """
    report = PassReport()
    report.sealed, report.settles_in = seal_when_due(work.queue, work.repositories, work.apply)
    work.queue.route_batches(lambda category: holder_of(work.repositories, category))
    report.unserved = _unserved_batches(work)
    bugs: list[Exception] = []
    for reference in work.repositories:
        if work.stopping():
            break
        outcome = RepositoryReport(reference.name)
        report.repositories.append(outcome)
        try:
            _reconcile_repository(work, reference, outcome)
        except (RefsyncError, OSError) as problem:
            outcome.problem = str(problem)
            outcome.temporary = isinstance(problem, (TemporaryError, OSError))
        except Exception as bug:
            outcome.problem = f"a bug in refsync: {bug!r}"
            bugs.append(bug)
        _note(work.queue, outcome)
    if bugs:
        raise bugs[0]
    return report


def _unserved_batches(work: Pass) -> list[HeldBatch]:
    served = {reference.name for reference in work.repositories}
    return [
        HeldBatch(batch.number, batch.reason or f"the config has no repository {batch.repository!r} (any more)")
        for batch in work.queue.list_batches(_WAITING)
        if batch.repository not in served
    ]


def _note(queue: PendingQueueService, outcome: RepositoryReport) -> None:
    """Keep for ``status`` what this pass saw."""
    now = time.time()
    landed = next((batch.commit for batch in reversed(outcome.landed) if batch.commit), None)
    queue.note_repository(
        outcome.name,
        last_pass_at=now,
        last_landed_commit=landed,
        last_landed_at=now if landed else None,
        last_error=outcome.problem,
        last_error_at=now if outcome.problem else None,
    )


def _reconcile_repository(work: Pass, reference: ReferenceRepository, outcome: RepositoryReport) -> None:
    with Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
        clone.preflight()
        if finished := finish_interrupted_landing(clone):
            logger.warning("{}: finished the interrupted landing of {}", reference.name, finished[:12])
        outcome.tip = clone.tip()
        outcome.recorded += record_landed(clone, reference, outcome.tip, work.progress)
        _settle(work, reference, clone, outcome)
        awaited: dict[Model, int] = {}
        for batch in _waiting_batches(work.queue, reference.name):
            if work.stopping():
                return
            _advance(work, reference, clone, batch, awaited, outcome)


def _waiting_batches(queue: PendingQueueService, repository: str) -> Iterator[Batch]:
    """The repository's sealed and held batches, oldest first; one split off meanwhile has its turn too."""
    seen: set[int] = set()
    while batch := next(
        (
            batch
            for batch in oldest_first(queue.list_batches(_WAITING))
            if batch.repository == repository and batch.number not in seen
        ),
        None,
    ):
        seen.add(batch.number)
        yield batch


def _settle(work: Pass, reference: ReferenceRepository, clone: Repository, outcome: RepositoryReport) -> None:
    """Finish or release what an earlier process left in the middle."""
    assert outcome.tip is not None
    for batch in _waiting_batches(work.queue, reference.name):
        _note_landed(outcome, settle_reserved(clone, work.queue, batch, outcome.tip))


def _advance(
    work: Pass,
    reference: ReferenceRepository,
    clone: Repository,
    batch: Batch,
    awaited: dict[Model, int],
    outcome: RepositoryReport,
) -> None:
    """Bring one batch as far as it can go; what it leaves unlanded is added to ``awaited``."""
    for attempt in range(RACE_ATTEMPTS):
        try:
            # A person's git is locked out for the landing only; who lost a race holds the lock while building, too.
            with index_locked(clone) if attempt else nullcontext() as lock:
                present = work.queue.get_batch(batch.number)
                held = _try_batch(work, reference, clone, present, awaited, outcome, lock)
            break
        except _RACES as lost:
            if attempt == RACE_ATTEMPTS - 1:
                raise
            logger.info("batch {}: {}; planning it anew", batch.number, lost)
            clone.preflight()
            outcome.recorded += record_landed(clone, reference, clone.tip())
    if held:
        outcome.held.append(held)
        for change in _open_changes(work.queue, batch.number):
            awaited.setdefault((change.category, change.model_name), batch.number)


def _try_batch(
    work: Pass,
    reference: ReferenceRepository,
    clone: Repository,
    batch: Batch,
    awaited: dict[Model, int],
    outcome: RepositoryReport,
    lock: IndexLock | None,
) -> HeldBatch | None:
    queue, number = work.queue, batch.number
    tip = outcome.tip = clone.tip()
    changes = _open_changes(queue, number)
    plan = plan_batch(changes, observe(clone, reference, reader(clone, tip), changes, awaited), stamp_for(reference))
    for conflict in plan.conflicts:
        outcome.rejected.append(_reject(queue, reference, changes, conflict))
    if not plan.written and not plan.done:
        if plan.waiting:
            return _hold(queue, batch, plan.waiting[0].reason)
        _note_landed(outcome, mark_landed(queue, batch, None))
        return None
    if plan.waiting:
        _split(queue, batch, plan.waiting)
    if batch.state == BatchState.held:
        queue.resume_batch(number)
    _land(work, reference, clone, batch, plan, changes, outcome, lock)
    return None


def _land(
    work: Pass,
    reference: ReferenceRepository,
    clone: Repository,
    batch: Batch,
    plan: BatchPlan,
    changes: Sequence[PendingChangeRecord],
    outcome: RepositoryReport,
    lock: IndexLock | None,
) -> None:
    queue, tip = work.queue, outcome.tip
    assert tip is not None
    try:
        _reserve(queue, batch, plan)
        commit = build(clone, reference, tip, batch, plan, changes)
        if commit:
            queue.record_commit(batch.number, base_commit=tip, commit=commit)
            with nullcontext(lock) if lock else index_locked(clone) as held:
                publish_locally(held, batch, tip=tip, commit=commit)
    except BaseException:
        _note_landed(outcome, settle_reserved(clone, queue, queue.get_batch(batch.number), clone.tip()))
        raise
    if commit:
        outcome.tip = commit
        outcome.recorded += record_landed(clone, reference, commit)
    _note_landed(outcome, mark_landed(queue, batch, commit))


def _note_landed(outcome: RepositoryReport, landed: LandedBatch | None) -> None:
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
