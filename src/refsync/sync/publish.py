"""Bringing a built commit to the target branch.

Publication is local: the clone's own branch is moved, its remote is left alone. Pushing and pull requests
join here, as further functions of the same shape.
"""

from __future__ import annotations

from refsync.clone.worktree import IndexLock, land
from refsync.pending_queue.models import Batch


def publish_locally(lock: IndexLock, batch: Batch, *, tip: str, commit: str) -> None:
    """Land the commit by moving the target branch of the clone, its work tree and index with it.

    Raises:
        BranchMovedError: somebody moved the branch since the commit was built.
        LocalEditsError: a person edited one of its files since.
    """
    land(lock, old=tip, new=commit, reason=f"refsync: batch {batch.number}")
