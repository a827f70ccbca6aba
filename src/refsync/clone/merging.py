"""Merges tried without a work tree, and without a ref that moves."""

from __future__ import annotations

from refsync.clone.durability import git_version
from refsync.clone.repository import Repository
from refsync.errors import GitCommandError

_CONFLICTS = 1
OLDEST_GIT_FOR_PROPOSALS = (2, 38)


def check_git(clone: Repository) -> None:
    """See that git can merge without a work tree, which following proposals needs.

    Raises:
        GitCommandError: it is too old.
    """
    if (version := git_version()) < OLDEST_GIT_FOR_PROPOSALS:
        raise GitCommandError(
            f"{clone.path}: git {version[0]}.{version[1]} is too old to tell whether a proposal still merges; "
            "update git to 2.38 or newer, "
            "or publish another way"
        )


def merged_tree(clone: Repository, one: str, other: str) -> str | None:
    """The tree of the merge of two commits; ``None`` where they conflict."""
    merged = clone.run("merge-tree", "--write-tree", "--name-only", one, other, accept=(0, _CONFLICTS))
    return None if merged.code else merged.output.decode().split("\n")[0].strip()
