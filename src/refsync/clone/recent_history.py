"""The newest commits of a branch, read in process: those that have landed since the last pass."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from refsync.clone.history import FileChange, LandedCommit, seconds
from refsync.clone.tree_walk import ChangedEntry, changed_entries

if TYPE_CHECKING:
    from refsync.clone.repository import Repository

_FEW = 8
"""Who is further behind asks git, which walks quicker."""


def first_parents_between(repository: Repository, after: str, until: str) -> list[str] | None:
    """The first-parent commits behind ``after`` up to ``until``, newest first; ``None`` where git has to be asked.

    That is: ``after`` is no first parent, or lies too far back, or a commit is such as only git can read.
    """
    found: list[str] = []
    while until != after:
        commit = repository.commit(until)
        if commit is None or not commit.parents or len(found) == _FEW:
            return None
        found.append(until)
        until = commit.parents[0]
    return found


def recent_history(
    repository: Repository, after: str, until: str, paths: Collection[str] = ()
) -> list[LandedCommit] | None:
    """The commits of :func:`first_parents_between`, oldest first, each compared with its first parent at the paths."""
    found = first_parents_between(repository, after, until)
    return None if found is None else [_landed(repository, commit, paths) for commit in reversed(found)]


def _landed(repository: Repository, id: str, paths: Collection[str]) -> LandedCommit:
    commit = repository.commit(id)
    assert commit  # it is one of the chain
    parent, *merged = commit.parents
    changed = changed_entries(repository, repository.tree_of(parent), commit.tree, paths)
    return LandedCommit(
        sha=id,
        parent=parent,
        committed_at=seconds(str(commit.committed_at)),
        committer=commit.committer,
        author=commit.author,
        message=commit.message,
        files=tuple(map(_file_change, changed)),
        merged=tuple(merged),
    )


def _file_change(changed: ChangedEntry) -> FileChange:
    path, old, new = changed
    return FileChange(path, old and old.id, new and new.id, f"{new.mode:06o}" if new else None)
