"""In which files two trees differ: only the folders that do are read."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, Self

from refsync.clone.objects import FOLDER, TreeEntry
from refsync.errors import CloneError
from refsync.file_patterns import is_pattern, starred

if TYPE_CHECKING:
    from refsync.clone.repository import Repository

MOST_PATHS = 100_000
MOST_FOLDERS = 100
"""How many files a commit may change, and how deep they may lie, for a clone to follow it."""

_REGULAR, _EXECUTABLE, _MAY_RUN = 0o100644, 0o100755, 0o100


class ChangedEntry(NamedTuple):
    """What is no folder and differs: its path, what was there and what is; ``None`` where nothing is."""

    path: str
    old: TreeEntry | None
    new: TreeEntry | None


def changed_entries(
    repository: Repository, old: str | None, new: str | None, paths: Collection[str] = ()
) -> Iterator[ChangedEntry]:
    """In what two trees differ, each given by its id; ``None`` is a tree that holds nothing.

    Args:
        repository: the clone.
        old: the one tree.
        new: the other one.
        paths: look at these only, at what a pattern means, and at what is on the way there; without any, at everything.

    Raises:
        GitCommandError: one of them is missing or damaged.
        CloneError: they differ in more than anybody would land: a few small trees can stand for millions of files.
    """
    wanted = _Wanted.of(paths)
    for count, found in enumerate(_changed(repository, old, new, wanted, "")):
        if count == MOST_PATHS:
            raise CloneError(f"{repository.path}: a commit changes more than {MOST_PATHS} files, which is not taken")
        yield found


class _Wanted(NamedTuple):
    """Paths with what is on the way to them, and patterns."""

    paths: frozenset[str]
    patterns: tuple[str, ...]

    @classmethod
    def of(cls, paths: Collection[str]) -> Self:
        ways = frozenset(str(each) for path in paths for each in (PurePosixPath(path), *PurePosixPath(path).parents))
        return cls(ways, tuple(path for path in paths if is_pattern(path)))

    def has(self, path: str) -> bool:
        return path in self.paths or not self.paths or any(starred(each, path) is not None for each in self.patterns)


def _changed(
    repository: Repository, old: str | None, new: str | None, wanted: _Wanted, folder: str
) -> Iterator[ChangedEntry]:
    if folder.count("/") > MOST_FOLDERS:
        raise CloneError(f"{repository.path}: a commit has folders deeper than {MOST_FOLDERS}, which is not taken")
    before, after = (repository.tree(each) if each else {} for each in (old, new))
    for name in sorted({*before, *after}, key=os.fsencode):
        was, now = _canonical(before.get(name)), _canonical(after.get(name))
        if was == now or not wanted.has(folder + name):
            continue
        if _file(was) or _file(now):
            yield ChangedEntry(folder + name, _file(was), _file(now))
        if _folder(was) or _folder(now):
            yield from _changed(repository, _folder(was), _folder(now), wanted, f"{folder}{name}/")


def _canonical(entry: TreeEntry | None) -> TreeEntry | None:
    """Old versions of git kept who may write a file; today's take it for what it is without that."""
    if entry is None or entry.mode >> 12 != _REGULAR >> 12:
        return entry
    return TreeEntry(_EXECUTABLE if entry.mode & _MAY_RUN else _REGULAR, entry.id)


def _file(entry: TreeEntry | None) -> TreeEntry | None:
    return entry if entry and entry.mode != FOLDER else None


def _folder(entry: TreeEntry | None) -> str | None:
    return entry.id if entry and entry.mode == FOLDER else None
