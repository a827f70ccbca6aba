"""Moving the target branch by compare-and-swap: at once, or in a transaction of git's that is begun ahead.

Of the one that is begun ahead git starts, looks and takes its locks while this process makes files ready.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from refsync.clone.durability import durable
from refsync.clone.process import BegunGit
from refsync.clone.repository import Repository
from refsync.durable_steps import durable_step
from refsync.errors import BranchMovedError


@dataclass(frozen=True)
class BranchMove:
    """A move for which git has been started."""

    repository: Repository
    old: str
    new: str
    reason: str
    git: BegunGit

    def prepare(self) -> None:
        """Have git take the branch's lock, of which it lets go when this process ends."""
        update = f"update {self.repository.ref} {self.new} {self.old}"
        self.git.tell(f"start\n{update}\nprepare\n".encode(errors="surrogateescape"))

    @durable_step("move the branch")
    def commit(self) -> None:
        """Move the branch.

        Raises:
            BranchMovedError: it was no longer at ``old``.
        """
        if self.git.end(b"commit\n", accept=(0, 1, 128)).code:  # done at once it says better why not
            move_at_once(self.repository, old=self.old, new=self.new, reason=self.reason)

    def give_up(self) -> None:
        """Have git let go of the lock; nothing where it has ended."""
        self.git.give_up()


@contextlib.contextmanager
def branch_move(repository: Repository, *, old: str, new: str, reason: str) -> Iterator[BranchMove]:
    """Start git to move the target branch; without a ``commit`` in the block it stays where it is.

    Args:
        repository: the clone.
        old: the commit that the branch is expected at.
        new: the commit to bring it to.
        reason: one line for the reflog.
    """
    with repository.begun(*durable(), "update-ref", "-m", reason, "--stdin") as git:
        yield BranchMove(repository, old, new, reason, git)


@durable_step("move the branch at once")
def move_at_once(repository: Repository, *, old: str, new: str, reason: str) -> None:
    """Move the target branch from ``old`` to ``new``.

    Raises:
        BranchMovedError: it was no longer at ``old``.
    """
    update = (*durable(), "update-ref", "-m", reason, repository.ref, new, old)
    if not repository.run(*update, accept=(0, 1, 128)).code:
        return
    if (now := repository.tip()) != old:
        raise BranchMovedError(f"{repository.path}: {repository.branch} moved from {old[:12]} to {now[:12]} meanwhile")
    repository.run(*update)
