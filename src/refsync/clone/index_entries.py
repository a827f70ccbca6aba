"""What git's index says of the files of a work tree: the blob of each, and the file as it was when it was that blob.

By that git knows a file again without reading it, and so it is done here. A file that was written a short time before
the index may have changed since without a sign, and is not known again; git has the same rule.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from refsync.clone.file_identity import Identity, is_young, stat_identity
from refsync.clone.index_file import IndexEntry, read_entries, told_of

_STEP_NS = 2_000_000_000
"""In such steps some disks tell times."""


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
        self._read: tuple[Identity, Index | None] | None = None

    def read(self) -> Index | None:
        """What it says, no entries where there is none; ``None`` where git has to be asked: see ``read_entries``."""
        try:
            found = self._file.stat()  # looked at before it is read: what changes in between is read again
            identity = stat_identity(found)
            if self._read is not None and self._read[0] == identity:
                return self._read[1]
            entries = read_entries(self._file.read_bytes())
        except FileNotFoundError:
            return Index({})
        except OSError:
            return None
        index = None if entries is None else Index(entries, found.st_mtime_ns)
        self._read = None if is_young(identity) else (identity, index)
        return index


def _without_device(told: tuple[int, ...]) -> tuple[int, ...]:
    """A device may have another number after a restart."""
    return told[:4] + told[5:]
