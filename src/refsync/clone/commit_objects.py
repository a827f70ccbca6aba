"""Commits as git stores them, read and written by GitPython."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, NamedTuple, cast

from refsync.clone.objects import GitObject, new_object

if TYPE_CHECKING:
    from git import Actor, Commit, Repo

_NO_ID = bytes(20)
_NO_REPOSITORY = cast("Repo", None)
"""GitPython asks it only for what a commit itself does not hold."""


class StoredCommit(NamedTuple):
    """What a commit says; people are ``Name <mail>``, the date is in Unix seconds."""

    tree: str
    parents: tuple[str, ...]
    committed_at: int
    committer: str
    author: str
    message: str


def parse_commit(content: bytes) -> StoredCommit | None:
    """What a commit says; ``None`` for one that GitPython does not understand whole, which only git can tell of."""
    from git import Commit

    commit = Commit(_NO_REPOSITORY, _NO_ID)
    try:
        commit._deserialize(io.BytesIO(content))
        if (
            b"\0" in content or _written(commit) != content
        ):  # git ends there; a header or a byte that is no text is lost
            return None
    except (ValueError, LookupError, AttributeError, AssertionError):
        return None
    return StoredCommit(
        tree=commit.tree.hexsha,
        parents=tuple(parent.hexsha for parent in commit.parents),
        committed_at=commit.committed_date,
        committer=_shown(commit.committer),
        author=_shown(commit.author),
        message=str(commit.message),
    )


def _shown(person: Actor) -> str:
    return f"{(person.name or '').strip()} <{person.email}>"


def new_commit(tree: str, parent: str, *, author: str, message: str) -> GitObject:
    """The commit of a tree on a parent, made now; ``author`` is ``Name <mail>``, author and committer."""
    from git import Actor, Commit, Tree

    name, _, mail = author.removesuffix(">").rpartition(" <")
    now = time.time()
    west = -time.localtime(now).tm_gmtoff
    commit = Commit(
        _NO_REPOSITORY,
        _NO_ID,
        tree=Tree(_NO_REPOSITORY, bytes.fromhex(tree)),
        author=Actor(name, mail),
        authored_date=int(now),
        author_tz_offset=west,
        committer=Actor(name, mail),
        committed_date=int(now),
        committer_tz_offset=west,
        message=message.encode("utf-8", errors="replace"),
        parents=[Commit(_NO_REPOSITORY, bytes.fromhex(parent))],
        encoding=Commit.default_encoding,
    )
    return new_object("commit", _written(commit))


def _written(commit: Commit) -> bytes:
    content = io.BytesIO()
    commit._serialize(content)
    return content.getvalue()
