"""Bringing to an end what a killed process has left in the middle of a landing."""

from __future__ import annotations

import fcntl
import os
import time
from typing import BinaryIO

from loguru import logger

from refsync.clone.differences import differences
from refsync.clone.git_locks import clear_dead_locks
from refsync.clone.journal import (
    JOURNAL,
    Landing,
    identity_of,
    is_ours,
    let_go,
    link_lock,
    read_note,
    release,
)
from refsync.clone.landing import bring_to_an_end, has_moved, undo
from refsync.clone.processes import end_processes, holders_of
from refsync.clone.repository import Repository
from refsync.clone.staging import lock_of, remove_staged, stage_index
from refsync.durable_steps import durable_step
from refsync.errors import GitBusyError, LandingRefusedError

_ORPHAN_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.05


@durable_step("finish an interrupted landing")
def finish_interrupted_landing(repository: Repository) -> str | None:
    """After a crash: go on with a landing whose branch had moved, undo one whose branch had not.

    A git of the dead process that is still at work is waited for, and ended if that takes too long. Where files or
    index cannot follow, the branch moves back.

    Returns:
        The commit whose landing was finished, ``None`` where there was nothing to finish.

    Raises:
        GitBusyError: another living process is landing.
        CloneError: the landing can go neither way.
    """
    try:
        descriptor = os.open(repository.git_directory / JOURNAL, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as journal:
        _claim(journal, repository)
        landing = read_note(journal).landing
        if landing is None:
            release(repository)
            return None
        try:
            clear_dead_locks(repository, landing.locks)
            finished = _bring_to_an_end(repository, landing)
        except BaseException:
            let_go(repository)  # no lock is held between passes; the journal is for the next one
            raise
        release(repository)
        return finished


def _bring_to_an_end(repository: Repository, landing: Landing) -> str | None:
    if not has_moved(repository, landing):
        undo(repository, landing)
        return None
    if not is_ours(repository):
        if repository.tip() != landing.new:  # a person has gone on since
            remove_staged(repository, landing)
            return None
        link_lock(repository)  # a person removed ours, as git advises
    try:
        _see_to_index(repository, landing)
        bring_to_an_end(repository, landing)
    except LandingRefusedError as refusal:
        logger.warning("{}; the branch is back at {}", refusal, landing.old[:12])
        return None
    return landing.new


def _see_to_index(repository: Repository, landing: Landing) -> None:
    """Have a staged index that is made of the present one: a person may have changed that since, or it is in place."""
    staged, index = repository.git_directory / landing.index, repository.git_directory / "index"
    if staged.exists() and identity_of(index) == landing.index_found:
        return
    staged.unlink(missing_ok=True)
    lock_of(staged).unlink(missing_ok=True)
    stage_index(repository, landing, differences(repository, landing.old, landing.new, landing.wanted))


def _claim(journal: BinaryIO, repository: Repository) -> None:
    """Take the journal's lock: nobody works on this landing any more, then."""
    if _is_locked(journal):
        return
    holder = read_note(journal).holder
    if holder is None or holder.is_alive():
        raise GitBusyError(f"{repository.path}: another refsync is landing a commit there")
    if _is_locked(journal, within=_ORPHAN_PATIENCE_SECONDS):
        return
    orphans = holders_of(repository.git_directory / JOURNAL)
    logger.warning("{}: ending git, left over by a refsync that was killed, processes: {}", repository.path, orphans)
    end_processes(orphans)
    if not _is_locked(journal, within=_ORPHAN_PATIENCE_SECONDS):
        raise GitBusyError(
            f"{repository.path}: git, left over by a refsync that was killed, is still at work there; "
            f"end it: kill -9 {' '.join(map(str, orphans))}"
        )


def _is_locked(journal: BinaryIO, *, within: float = 0.0) -> bool:
    deadline = time.monotonic() + within
    while True:
        try:
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True
