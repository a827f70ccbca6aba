"""Bringing a built commit to the target branch: the clone's own, or the remote's."""

from __future__ import annotations

from refsync.clone.remotes import push
from refsync.clone.repository import Repository
from refsync.clone.worktree import IndexLock, land
from refsync.pending_queue.models import Batch
from refsync.sync.reference import ReferenceRepository
from refsync.sync.upstream import note_pushed


def publish_locally(lock: IndexLock, reference: ReferenceRepository, batch: Batch, *, tip: str, commit: str) -> None:
    """Land the commit by moving the target branch of the clone, its work tree and index with it.

    Raises:
        BranchMovedError: somebody moved the branch since the commit was built.
        LocalEditsError: a person edited one of its files since.
    """
    land(lock, old=tip, new=commit, reason=f"refsync: batch {batch.number}", wanted=reference.data_paths())


def push_to_target(clone: Repository, reference: ReferenceRepository, *, tip: str, commit: str) -> None:
    """Move the target branch of the remote; the clone follows once the remote has it.

    Raises:
        BranchMovedError: somebody was quicker.
        RemoteRefusedError: the branch is protected, or a hook refuses the commit.
        RemoteUnavailableError: it is unknown whether the commit arrived; the next look at the remote tells.
    """
    assert reference.publish is not None
    push(clone, reference.publish.remote, f"refs/heads/{reference.branch}", commit, expected=tip)
    note_pushed(clone, reference.publish, reference.branch, commit)
