"""Whether a disk takes what is written, and how much of it is left."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

LEAST_BYTES, LEAST_FILES = 64 << 20, 1000


class ShortageKind(StrEnum):
    """What is short."""

    read_only = "read_only"
    """Nothing can be written at all."""
    bytes = "bytes"
    files = "files"
    """It has few inodes left."""


@dataclass(frozen=True)
class Shortage:
    """What a disk is short of; ``left`` is how much of it there is, in bytes or files."""

    kind: ShortageKind
    left: int = 0


def shortage(path: Path) -> Shortage | None:
    """What the disk that a path lies on is short of; ``None`` where it takes what is written.

    Raises:
        OSError: there is no such path.
    """
    disk = os.statvfs(path)
    if disk.f_flag & os.ST_RDONLY:
        return Shortage(ShortageKind.read_only)
    if (free := disk.f_bavail * disk.f_frsize) < LEAST_BYTES:
        return Shortage(ShortageKind.bytes, free)
    if disk.f_files and disk.f_favail < LEAST_FILES:  # some count no files
        return Shortage(ShortageKind.files, disk.f_favail)
    return None
