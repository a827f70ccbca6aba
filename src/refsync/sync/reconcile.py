"""One pass: look at the world, do what is missing. Running it twice is harmless."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from loguru import logger

from refsync.categories import MODEL_REFERENCE_CATEGORY, CanonicalFormat
from refsync.clone.repository import Repository
from refsync.clone.worktree import finish_interrupted_landing
from refsync.errors import BranchMovedError, LocalEditsError, RefsyncError, TemporaryError
from refsync.pending_queue.models import Batch, BatchState, PendingChangeRecord, PendingChangeStatus
from refsync.pending_queue.service import PendingQueueService
from refsync.sync.apply import build, observe, reader, stamp_for
from refsync.sync.land import mark_landed, record_landed, settle_reserved
from refsync.sync.plan import BatchPlan, Model, Refusal, plan_batch
from refsync.sync.publish import publish_locally
from refsync.sync.reference import (
    ApplySettings,
    HeldBatch,
    PassReport,
    Progress,
    ReferenceRepository,
    RejectedChange,
    RepositoryReport,
)
from refsync.sync.sealing import holder_of, seal_when_due

RACE_ATTEMPTS = 5
"""How often a batch is rebuilt in one pass when somebody else moves the branch first."""


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
    seen = 0
    while True:
        states = (BatchState.sealed, BatchState.held)
        waiting = [
            batch for batch in queue.list_batches(states) if batch.repository == repository and batch.number > seen
        ]
        if not waiting:
            return
        batch = min(waiting, key=lambda waits: waits.number)
        seen = batch.number
        yield batch


def _settle(work: Pass, reference: ReferenceRepository, clone: Repository, outcome: RepositoryReport) -> None:
    """Finish or release what an earlier process left in the middle."""
    assert outcome.tip is not None
    for batch in _waiting_batches(work.queue, reference.name):
        if landed := settle_reserved(clone, work.queue, batch, outcome.tip):
            outcome.landed.append(landed)


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
            held = _try_batch(work, reference, clone, batch, awaited, outcome)
            break
        except BranchMovedError as moved:
            if attempt == RACE_ATTEMPTS - 1:
                raise
            logger.info("batch {}: {}; building it anew", batch.number, moved)
            clone.preflight()
            record_landed(clone, reference, clone.tip())
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
        outcome.landed.append(mark_landed(queue, batch, None))
        return None
    if plan.waiting:
        _split(queue, batch, plan.waiting)
    if batch.state == BatchState.held:
        queue.resume_batch(number)
    return _land(work, reference, clone, batch, plan, changes, outcome)


def _land(
    work: Pass,
    reference: ReferenceRepository,
    clone: Repository,
    batch: Batch,
    plan: BatchPlan,
    changes: Sequence[PendingChangeRecord],
    outcome: RepositoryReport,
) -> HeldBatch | None:
    queue, tip = work.queue, outcome.tip
    assert tip is not None
    queue.reserve_batch(batch.number)
    try:
        commit = build(clone, reference, tip, batch, plan, changes)
        if commit:
            queue.record_commit(batch.number, base_commit=tip, commit=commit)
            publish_locally(clone, batch, tip=tip, commit=commit)
    except LocalEditsError as problem:
        queue.release_batch(batch.number)
        return _hold(queue, batch, str(problem))
    except BaseException:
        settle_reserved(clone, queue, queue.get_batch(batch.number), clone.tip())
        raise
    if commit:
        outcome.tip = commit
        outcome.recorded += record_landed(clone, reference, commit)
    outcome.landed.append(mark_landed(queue, batch, commit))
    return None


def _open_changes(queue: PendingQueueService, number: int) -> list[PendingChangeRecord]:
    waiting = (PendingChangeStatus.APPROVED, PendingChangeStatus.APPLYING)
    return [change for change in queue.changes_of_batch(number) if change.status in waiting]


def _hold(queue: PendingQueueService, batch: Batch, reason: str) -> HeldBatch:
    if batch.state != BatchState.held or batch.reason != reason:
        queue.hold_batch(batch.number, reason)
        logger.warning("batch {}: held: {}", batch.number, reason)
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
    logger.warning("batch {}: change {} rejected: {}", change.batch_id, change.change_id, conflict.reason)
    return RejectedChange(change.change_id, conflict.reason)


def _record_error(reference: ReferenceRepository, category: MODEL_REFERENCE_CATEGORY, info: str) -> None:
    legacy = reference.written_format(category) is CanonicalFormat.legacy
    record = reference.metadata.record_legacy_error if legacy else reference.metadata.record_v2_error
    record(category, info, "GitBackend")
