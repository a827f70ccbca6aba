"""Being one of several processes that share a queue: heard of by the database, and holding leases of repositories."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from refsync.accounts import account_name
from refsync.durable_steps import durable_step
from refsync.errors import AlreadyRunningError, LeaseLostError, RefsyncError
from refsync.pending_queue.daemon_note import DaemonNote, DaemonRole, tell

if TYPE_CHECKING:
    from refsync.pending_queue.store import PendingQueueStore
    from refsync.pending_queue.store.transaction import QueueTransaction

_BEATS_A_LEASE = 3
"""How often it is renewed before it runs out."""
_POLL_SECONDS = 0.5
_GONE = "this process was not heard of for too long, and others go on without it"


@dataclass(frozen=True)
class Presence:
    """That a process is heard of: enough to seal and to note, for which nobody needs a repository for himself."""

    token: str

    def is_over(self, token: str) -> bool:
        """Nothing that is reserved is free to it."""
        return False

    def check(self, queue: QueueTransaction) -> None:
        """See that the process was heard within its lease.

        Raises:
            LeaseLostError: it was not.
        """
        if not queue.leases.lives(self.token):
            raise LeaseLostError(_GONE)


@dataclass(frozen=True)
class RepositoryLease:
    """That a process, and nobody else, works on a repository; ``number`` only grows."""

    repository: str
    number: int
    holder: str

    @property
    def token(self) -> str:
        """The number: what an earlier one has reserved is over."""
        return str(self.number)

    def is_over(self, token: str) -> bool:
        """Whether it is another attempt's: who has the lease knows that every other has lost it."""
        return token != self.token

    def check(self, queue: QueueTransaction) -> None:
        """See that it still holds, and goes on to do so until the transaction ends.

        Raises:
            LeaseLostError: it does not; somebody else may have it by now.
        """
        if not queue.leases.holds(self.repository, self.number, self.holder):
            raise LeaseLostError(f"{self.repository}: {_GONE}")


@dataclass
class Membership:
    """What this process is among those that share a queue; nothing is written before it joins.

    ``repositories`` are those of its config, each with its way out.
    """

    store: PendingQueueStore
    state_directory: Path
    role: DaemonRole
    repositories: Mapping[str, str]
    lease_seconds: float
    _daemon_id: str | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def presence(self) -> Presence:
        """That it is heard of, from its last :meth:`join` on.

        Raises:
            LeaseLostError: it is no more, and could not join anew yet.
        """
        with self._lock:
            if self._daemon_id is None:
                raise LeaseLostError(_GONE)
            return Presence(self._daemon_id)

    def join(self) -> None:
        """Be heard of for the first time, or anew.

        Raises:
            AlreadyRunningError: a repository that lands in one clone alone is another daemon's already.
        """
        note = DaemonNote(
            daemon_id=uuid.uuid4().hex,
            host=socket.gethostname(),
            pid=os.getpid(),
            user=account_name(os.getuid()),
            state_directory=str(self.state_directory),
            role=self.role,
            repositories=self.repositories,
            lease_seconds=self.lease_seconds,
        )
        with self._lock:
            self._join(note)
            self._daemon_id = note.daemon_id

    @durable_step("join the daemons")
    def _join(self, note: DaemonNote) -> None:
        with self.store.writing() as queue:
            for other in queue.leases.daemons():
                if other.is_alive and other.place != note.place:
                    _refuse_second_clone(note, other)
            queue.leases.join(note)

    def be_heard(self) -> None:
        """Renew what is held; where that comes too late, join anew: what was held then is lost.

        Raises:
            AlreadyRunningError: as :meth:`join`.
            StoreError, StoreBusyError: the database does not answer.
        """
        with self._lock:
            if self._daemon_id is not None and not self._renew(self._daemon_id):
                logger.warning(
                    "refsync was not heard of by the queue for {:g} seconds; it begins anew", self.lease_seconds
                )
                self._daemon_id = None
            if self._daemon_id is None:
                self.join()

    @durable_step("be heard of")
    def _renew(self, daemon_id: str) -> bool:
        # Who takes a lease over just now, because the last beat is so long ago, is seen by the lease's number.
        with self.store.beside() as queue:
            return queue.leases.renew(daemon_id)

    def leave(self) -> None:
        """Be no daemon any more; where the database does not answer, that shows by itself after a while."""
        with self._lock, suppress(RefsyncError):
            if self._daemon_id is not None:
                self._leave(self._daemon_id)
            self._daemon_id = None

    @durable_step("leave the daemons")
    def _leave(self, daemon_id: str) -> None:
        with self.store.writing() as queue:
            queue.leases.leave(daemon_id)

    @contextmanager
    def lease_of(
        self, repository: str, *, waits: bool = False, stopping: Callable[[], bool] = lambda: False
    ) -> Iterator[RepositoryLease | None]:
        """Work on a repository alone; gives ``None`` where another process does, or told to stop while waiting for it.

        Raises:
            LeaseLostError: this process was not heard of for too long.
        """
        holder = self.presence.token
        number = self._take(repository, holder)
        while number is None and waits and not stopping():
            time.sleep(_POLL_SECONDS)
            number = self._take(repository, holder)
        if number is None:
            yield None
            return
        try:
            yield RepositoryLease(repository, number, holder)
        finally:
            with suppress(RefsyncError):  # it runs out by itself
                self._give_back(repository, number)

    @durable_step("take a lease")
    def _take(self, repository: str, holder: str) -> int | None:
        with self.store.writing() as queue:
            Presence(holder).check(queue)
            return queue.leases.take(repository, holder)

    @durable_step("give a lease back")
    def _give_back(self, repository: str, number: int) -> None:
        with self.store.writing() as queue:
            queue.leases.give_back(repository, number)


@contextmanager
def heard_of(membership: Membership) -> Iterator[Membership]:
    """Join, and be heard of in a thread of its own, however long a step takes; leave at the end.

    Raises:
        AlreadyRunningError: as :meth:`Membership.join`.
    """
    membership.join()
    ended = threading.Event()
    heart = threading.Thread(target=_beat, args=(membership, ended), name="heartbeat", daemon=True)
    heart.start()
    try:
        yield membership
    finally:
        ended.set()
        heart.join()
        membership.leave()


def _beat(membership: Membership, ended: threading.Event) -> None:
    failed = False
    while not ended.wait(membership.lease_seconds / _BEATS_A_LEASE):
        try:
            membership.be_heard()
        except RefsyncError as problem:
            if not failed:
                logger.warning("refsync cannot be heard of by the queue: {}", problem)
            failed = True
        except Exception:
            logger.exception("a bug in refsync while it is to be heard of")
        else:
            failed = False


def _refuse_second_clone(mine: DaemonNote, other: DaemonNote) -> None:
    for name in sorted({*mine.repositories} & {*other.repositories}):
        if "local" in (mine.repositories[name], other.repositories[name]):
            raise AlreadyRunningError(
                f'repository {name} is published "local", in one clone alone, and {tell(other)} has it already; '
                'give it a remote and `publish = "push"` on every machine, or stop that one'
            )
