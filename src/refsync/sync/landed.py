"""What landed: which batches did, and what their commits and all others did to the reference."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from loguru import logger

from refsync.clone.commits import parse_message
from refsync.clone.repository import Repository
from refsync.metadata.recorder import RecordedLanding
from refsync.pending_queue.daemon_door import DaemonDoor
from refsync.pending_queue.models import REFSYNC, Actor, Batch, PendingChangeRecord
from refsync.ranges import render_ranges
from refsync.reference.versions import Versions
from refsync.sync.evidence import all_are_there
from refsync.sync.reference import LandedBatch, Progress, ReferenceRepository


def find_landed_commit(
    clone: Repository,
    reference: ReferenceRepository,
    versions: Versions,
    batch: Batch,
    changes: Sequence[PendingChangeRecord],
    tip: str,
) -> str | None:
    """The commit by which a batch landed, ``None`` where git knows of none.

    The commit that was built, if the branch contains it; else the first-parent commit since that carries
    the batch's reservation token (a person may have amended ours) and whose records bear out each of its changes.
    """
    if batch.commit is None or batch.base_commit is None:
        return None
    if clone.contains(batch.commit, tip):
        return batch.commit
    if not clone.contains(batch.base_commit, tip):
        return None
    for landed in clone.first_parent_history(batch.base_commit, tip, reference.data_paths()):
        parsed = parse_message(landed.message)
        if parsed and parsed.job == batch.job:
            if all_are_there(clone, reference, versions, changes, batch.base_commit, landed.sha):
                return landed.sha
            logger.warning(
                "batch {}: {} carries its token, but not its records, and is not taken for it",
                batch.number,
                landed.sha[:12],
            )
    return None


def settle_reserved(
    clone: Repository,
    queue: DaemonDoor,
    reference: ReferenceRepository,
    versions: Versions,
    batch: Batch,
    tip: str,
) -> LandedBatch | None:
    """Ask git what became of a batch that a dead process left reserved: applied if it landed, else released.

    One that was proposed only is released here: what people made of it is for :mod:`refsync.publishing.proposals.land`.
    """
    reserved = queue.reserved_changes(batch.number)
    if batch.proposal is None:
        changes = [change for change in queue.changes_of_batch(batch.number) if change.change_id in reserved]
        if commit := find_landed_commit(clone, reference, versions, batch, changes, tip):
            return mark_landed(queue, batch, commit)
    if reserved:
        ids = render_ranges(reserved)
        logger.warning("batch {}: what was reserved did not land and is tried again, changes: {}", batch.number, ids)
        queue.release_batch(batch.number)
    return None


def mark_landed(
    queue: DaemonDoor,
    batch: Batch,
    commit: str | None,
    *,
    by: Actor | None = REFSYNC,
    edited: Collection[int] = (),
    notes: Mapping[int, str] | None = None,
) -> LandedBatch | None:
    """Turn the batch's changes into applied ones; ``None`` if none was left, which ends the batch too.

    ``by`` is who landed it, ``None`` where that is not known yet. ``notes`` say what else is to be known of a
    change, by its id; its history says so.
    """
    ids = queue.land_batch(batch.number, commit=commit, applied_by=by, edited=edited, notes=notes)
    if not ids:
        return None
    logger.info(
        "batch {batch}: landed as {commit}, changes: {changes}",
        batch=batch.number,
        changes=render_ranges(ids),
        commit=commit[:12] if commit else "what is there already",
    )
    return LandedBatch(batch.number, commit, ids)


def record_landed(
    clone: Repository,
    reference: ReferenceRepository,
    tip: str,
    versions: Versions,
    progress: Progress | None = None,
) -> RecordedLanding:
    """Record what every commit since the last recorded one did."""
    recorded = reference.recorder.record(clone, tip, versions=versions, progress=progress)
    if recorded.commits:
        logger.info(
            "{repository}: recorded up to {commit}, commits: {commits}, operations: {operations}",
            repository=reference.name,
            operations=len(recorded.operations),
            commits=recorded.commits,
            commit=tip[:12],
        )
    return recorded
