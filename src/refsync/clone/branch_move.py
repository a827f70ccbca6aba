"""Moving the target branch in a transaction of git's, begun ahead: git starts and locks while files are staged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from refsync.clone.durability import durable
from refsync.clone.process import BegunGit
from refsync.clone.repository import Repository
from refsync.durable_steps import durable_step


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
            self.repository.move_branch(old=self.old, new=self.new, reason=self.reason)

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
