"""When the open batch is sealed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from loguru import logger

from refsync.categories import CategoryName
from refsync.pending_queue.daemon_door import DaemonDoor
from refsync.pending_queue.models import REFSYNC, Actor, Batch
from refsync.pending_queue.review_door import ReviewDoor
from refsync.sync.reference import ApplySettings, ReferenceRepository


def seal_when_due(
    queue: DaemonDoor,
    batch: Batch | None,
    repositories: Sequence[ReferenceRepository],
    apply: ApplySettings,
) -> tuple[list[Batch], float | None]:
    """Seal the open batch, if there is one and its time has come.

    Returns:
        The sealed batches, and the seconds until the open batch settles (``None``: not by time).
    """
    now = time.time()
    if batch is not None and (batch.last_approved_at or batch.opened_at) > now:
        batch = queue.open_batch(approved_until=now)
    if batch is None:
        return [], None
    wait = seconds_until_due(batch, apply, now)
    if wait is None or wait > 0:
        return [], wait
    return seal_now(queue, repositories), None


def seal_now(
    queue: DaemonDoor | ReviewDoor, repositories: Sequence[ReferenceRepository], *, actor: Actor = REFSYNC
) -> list[Batch]:
    """Seal the open batch, whatever the settings say; one batch for each repository that it touches."""
    sealed = queue.seal_open_batch(lambda category: holder_of(repositories, category), actor=actor)
    for batch in sealed:
        logger.info("batch {batch}: sealed for {repository}", batch=batch.number, repository=batch.repository)
    return sealed


def holder_of(repositories: Sequence[ReferenceRepository], category: CategoryName) -> str | None:
    """The name of the repository that holds a category, ``None`` where none does."""
    return next((each.name for each in repositories if each.written_file(category)), None)


def seconds_until_due(batch: Batch, apply: ApplySettings, now: float) -> float | None:
    """Seconds until the batch is to be sealed, 0 if it is due; ``None`` where no clock decides it.

    A schedule counts from the last approval, so that a time that passed while no daemon ran is caught up. An
    approval in the future is one that was given while the clock went ahead.
    """
    approved_at = min(batch.last_approved_at or batch.opened_at, now)
    if apply.when == "approval":
        return max(0.0, approved_at + apply.settle_seconds - now)
    if apply.when == "schedule":
        return max(0.0, apply.next_time(approved_at) - now)
    return None
