"""The remote of a repository: asking it for news, and bringing the clone to what it has.

The local target branch only ever moves to what the remote has.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import Protocol

from loguru import logger

from refsync.clone.ancestry import distance, own_commits
from refsync.clone.differences import missing_contents
from refsync.clone.landing import index_locked, land
from refsync.clone.ref_files import refs_under
from refsync.clone.refs import follow, followed_to, set_ref
from refsync.clone.remotes import Remote, fetch, prefetch_blobs, push, read_refs
from refsync.clone.repository import Repository
from refsync.commands import git_command
from refsync.durable_steps import durable_step
from refsync.errors import (
    BranchMissingError,
    BranchMovedError,
    CloneError,
    CredentialError,
    RefsyncError,
    RemoteRefusedError,
    RemoteUnavailableError,
)
from refsync.sync.publisher import Standing
from refsync.sync.reference import ReferenceRepository

FRESH_SECONDS = 2.0
"""How long ago the remote may have been asked when a commit is built."""
_MAX_NAMED_COMMITS = 3


@dataclass(frozen=True)
class Upstream:
    """The remote that a clone follows, and how often it is asked.

    ``attempts``: how often a batch is planned anew in one pass when somebody else was quicker. ``proposals``: the
    prefix of the branches that are fetched beside the target branch. ``has_forge``: whether there may be news that git
    does not tell. ``pushed`` is told of each push, and why it failed.
    """

    remote: Remote = field(default_factory=Remote)
    fetch_seconds: float = 60.0
    attempts: int = 5
    proposals: str | None = None
    has_forge: bool = False
    pushed: Callable[[RefsyncError | None], None] = lambda failure: None

    def tracking_ref(self, branch: str) -> str:
        """The ref by which the clone knows where a branch of the remote stood when it was asked last."""
        return f"refs/remotes/{self.remote.name}/{branch}"


class Remotes(Protocol):
    """Who asks the remotes: a pass by itself, or the daemon beside its passes."""

    def ask(self, reference: ReferenceRepository, upstream: Upstream, clone: Repository, *, within: float) -> None:
        """Fetch a repository's news, unless it was asked within so many seconds.

        Raises:
            RemoteUnavailableError: the remote does not answer.
            RemoteRefusedError: it refuses.
            CredentialError: what should let us in cannot be read.
        """
        ...

    def answered(self, reference: ReferenceRepository) -> None:
        """The remote has just told where its branches stand, by another way."""
        ...


class AskAtOnce:
    """Asks in the thread of the pass; made for one pass."""

    def __init__(self) -> None:
        self._asked_at: dict[str, float] = {}

    def ask(self, reference: ReferenceRepository, upstream: Upstream, clone: Repository, *, within: float) -> None:
        """Fetch; see :class:`Remotes`."""
        if time.monotonic() - self._asked_at.get(reference.name, float("-inf")) > within:
            fetch_news(reference, upstream, clone)
            self.answered(reference)

    def answered(self, reference: ReferenceRepository) -> None:
        """See :class:`Remotes`."""
        self._asked_at[reference.name] = time.monotonic()


def fetch_news(reference: ReferenceRepository, upstream: Upstream, clone: Repository) -> None:
    """Fetch the target branch, and the proposal branches where there are some; raises as ``Remotes.ask`` does."""
    if _is_up_to_date(reference, upstream, clone):
        return
    refspecs = [f"+refs/heads/{reference.branch}:{upstream.tracking_ref(reference.branch)}"]
    prefix = upstream.proposals
    if prefix is not None:
        refspecs.append(f"+refs/heads/{prefix}*:{upstream.tracking_ref(prefix)}*")
    fetch(clone, upstream.remote, refspecs, prune=prefix is not None, paths=reference.data_paths())


def _is_up_to_date(reference: ReferenceRepository, upstream: Upstream, clone: Repository) -> bool:
    """Whether the clone knows where the branches stand: to ask that is much less work than a fetch in vain."""
    if clone.is_shallow:
        return False
    names = [reference.branch] if upstream.proposals is None else [reference.branch, f"{upstream.proposals}*"]
    asked = read_refs(clone, upstream.remote, *(f"refs/heads/{name}" for name in names))
    there = {upstream.tracking_ref(ref.removeprefix("refs/heads/")): commit for ref, commit in asked.items()}
    followed = [upstream.tracking_ref(name) for name in names]
    kept = refs_under(clone.common_directory, upstream.tracking_ref(""))
    here = {ref: clone.commit_of(ref) for ref in kept if any(fnmatchcase(ref, each) for each in followed)}
    return upstream.tracking_ref(reference.branch) in there and there == here


def fetch_versions(reference: ReferenceRepository, remote: Remote, clone: Repository, tip: str) -> None:
    """Get, for a partial clone, what counting up to the tip will read: in one round trip and not one blob at a time.

    Where the remote does not answer, git asks it for each blob that is read, and counting tells what cannot be had.
    """
    recorded = reference.recorder.recorded_tip
    if recorded == tip or not clone.is_partial:
        return
    after = recorded if recorded and clone.contains(recorded, tip) else None
    with suppress(RemoteUnavailableError, RemoteRefusedError, CredentialError):
        prefetch_blobs(clone, remote, after, tip, reference.data_paths())


@durable_step("follow the remote")
def catch_up(clone: Repository, reference: ReferenceRepository, upstream: Upstream) -> str:
    """Bring the target branch, files and index to what the remote was last seen to have; returns the tip.

    Raises:
        CloneError: the clone has commits that the remote lacks; a person has to push or remove them.
        LocalEditsError: a person's uncommitted work is in a file that would change.
        BranchMovedError: somebody moved the branch meanwhile.
        RemoteRefusedError: the remote has no such branch.
    """
    tip, there = clone.tip(), clone.commit_of(upstream.tracking_ref(reference.branch))
    if there is None:
        raise BranchMissingError(
            f"{clone.path}: remote {upstream.remote.name!r}: it has no branch {reference.branch}; "
            "push one there, or correct `branch`"
        )
    followed = followed_to(clone, upstream.remote.name, reference.branch)
    if tip != there:
        if not clone.contains(tip, there):
            _check_rewritten(clone, reference, upstream, tip, there, followed)
        wanted = reference.data_paths()
        if missing := missing_contents(clone, old=tip, new=there, wanted=wanted):
            prefetch_blobs(clone, upstream.remote, tip, there, missing)
        reason = f"refsync: follow {upstream.remote.name}/{reference.branch}"
        with index_locked(clone) as lock:
            land(lock, old=tip, new=there, reason=reason, wanted=wanted)
    if followed != there:
        follow(clone, upstream.remote.name, reference.branch, there)
    return there


def push_told(clone: Repository, upstream: Upstream, branch: str, commit: str | None, *, expected: str | None) -> None:
    """Move a branch of the remote, as ``push`` does, and tell how that ended."""
    try:
        push(clone, upstream.remote, f"refs/heads/{branch}", commit, expected=expected)
    except RefsyncError as failure:
        upstream.pushed(failure)
        raise
    upstream.pushed(None)


@durable_step("note what was pushed")
def note_pushed(clone: Repository, upstream: Upstream, branch: str, commit: str) -> None:
    """The remote has a commit on a branch: git notes it by itself only where the push reported success."""
    tracking = upstream.tracking_ref(branch)
    before = clone.commit_of(tracking)
    if before is None or not clone.contains(commit, before):
        set_ref(clone, tracking, commit)


def check_newest(clone: Repository, reference: ReferenceRepository, upstream: Upstream, tip: str) -> None:
    """See that the remote has nothing newer than the commit that a batch is about to be built on.

    Raises:
        BranchMovedError: it has.
    """
    if clone.commit_of(upstream.tracking_ref(reference.branch)) != tip:
        raise BranchMovedError(f"{upstream.remote.name} has newer commits on {reference.branch}")


def _check_rewritten(
    clone: Repository, reference: ReferenceRepository, upstream: Upstream, tip: str, there: str, followed: str | None
) -> None:
    """Tell a remote whose owners rewrote its history, which is followed, from a person's own commits."""
    if tip == followed:
        _check_rewound(clone, reference, upstream, there)
        logger.warning(
            "{}: the history of {} on {} was rewritten; the clone follows from {} to {}",
            reference.name,
            reference.branch,
            upstream.remote.name,
            tip[:12],
            there[:12],
        )
        return
    own = own_commits(clone, tip, there)
    named = "; ".join(own[:_MAX_NAMED_COMMITS]) + (f"; and {len(own) - 3} more" if len(own) > 3 else "")
    remote, branch = upstream.remote.name, reference.branch
    git = partial(git_command, clone.path)
    raise CloneError(
        f"{clone.path}: {remote} lacks commits of {branch} that the clone has ({named}); push them with: "
        f"{git('push', remote, branch)}, or put them aside with: {git('branch', 'aside')} && "
        f"{git('reset', '--keep', f'{remote}/{branch}')}"
    )


def _check_rewound(clone: Repository, reference: ReferenceRepository, upstream: Upstream, there: str) -> None:
    """Ask whether the remote went back indeed: a fetch that ends after our own push may have put the old tip back."""
    ref = f"refs/heads/{reference.branch}"
    now = read_refs(clone, upstream.remote, ref).get(ref)
    if now and now != there and clone.has(now):
        set_ref(clone, upstream.tracking_ref(reference.branch), now)
        raise BranchMovedError(f"{clone.path}: {reference.branch} on {upstream.remote.name} moved while it was fetched")


def newest(clone: Repository, reference: ReferenceRepository, upstream: Upstream) -> str:
    """Where the target branch is known to stand: what was fetched, unless the clone has commits of its own."""
    tip, there = clone.tip(), clone.commit_of(upstream.tracking_ref(reference.branch))
    return there if there and clone.contains(tip, there) else tip


def standing(clone: Repository, reference: ReferenceRepository, upstream: Upstream) -> Standing:
    """How far the clone is from what git remembers of the remote."""
    tip, there = clone.tip(), clone.commit_of(upstream.tracking_ref(reference.branch))
    if there is None:
        return Standing(upstream.remote.name)
    return Standing(upstream.remote.name, **distance(clone, tip, there)._asdict())
