"""Whether a clone is fit for a pass, before anything is done in it."""

from __future__ import annotations

from refsync.clone.durability import check_git_version
from refsync.clone.ref_files import is_empty, pointed_to_by_head
from refsync.clone.repository import Repository
from refsync.commands import git_command, track_branch
from refsync.errors import CloneError

_IN_PROGRESS = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}


def check_ready(clone: Repository) -> None:
    """See that the work tree shows the target branch and nobody is in the middle of something.

    Raises:
        GitCommandError: git is too old.
        CloneError: detached, on another branch, no commit yet, shallow, or a merge (rebase, ...) in progress.
    """
    check_git_version()
    if is_empty(clone.common_directory / clone.ref):
        raise clone.why_no_tip()
    head = pointed_to_by_head(clone.git_directory)
    if head is None:
        raise CloneError(f"{clone.path}: HEAD is detached; run: {_checkout(clone)}")
    if head != clone.ref:
        raise CloneError(
            f"{clone.path}: the clone is on branch {head.removeprefix('refs/heads/')!r}, not on the target "
            f"branch {clone.branch!r}; set `branch` to that one, or run: {_checkout(clone)}"
        )
    for name, what in _IN_PROGRESS.items():
        if (clone.git_directory / name).exists():
            raise CloneError(f"{clone.path}: a {what} is in progress; finish or abort it")
    check_depth(clone)


def check_depth(clone: Repository) -> None:
    """See that the history is whole, for the counters come of all of it.

    Raises:
        CloneError: the clone is shallow.
    """
    if clone.is_shallow:
        raise CloneError(
            f"{clone.path}: the clone is shallow: its history is cut off, and counters would be wrong; "
            f"run: {git_command(clone.path, 'fetch', '--unshallow')}"
        )


def _checkout(clone: Repository) -> str:
    """The commands that bring the work tree to the target branch, in their order."""
    remotes = clone.run("remote").output.decode(errors="surrogateescape").split()
    if clone.commit_of(clone.ref) or not remotes:
        return git_command(clone.path, "checkout", clone.branch, "--")
    remote = "origin" if "origin" in remotes else remotes[0]
    return " && ".join(track_branch(clone.path, remote, clone.branch))
