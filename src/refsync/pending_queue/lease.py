"""Who may run a pass, and whose a reservation is.

A pass has a lease in its hand, and everything that it writes into the queue goes through the door that it gets for
that (``PendingQueueService.under``). So another kind of lease, as a row of the database with an expiry and a number
that only grows, is another class with these three members; no pass has to know of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from refsync.pending_queue.store.transaction import QueueTransaction


class Lease(Protocol):
    """That its holder, and nobody else, runs passes; for one attempt."""

    @property
    def token(self) -> str:
        """Of this attempt, unique in the world."""
        ...

    def is_over(self, token: str) -> bool:
        """Whether another attempt, known by its token, works no more, so that what it has reserved is free."""
        ...

    def check(self, queue: QueueTransaction) -> None:
        """See that the lease still holds, in the transaction that is about to write because it does.

        Raises:
            LeaseLostError: somebody else has it by now; nothing is written.
        """
        ...


@dataclass(frozen=True)
class Attempt:
    """An attempt at a batch, whose token the batch's changes carry while they are locked for it."""

    job: str | None
    """The batch's own token, which tells its reservations from those of other programs."""
    lease: Lease

    @property
    def token(self) -> str:
        """What it reserves by."""
        return f"{self.job}/{self.lease.token}"

    def may_take(self, token: str | None) -> bool:
        """Whether a reservation by this token is its own, or of an attempt at the same batch that works no more."""
        job, _, attempt = (token or "").partition("/")
        return job == self.job and (attempt == self.lease.token or self.lease.is_over(attempt))
