"""Git's own lock files: which of them a killed git has left behind, and taking those away.

A lock is dead if no process has it open and no git works in the clone. Only those are looked at that a git of refsync
may have taken: a landing names them in its journal, everything else that writes refs in a note of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from glob import glob
from pathlib import Path
from typing import BinaryIO

from loguru import logger

from refsync.clone.processes import can_be_seen, gits_at_work_in, holders_of
from refsync.clone.repository import Repository
from refsync.durable_steps import durable_step
from refsync.scratch import made_mode

REFS_LOCKS = ("refs/remotes/**/*.lock", "refs/refsync/**/*.lock", "packed-refs.lock", "packed-refs.new", "shallow.lock")
"""What git may lock while refs other than a branch are written."""
FETCHING_LOCKS = (*REFS_LOCKS, "objects/pack/tmp_*", "objects/??/tmp_*")
"""What git may lock while it fetches, and what it has not yet brought under its own name."""
TIDYING_LOCKS = (
    *FETCHING_LOCKS,
    "HEAD.lock",
    "refs/heads/**/*.lock",
    "gc.pid.lock",
    "objects/maintenance.lock",
    "objects/info/*.lock",
    "objects/info/commit-graphs/*.lock",
    "objects/pack/*.lock",
    "objects/pack/.tmp-*",
    "objects/info/commit-graphs/tmp_graph_*",
)
"""What git may lock while it tidies up, and what it has not yet brought under its own name."""
CONFIG_LOCKS = ("config.lock", "config.worktree.lock")
"""What git locks while a setting is written."""
_NOTES = "refsync-writing-*"
_MAX_BYTES = 1 << 16


@contextlib.contextmanager
def writing(repository: Repository, locks: Sequence[str]) -> Iterator[None]:
    """Note meanwhile which locks git may take: what a kill leaves of them is cleared, now or by the next pass.

    Args:
        repository: the clone.
        locks: patterns of paths in ``.git``.
    """
    path = repository.git_directory / _NOTES.replace("*", secrets.token_hex(8))
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, made_mode(path.parent))
    with os.fdopen(descriptor, "r+b") as note:
        try:
            os.fchmod(descriptor, made_mode(path.parent))
            fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
            note.write(json.dumps(locks).encode())
            note.flush()
            with repository.inherited(descriptor):
                yield
        except BaseException:
            clear_dead_locks(repository, locks)
            raise
        finally:
            path.unlink(missing_ok=True)


@durable_step("clear the locks of dead processes")
def clear_left_behind(repository: Repository) -> None:
    """Take away the locks that a killed process, of which nothing lives any more, has left behind."""
    for name in glob(_NOTES, root_dir=repository.git_directory):
        path = repository.git_directory / name
        with contextlib.suppress(OSError), path.open("rb") as note:
            if _is_abandoned(note):
                clear_dead_locks(repository, _noted(note))
                path.unlink(missing_ok=True)


@durable_step("clear dead locks")
def clear_dead_locks(repository: Repository, locks: Iterable[str]) -> list[Path]:
    """Take away those of the locks that are dead, and say so in the log; returns them."""
    dead = dead_locks(repository, locks)
    for path in dead:
        path.unlink(missing_ok=True)
        logger.warning("{}: removed {}, which a killed git has left behind", repository.path, path)
    return dead


def dead_locks(repository: Repository, locks: Iterable[str]) -> list[Path]:
    """Those of the locks that no living process holds."""
    folders = {repository.git_directory, repository.common_directory}
    found = sorted({path for folder in folders for pattern in locks for path in folder.glob(pattern)})
    return [path for path in found if _is_dead(repository, path)]


def _is_dead(repository: Repository, lock: Path) -> bool:
    if not can_be_seen() or holders_of(lock) or _is_held(lock):
        return False
    return not gits_at_work_in(repository.path, repository.git_directory, repository.common_directory)


def _is_held(lock: Path) -> bool:
    """Whether a refsync holds it, which lets nobody see what it has open."""
    try:
        with lock.open("rb") as opened:
            return not _is_abandoned(opened)
    except OSError:
        return False


def _is_abandoned(note: BinaryIO) -> bool:
    try:
        fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _noted(note: BinaryIO) -> list[str]:
    try:
        noted = json.loads(note.read(_MAX_BYTES))
    except (ValueError, RecursionError):  # cut off by the crash
        return list(TIDYING_LOCKS)
    known = {*TIDYING_LOCKS, *CONFIG_LOCKS}
    return [each for each in noted if each in known] if isinstance(noted, list) else list(TIDYING_LOCKS)
