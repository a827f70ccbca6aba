"""Locks of files that a group shares; each dies with the process that holds it."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from refsync.errors import StateDirectoryError
from refsync.regular_files import open_own

FILE_MODE = 0o660
_POLL_SECONDS = 0.02


class LockFile:
    """A lock that is taken and given up; by anybody who opens the file, one at a time."""

    def __init__(self, file: Path) -> None:
        """Nothing is held yet."""
        self._file = file
        self._held: BinaryIO | None = None

    def acquire(self, timeout: float = math.inf) -> bool:
        """Wait for it so many seconds; whether it is ours now.

        Raises:
            StateDirectoryError: this user may not write its file, or that is something else.
        """
        deadline = time.monotonic() + timeout
        while True:
            with contextlib.ExitStack() as opened:
                handle = opened.enter_context(open_shared(self._file))
                if not lock_within(handle, fcntl.LOCK_EX, deadline - time.monotonic()):
                    return False
                if is_at(self._file, handle):  # else it was deleted meanwhile: others lock a new one
                    opened.pop_all()
                    self._held = handle
                    return True

    def release(self) -> None:
        """Give it up."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


@contextlib.contextmanager
def locked_within(file: Path, seconds: float) -> Iterator[bool]:
    """Hold the lock of a file of the group; gives whether it could be had, and within so many seconds."""
    try:
        handle = open_shared(file)
    except StateDirectoryError:
        yield False
        return
    with handle:
        yield lock_within(handle, fcntl.LOCK_EX, seconds)


def open_shared(path: Path) -> BinaryIO:
    """Open a file of the group for reading and writing, creating it."""
    try:
        descriptor = open_own(path, FILE_MODE)
    except OSError as problem:
        raise StateDirectoryError(f"{path}: {problem.strerror}; is the state directory this group's?") from None
    return os.fdopen(descriptor, "r+b", buffering=0)  # so that a full disk is told by the write, not by the close


def lock_within(handle: BinaryIO, kind: int, seconds: float) -> bool:
    """Wait so many seconds for a lock of this kind (of ``fcntl``); whether it is held now."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)


def is_at(path: Path, handle: BinaryIO) -> bool:
    """Whether others meet this lock: not where somebody has deleted its file."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
