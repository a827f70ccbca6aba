"""What a backend asks to tell whether everything around its clone is well; each check raises where it is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from refsync.clone.preflight import check_ready
from refsync.clone.repository import Repository
from refsync.errors import StateDirectoryError, TemporaryError
from refsync.pending_queue.queue_door import QueueDoor
from refsync.state_directory import StateDirectory
from refsync.sync.reference import ReferenceRepository


def health_checks(
    reference: ReferenceRepository, queue: QueueDoor, state: StateDirectory, *, oldest_pass_seconds: float
) -> dict[str, Callable[[], None]]:
    """The checks by name.

    Args:
        reference: the repository.
        queue: its store has to take writes.
        state: has to have room.
        oldest_pass_seconds: how long ago the last pass may be.
    """
    return {
        "branch": partial(_check_branch, reference),
        "store": queue.check_writable,
        "disk space": partial(_check_room, state),
        "last pass": partial(_check_last_pass, reference, queue, oldest_pass_seconds),
    }


def _check_branch(reference: ReferenceRepository) -> None:
    with Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
        check_ready(clone)
        clone.tip()


def _check_room(state: StateDirectory) -> None:
    if trouble := state.trouble():
        raise StateDirectoryError(trouble)


def _check_last_pass(reference: ReferenceRepository, queue: QueueDoor, oldest_seconds: float) -> None:
    note = queue.repository_notes().get(reference.name)
    last = note.last_pass_at if note else None
    if last is None or time.time() - last > oldest_seconds:
        ago = "never" if last is None else f"{time.time() - last:.0f} seconds ago"
        raise TemporaryError(f"{reference.name}: the last pass was {ago}; is the daemon running?")
