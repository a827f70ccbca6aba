"""What tells one version of a file from the next, without reading it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class FileState:
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
        return cls(stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_mtime)


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
