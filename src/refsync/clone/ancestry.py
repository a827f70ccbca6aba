"""How commits stand to each other: parents, where two parted, what one has that another lacks."""

from __future__ import annotations

from typing import NamedTuple

from refsync.clone.repository import Repository


class Distance(NamedTuple):
    """How many commits each of two has that the other lacks."""

    ahead: int
    behind: int


def parents(clone: Repository, commit: str) -> list[str]:
    """The parents of a commit in their order; none of the first one."""
    return clone.run("rev-parse", f"{commit}^@").output.decode().split()


def merge_base(clone: Repository, one: str, other: str) -> str | None:
    """Where two commits parted; ``None`` where they have nothing in common, or one is not there."""
    return clone.run("merge-base", one, other, accept=(0, 1, 128)).output.decode().strip() or None


def distance(clone: Repository, one: str, other: str) -> Distance:
    """How far one commit is ahead of another one, and behind it."""
    counted = clone.run("rev-list", "--left-right", "--count", f"{one}...{other}", "--").output.split()
    return Distance(*map(int, counted))


def own_commits(clone: Repository, tip: str, there: str) -> list[str]:
    """The commits that one has and another one lacks, newest first, each as short id, author and subject."""
    told = clone.run("log", "--format=%h %an: %s", tip, f"^{there}", "--").output
    return told.decode(errors="replace").splitlines()


def is_same_work(clone: Repository, one: str, other: str) -> bool:
    """Whether two commits have the same parents and files."""
    shown = [clone.run("log", "-1", "--format=%T %P", each).output for each in (one, other)]
    return shown[0] == shown[1]


def committed_at(clone: Repository, commit: str) -> int:
    """When a commit was made, as its committer's clock had it, in Unix seconds."""
    return int(clone.run("log", "-1", "--format=%ct", commit).output)
