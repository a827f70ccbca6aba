"""What git's index says of the files of a work tree: the blob of each, and the file as it was when it was that blob.

By that git knows a file again without reading it, and so it is done here. A file that was written a short time before
the index may have changed since without a sign, and is not known again; git has the same rule.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from refsync.clone.index_file import DAMAGED, Entry, entries_of, extensions_of, is_known, told_of

_FIXED = struct.Struct(">10I20sH")
_SKIP_WORKTREE = 0x40
_STEP_NS = 2_000_000_000
"""In such steps some disks tell times."""
_YOUNG_NS = 100_000_000
"""An index that was written so short a time ago may be replaced by one that looks the same."""


class IndexEntry(NamedTuple):
    """What is said of a path.

    ``told`` is of the file that was seen to be the blob, as of :func:`refsync.clone.index_file.told_of`;
    ``skip_worktree``: the work tree of a sparse clone leaves it out.
    """

    mode: int
    blob: str
    told: tuple[int, ...]
    skip_worktree: bool


class Index(NamedTuple):
    """The entries by their paths, and when they were written."""

    entries: Mapping[str, IndexEntry]
    written_ns: int = 0

    def knows(self, path: str, file: os.stat_result) -> bool:
        """Whether a file, by what ``lstat`` says, is for sure the one that was seen to be the blob of its entry."""
        is_old = file.st_size > 0 and self.written_ns - max(file.st_mtime_ns, file.st_ctime_ns) > _STEP_NS
        return is_old and _without_device(self.entries[path].told) == _without_device(told_of(file))

    def in_doubt(self) -> Iterator[tuple[str, IndexEntry]]:
        """The entries whose files may have changed since without a sign: they are no older than the index itself."""
        for path, entry in self.entries.items():
            if self.written_ns - (entry.told[2] * 10**9 + entry.told[3]) <= _STEP_NS:
                yield path, entry


class IndexFile:
    """The index of a clone, read anew when another one has taken its place."""

    def __init__(self, file: Path) -> None:
        """That of this file, which need not be there."""
        self._file = file
        self._read: tuple[tuple[int, ...], Index | None] | None = None

    def read(self) -> Index | None:
        """What it says; no entries where there is none.

        Returns:
            ``None`` where git has to be asked: it is damaged, in the middle of a merge, or of a kind that has other
            entries than one for each file (split, or with folders).
        """
        try:
            found = self._file.stat()  # looked at before it is read: what changes in between is read again
            identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            if self._read is not None and self._read[0] == identity:
                return self._read[1]
            entries = read_entries(self._file.read_bytes())
        except FileNotFoundError:
            return Index({})
        except OSError:
            return None
        index = None if entries is None else Index(entries, found.st_mtime_ns)
        self._read = (identity, index) if time.time_ns() - max(identity[-2:]) > _YOUNG_NS else None
        return index


def read_entries(index: bytes) -> dict[str, IndexEntry] | None:
    """The entries by their paths, of the content of an index; ``None`` as of :meth:`IndexFile.read`."""
    try:
        entries = list(entries_of(index))
        read = {os.fsdecode(entry.path): _read(index, entry) for entry in entries}
    except DAMAGED:
        return None
    extensions = extensions_of(index, entries)
    if not is_known(index) or extensions is None or not all(name[:1].isupper() for name in extensions):
        return None  # an extension in lower case has to be understood
    return None if any(entry.stage for entry in entries) else read


def _read(index: bytes, entry: Entry) -> IndexEntry:
    *times_and_place, mode, user, group, size, blob, _ = _FIXED.unpack_from(index, entry.position)
    skips = entry.has_more_flags and index[entry.position + _FIXED.size] & _SKIP_WORKTREE
    return IndexEntry(mode, blob.hex(), (*times_and_place, user, group, size), bool(skips))


def _without_device(told: tuple[int, ...]) -> tuple[int, ...]:
    """A device may have another number after a restart."""
    return told[:4] + told[5:]
