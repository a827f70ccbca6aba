"""What tells one version of a file from the next, without reading it."""

from __future__ import annotations

import os
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, Self

facts_of = attrgetter("st_size", "st_ino", "st_mtime_ns", "st_ctime_ns", "st_mtime")
"""What a ``FileState`` has of a ``stat``, as a plain tuple that compares with it; for those who ask often."""


class FileState(NamedTuple):
    """Size in bytes, inode, and the times of the last change; ``mtime`` in float seconds.

    A rewrite that keeps size and mtime still moves the inode (rename) or the ctime (in place).
    """

    size: int
    inode: int
    mtime_ns: int
    ctime_ns: int
    mtime: float

    @classmethod
    def of(cls, stat: os.stat_result) -> Self:
        """The state that a ``stat`` or ``fstat`` saw."""
        return cls._make(facts_of(stat))


Observed = FileState | OSError | None
"""A file's state; ``None`` where there is no file; or why it cannot be told."""


def observe(path: Path) -> Observed:
    """The file's present state."""
    try:
        return FileState.of(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return error
