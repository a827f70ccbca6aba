"""In which files two trees differ: only the folders that do are read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from refsync.clone.objects import FOLDER, TreeEntry

if TYPE_CHECKING:
    from refsync.clone.repository import Repository

_REGULAR, _EXECUTABLE, _MAY_RUN = 0o100644, 0o100755, 0o100


class ChangedEntry(NamedTuple):
    """What is no folder and differs: its path, what was there and what is; ``None`` where nothing is."""

    path: str
    old: TreeEntry | None
    new: TreeEntry | None


def changed_entries(
    repository: Repository, old: str | None, new: str | None, folder: str = ""
) -> Iterator[ChangedEntry]:
    """In what two trees differ, each given by its id; ``None`` is a tree that holds nothing.

    Raises:
        GitCommandError: one of them is missing or damaged.
    """
    before, after = (repository.tree(each) if each else {} for each in (old, new))
    for name in sorted({*before, *after}, key=os.fsencode):
        was, now = _canonical(before.get(name)), _canonical(after.get(name))
        if was == now:
            continue
        if _file(was) or _file(now):
            yield ChangedEntry(folder + name, _file(was), _file(now))
        if _folder(was) or _folder(now):
            yield from changed_entries(repository, _folder(was), _folder(now), f"{folder}{name}/")


def _canonical(entry: TreeEntry | None) -> TreeEntry | None:
    """Old versions of git kept who may write a file; today's take it for what it is without that."""
    if entry is None or entry.mode >> 12 != _REGULAR >> 12:
        return entry
    return TreeEntry(_EXECUTABLE if entry.mode & _MAY_RUN else _REGULAR, entry.id)


def _file(entry: TreeEntry | None) -> TreeEntry | None:
    return entry if entry and entry.mode != FOLDER else None


def _folder(entry: TreeEntry | None) -> str | None:
    return entry.id if entry and entry.mode == FOLDER else None
