"""Refs that refsync writes: its own below ``refs/refsync/``, and those that tell where the remote's branches stand.

A name that comes from a branch has its slashes escaped: else the ref for ``release`` would stand in the way of the one
for ``release/2``, as a file where a folder has to be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from refsync.clone.durability import durable
from refsync.clone.git_locks import REFS_LOCKS, writing
from refsync.clone.ref_files import delete_ref, refs_under, write_ref
from refsync.clone.repository import Repository
from refsync.durable_steps import durable_step

_OURS = "refs/refsync/"
_BUILT = f"{_OURS}built/"
_FOLLOWED = f"{_OURS}followed/"


def followed_ref(remote: str, branch: str) -> str:
    """The ref that keeps where a branch of the remote was when the clone followed it last."""
    return f"{_FOLLOWED}{_escaped(remote)}/{_escaped(branch)}"


def built_ref(job: str) -> str:
    """The ref that keeps a batch's commit from the moment that it is built until it has landed or is given up."""
    return _BUILT + _escaped(job)


@durable_step("set a ref")
def set_ref(clone: Repository, ref: str, commit: str) -> None:
    """Let a ref stand at a commit."""
    with writing(clone, REFS_LOCKS):
        if not _written_here(clone, ref, commit):
            clone.run(*durable(), "update-ref", ref, commit)


@durable_step("delete refs")
def delete_refs(clone: Repository, refs: Collection[str]) -> None:
    """Delete refs; those that are not there are no fault."""
    if not refs:
        return
    with writing(clone, REFS_LOCKS):
        if left := [ref for ref in refs if not _deleted_here(clone, ref)]:
            commands = "".join(f"delete {ref}\0\0" for ref in left).encode(errors="surrogateescape")
            clone.run(*durable(), "update-ref", "-z", "--stdin", stdin=commands)


def _written_here(clone: Repository, ref: str, commit: str) -> bool:
    """Write a ref of ours without git; it keeps logs of others."""
    if not ref.startswith(_OURS):
        return False
    try:
        write_ref(clone.common_directory, ref, commit)
    except OSError:  # git says better what is in the way
        return False
    return True


def _deleted_here(clone: Repository, ref: str) -> bool:
    try:
        return ref.startswith(_OURS) and delete_ref(clone.common_directory, ref)
    except OSError:  # git says better what is in the way
        return False


@durable_step("note what the clone follows")
def follow(clone: Repository, remote: str, branch: str, commit: str) -> None:
    """Keep that the clone has followed a branch of the remote to a commit."""
    ref = followed_ref(remote, branch)
    delete_refs(clone, [old for old in refs_under(clone.common_directory, _FOLLOWED) if _is_of_old(old)])
    if clone.commit_of(ref) != commit:
        set_ref(clone, ref, commit)


def followed_to(clone: Repository, remote: str, branch: str) -> str | None:
    """The commit to which the clone has followed a branch of the remote; ``None`` where it has not yet."""
    return clone.commit_of(followed_ref(remote, branch)) or clone.commit_of(f"{_FOLLOWED}{remote}/{branch}")


@durable_step("keep a built commit")
def keep_built(clone: Repository, job: str, commit: str) -> None:
    """Keep a commit that was built from being pruned until it is published."""
    set_ref(clone, built_ref(job), commit)


@durable_step("forget built commits")
def forget_built(clone: Repository, open_jobs: Callable[[], Iterable[str]]) -> None:
    """Let go of the commits of all batches but those that are still open, which is asked where a commit is kept."""
    if kept := refs_under(clone.common_directory, _BUILT):
        open_refs = {built_ref(job) for job in open_jobs()}
        delete_refs(clone, [ref for ref in kept if ref not in open_refs])


def commits_of_refs(clone: Repository, pattern: str) -> dict[str, str]:
    """The refs that a pattern names, a whole folder or, with stars, some in it, and the objects that they stand at."""
    listed = clone.run("for-each-ref", "--format=%(refname) %(objectname)", pattern).output
    lines = listed.decode(errors="surrogateescape").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def _is_of_old(ref: str) -> bool:
    """Whether its name still has a branch's slashes in it."""
    return ref.removeprefix(_FOLLOWED).count("/") > 1


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")
