"""The remote of a clone: fetch, push, and asking it what it has.

Each talks with it by :mod:`refsync.clone.conversation`. What fails is told by :mod:`refsync.clone.remote_errors`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from refsync.clone.access import origin_of
from refsync.clone.addresses import push_addresses
from refsync.clone.conversation import Remote as Remote
from refsync.clone.conversation import ask, place_of, urls_of
from refsync.clone.durability import durable
from refsync.clone.git_locks import FETCHING_LOCKS, writing
from refsync.clone.repository import Repository
from refsync.commands import git_command, track_branch
from refsync.durable_steps import durable_step
from refsync.errors import (
    BranchMissingError,
    BranchMovedError,
    CloneError,
    CredentialError,
    ObjectLostError,
    RefsyncError,
    RemoteRefusedError,
)
from refsync.file_patterns import pathspecs

_SERVED_BY = "--upload-pack=git-upload-pack"
"""The clone's config may name another command, which runs as the service where the remote is on this machine."""
_FETCH = ("fetch", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--no-auto-maintenance", _SERVED_BY)
_PUSH = (
    "push",
    "--porcelain",
    "--no-follow-tags",
    "--no-signed",
    "--recurse-submodules=no",
    "--receive-pack=git-receive-pack",
)


def url_of(clone: Repository, name: str) -> str:
    """Where a remote is, as git would ask it.

    Raises:
        GitCommandError: there is no such remote.
    """
    return clone.run("remote", "get-url", name).output.decode(errors="surrogateescape").strip()


@durable_step("fetch")
def fetch(
    clone: Repository, remote: Remote, refspecs: Sequence[str], *, prune: bool = False, paths: Collection[str] = ()
) -> None:
    """Bring what the refspecs name into the clone, with its whole history; a shallow clone is deepened.

    Args:
        clone: the clone.
        remote: where to fetch from.
        refspecs: ``[+]SOURCE:DESTINATION`` each, full names; nothing else is fetched.
        prune: delete the destinations of wildcards that the remote no longer has.
        paths: files whose versions in the new commits are needed; a partial clone gets them in one round trip.

    Raises:
        RemoteRefusedError: no access, no such branch, or a history that is cut off on the remote, too.
        RemoteUnavailableError: no answer in time, or nonsense.
        CredentialError: the credential cannot be read.
        CloneError: the clone has no such remote.
    """
    lazy = bool(paths) and clone.is_partial
    before = _tips(clone) if lazy else []
    shallow = clone.is_shallow
    depth = ["--unshallow"] if shallow else []
    pruning = "--prune" if prune else "--no-prune"
    try:
        with writing(clone, FETCHING_LOCKS):
            ask(clone, remote, *durable(), *_FETCH, "--refmap=", pruning, *depth, "--", remote.name, *refspecs)
    except BranchMissingError as problem:
        read_refs(clone, remote, "refs/heads/*")  # a page that is no git's looks as if the branch were gone
        raise BranchMissingError(f"{problem}{_renamed(clone, remote)}") from None
    if shallow and clone.is_shallow:
        raise place_of(clone, remote).refused(
            f"the history of {clone.path} is cut off (shallow) and the remote has no more of it, so nothing can be "
            f"counted; fetch from a complete repository: {git_command(clone.path, 'fetch', '--unshallow', 'URL')}"
        )
    if lazy:
        _fetch_blobs(clone, remote, _commits_with(clone, paths, _tips(clone), before), paths)


@durable_step("fetch contents")
def prefetch_blobs(
    clone: Repository, remote: Remote, commits_after: str | None, until: str, paths: Collection[str]
) -> None:
    """Get the versions of these files that a partial clone still lacks, in one round trip.

    Args:
        clone: the clone; nothing is done where it is complete.
        remote: where to fetch from.
        commits_after: the commit whose versions, and those behind it, are needed; ``None``: from the root.
        until: the last commit.
        paths: the files.

    Raises:
        RemoteRefusedError, RemoteUnavailableError, CredentialError, CloneError: as :func:`fetch`.
    """
    if not paths or not clone.is_partial:
        return
    boundary = [commits_after] if commits_after else []
    commits = _commits_with(clone, paths, [until], boundary)
    _fetch_blobs(clone, remote, [*commits, *boundary], paths)


def read_refs(clone: Repository, remote: Remote, *patterns: str) -> dict[str, str]:
    """Ask the remote which refs it has: full name to commit id.

    Args:
        clone: the clone.
        remote: whom to ask.
        patterns: full names, in which ``*`` stands for anything; without any, every ref.

    Raises:
        RemoteRefusedError, RemoteUnavailableError, CredentialError, CloneError: as :func:`fetch`.
    """
    # Lets the server send branches alone: forges have a ref or two for each pull request.
    only = ["--heads"] if patterns and all(pattern.startswith("refs/heads/") for pattern in patterns) else []
    listed = ask(clone, remote, "ls-remote", "--refs", _SERVED_BY, *only, "--", remote.name).output
    refs = (line.split("\t") for line in listed.decode(errors="surrogateescape").splitlines())
    found = {name: commit for commit, name in refs}
    if not found and any(map(origin_of, urls_of(clone, remote))):  # git takes many a web page for that
        raise place_of(clone, remote).unavailable(
            "it lists no branch at all, so it is empty or answers what is no git; check its URL; "
            f"{place_of(clone, remote).advice['again']}"
        )
    return {
        name: commit
        for name, commit in found.items()
        if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def clone_from(asking: Repository, remote: Remote, folder: Path, *options: str) -> None:
    """Clone what a remote has into a folder that is not there yet, by ``git clone`` with these options.

    Args:
        asking: a repository, an empty one for all it matters, that knows the remote.
        remote: where to clone from, and what lets us in.
        folder: the clone; it calls the remote by the same name.
        options: what else ``git clone`` is told.

    Raises:
        RemoteRefusedError, RemoteUnavailableError, CredentialError, CloneError: as :func:`fetch`.
    """
    (url, *_) = urls_of(asking, remote)
    ask(asking, remote, "clone", "--quiet", f"--origin={remote.name}", *options, "--", url, str(folder))


@durable_step("push")
def push(clone: Repository, remote: Remote, ref: str, commit: str | None, *, expected: str | None) -> None:
    """Move a ref on the remote by compare-and-swap; it is done when the remote, asked afterwards, has it.

    Args:
        clone: the clone.
        remote: where to push to.
        ref: the full name.
        commit: where to; ``None`` deletes the ref.
        expected: where from; ``None``: there must be no such ref yet.

    Raises:
        ObjectLostError: the clone has no such commit any more.
        BranchMovedError: it was not at ``expected``, and what is there now does not contain ``commit``.
        RemoteRefusedError: no access.
        PushRefusedError: a hook or rule of the remote refuses, with its words.
        RemoteUnavailableError: it did not arrive, or nobody can tell.
        CredentialError: the credential cannot be read.
        CloneError: the clone has no such remote.
    """
    failure = _try_push(clone, remote, ref, commit, expected)
    try:
        now = read_refs(clone, remote, ref).get(ref)
        arrived = now == commit or (now != expected and _went_on(clone, remote, ref, commit, now))
    except (RemoteRefusedError, CredentialError) as refusal:
        raise failure if isinstance(failure, RemoteRefusedError) else _unknown(clone, remote, ref, refusal) from None
    except RefsyncError as problem:
        raise _unknown(clone, remote, ref, problem) from None
    if arrived:
        return
    if now != expected:
        raise BranchMovedError(
            f"{clone.path}: remote {remote.name!r}: {_short(ref)} moved meanwhile, "
            f"from {_named(expected)} to {_named(now)}"
        )
    raise failure or place_of(clone, remote).unavailable(
        f"it reported success, but {_short(ref)} is still at {_named(expected)}; refsync pushes again by itself"
    )


def _try_push(
    clone: Repository, remote: Remote, ref: str, commit: str | None, expected: str | None
) -> RefsyncError | None:
    """Push once; what git said against it, which need not be true.

    By URL and not by name: the machine's own settings may say of such a name that it is a mirror, or elsewhere.
    """
    lease = f"--force-with-lease={ref}:{expected or ''}"
    try:
        for url in push_addresses(clone.settings(), remote.name) or [remote.name]:
            ask(clone, remote, *_PUSH, lease, "--", url, f"{commit or ''}:{ref}")
    except (CredentialError, CloneError):
        raise  # nothing was sent
    except RefsyncError as problem:
        if commit and not clone.has(commit):
            raise ObjectLostError(
                f"{clone.path}: git has lost the commit {commit[:12]}, which was to be pushed; it is built anew"
            ) from None
        return problem
    return None


def _went_on(clone: Repository, remote: Remote, ref: str, commit: str | None, now: str | None) -> bool:
    """Whether somebody has built on our commit already, so that it must have arrived."""
    if commit is None or now is None:
        return False
    ask(clone, remote, *_FETCH, "--refmap=", "--", remote.name, ref)
    return clone.contains(commit, now)


def _unknown(clone: Repository, remote: Remote, ref: str, problem: RefsyncError) -> RefsyncError:
    reason = str(problem).removeprefix(f"{place_of(clone, remote).named}: ")
    return place_of(clone, remote).unavailable(
        f"{_short(ref)} was pushed, but it is unknown whether it arrived; the next pass asks again ({reason})"
    )


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/")


def _renamed(clone: Repository, remote: Remote) -> str:
    """What to do if the branch is called otherwise now: the remote says which one is its main one."""
    said = ask(clone, remote, "ls-remote", "--symref", "--", remote.name, "HEAD").output
    found = re.match(r"ref: refs/heads/(.+)\tHEAD\n", said.decode(errors="surrogateescape"))
    if not found:
        return ""
    if remote.cloned_from:
        return f"; its main branch is {found[1]}"
    commands = " && ".join(track_branch(clone.path, remote.name, found[1]))
    return f"; its main branch is {found[1]}: if it was renamed, set `branch` to that, and run: {commands}"


def _named(commit: str | None) -> str:
    return commit[:12] if commit else "nothing"


def _tips(clone: Repository) -> list[str]:
    return clone.run("for-each-ref", "--format=%(objectname)").output.decode().split()


def _commits_with(clone: Repository, paths: Collection[str], until: Sequence[str], after: Sequence[str]) -> list[str]:
    """The commits in which one of these files changed, on side branches too."""
    limits = [f"^{commit}" for commit in after]
    asked = "\n".join([*until, *limits, "--", *pathspecs(paths)]).encode(errors="surrogateescape")
    return clone.run("rev-list", "--full-history", "--stdin", stdin=asked).output.decode().split()


def _fetch_blobs(clone: Repository, remote: Remote, commits: Sequence[str], paths: Collection[str]) -> None:
    """Fetch the blobs at these paths of these commits that are not there, as git itself fetches a missing one."""
    asked = "\n".join([*commits, "--", *pathspecs(paths)]).encode(errors="surrogateescape")
    walk = ("rev-list", "--objects", "--no-walk", "--missing=print", "--stdin")
    listed = clone.run(*walk, stdin=asked).output.decode(errors="surrogateescape") if commits else ""
    missing = [line[1:] for line in listed.splitlines() if line.startswith("?")]
    if not missing:
        return
    command = ("-c", "fetch.negotiationAlgorithm=noop", *durable(), *_FETCH, "--filter=blob:none", "--stdin")
    with writing(clone, FETCHING_LOCKS):
        ask(clone, remote, *command, "--", remote.name, stdin="".join(f"{blob}\n" for blob in missing).encode())
