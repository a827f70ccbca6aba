"""How git is told to have on the disk what it writes, before it ends."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from refsync.clone.process import run_git
from refsync.errors import GitCommandError

OLDEST_GIT = (2, 32)


def durable() -> tuple[str, ...]:
    """Options of git: what it writes is on the disk when it ends. Each version of git is told by the key it knows."""
    if git_version() < (2, 36):
        return ("-c", "core.fsyncObjectFiles=true")
    return ("-c", "core.fsync=committed,loose-object,reference")


@cache
def git_version() -> tuple[int, int]:
    """Git's version, as it was when it was asked first."""
    found = re.search(r"(\d+)\.(\d+)", run_git(Path("/"), "version").output.decode(errors="replace"))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def check_git_version() -> None:
    """See that git knows all that it is told here; one that was updated meanwhile is asked anew.

    Raises:
        GitCommandError: it is too old.
    """
    if (version := git_version()) < OLDEST_GIT:
        git_version.cache_clear()
        found, wanted = (".".join(map(str, each)) for each in (version, OLDEST_GIT))
        raise GitCommandError(f"git {found} is too old; update it to {wanted} or newer")
