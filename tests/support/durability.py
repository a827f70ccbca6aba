"""What of the calls of some work would be lost by a power cut, though something else that is kept relies on it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.tracing import Call

_WRITES = frozenset({"write", "pwrite64", "writev", "pwritev", "ftruncate"})
_NAMES = frozenset({"rename", "renameat", "renameat2", "link", "linkat"})


class Disk:
    """The files under a folder that are written but not forced to disk, and the folders with names that are not."""

    def __init__(self, ground: Path) -> None:
        self._ground = str(ground)
        self.dirty: set[str] = set()
        self.names: dict[str, set[str]] = {}

    def faults(self, calls: Sequence[Call]) -> Iterator[str]:
        """Each file that got its name before it was on the disk."""
        for call in calls:
            if call.name in _WRITES and self._is_here(call.file):
                self.dirty.add(call.file)
            elif call.name in ("fsync", "fdatasync"):
                self.dirty.discard(call.file)
                self.names.pop(call.file, None)
            elif call.name in _NAMES and call.done:
                yield from self._named(*call.paths[-2:])
            elif call.name in ("unlink", "unlinkat", "rmdir") and call.done:
                self._forget(call.paths[-1])

    def _named(self, old: str, new: str) -> Iterator[str]:
        if not self._is_here(new):
            return
        if old in self.dirty:
            yield f"{old} became {new} before it was on the disk"
        moved = {path for path in self.dirty if path == old or path.startswith(f"{old}/")}
        self.dirty = (self.dirty - moved) | {new + path[len(old) :] for path in moved}
        self.names.setdefault(os.path.dirname(new), set()).add(os.path.basename(new))
        for folder in [each for each in self.names if each == old or each.startswith(f"{old}/")]:
            self.names[new + folder[len(old) :]] = self.names.pop(folder)
        self._forget_name(old)

    def _forget(self, path: str) -> None:
        self.dirty = {each for each in self.dirty if each != path}
        self._forget_name(path)

    def _forget_name(self, path: str) -> None:
        names = self.names.get(os.path.dirname(path), set())
        names.discard(os.path.basename(path))
        if not names:
            self.names.pop(os.path.dirname(path), None)

    def _is_here(self, path: str) -> bool:
        return path.startswith(f"{self._ground}/")
