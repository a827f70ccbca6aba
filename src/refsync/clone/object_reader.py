"""Reading git's objects: in this process where that can be done, else by a git that is kept for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from refsync.clone.cat_file import CatFile
from refsync.clone.objects import GitObject, object_id

if TYPE_CHECKING:
    from refsync.clone.object_database import ObjectDatabase

_ID = re.compile(r"[0-9a-f]{40}")
_KEPT_BYTES = 16 * 1024 * 1024
_FEW = 32
"""Who reads more, as to count a whole history, is served quicker by a git, for that keeps what it unravels."""


class ObjectReader:
    """Reads objects of one clone, until it is closed."""

    def __init__(self, new_git: Callable[[], CatFile], objects: Path) -> None:
        """Read the objects that lie in this folder, and have git read those that cannot be read here."""
        self._objects = objects
        self._database: ObjectDatabase | None = None
        self._new_git = new_git
        self._git = new_git()
        self._count = 0
        self._kept: dict[str, GitObject] = {}
        self._blobs: dict[str, GitObject] = {}
        self._blob_bytes = 0

    def read(self, name: str) -> GitObject | None:
        """The object of an id, or of a name such as ``COMMIT^{tree}``; ``None`` if it is not there.

        Raises:
            GitInterruptedError: git died before it had given all of it.
            GitTimeoutError: it did not give it in time.
            GitCommandError: git is not installed.
        """
        if known := self._kept.get(name) or self._blobs.get(name):
            return known
        if self._count >= _FEW or not _ID.fullmatch(name):
            return self._git.read(name)
        self._count += 1
        found = self._read_here(name) or _checked(self._git.read(name))
        if found and found.kind in ("commit", "tree"):
            self._kept[name] = found
        return found

    def keep(self, found: GitObject) -> None:
        """A blob whose bytes were just written, or read elsewhere, need not be read; of them the last ones are kept.

        Whether the commit that it belongs to is still there is seen at that one.
        """
        if found.kind != "blob" or found.id in self._blobs:
            return
        self._blobs[found.id] = found
        self._blob_bytes += len(found.content)
        while len(self._blobs) > 1 and self._blob_bytes > _KEPT_BYTES:
            oldest = self._blobs.pop(next(iter(self._blobs)))
            self._blob_bytes -= len(oldest.content)

    def read_all(self, names: Iterable[str]) -> Generator[GitObject]:
        """Those of these objects that are there, in their order, by a git of their own: for a whole history.

        Raises:
            GitInterruptedError: git died before it had given all of it.
            GitTimeoutError: it did not give one in time.
            GitCommandError: git is not installed.
        """
        with self._new_git() as git:
            yield from filter(None, git.read_all(names))

    def _read_here(self, id: str) -> GitObject | None:
        database = self._opened()
        return database.read(id) if database else None

    def _opened(self) -> ObjectDatabase | None:
        if self._database is None:
            try:
                from refsync.clone.object_database import ObjectDatabase  # slow: it imports GitPython
            except ImportError:  # GitPython wants to see a git that works; the reader that is one says what is wrong
                return None
            self._database = ObjectDatabase(self._objects)
        return self._database

    def close(self) -> None:
        """End git, and free descriptors and mappings."""
        if self._database:
            self._database.close()
        self._database = None
        self._git.close()


def _checked(found: GitObject | None) -> GitObject | None:
    """What git gave, if it is what was asked for: it does not look itself."""
    return found if found and object_id(found.kind, found.content) == found.id else None
