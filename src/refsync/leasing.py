"""Who may run a pass, and work on which repository: one process of a machine, or one of many that share a queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from refsync.config import Config
from refsync.pending_queue.daemon_note import DaemonRole
from refsync.state_directory import StateDirectory

if TYPE_CHECKING:
    from refsync.pending_queue.lease import Lease
    from refsync.pending_queue.membership import Membership
    from refsync.pending_queue.store import PendingQueueStore

RepositoryLeases = Callable[[str], AbstractContextManager["Lease | None"]]


class PassLeases(NamedTuple):
    """What a pass has in its hand: a lease for what concerns all, and a way to those of single repositories.

    ``of`` gives ``None`` where another process works on the repository; without it ``whole`` is for every repository.
    """

    whole: Lease
    of: RepositoryLeases | None = None


class Leasing(Protocol):
    """How leases are had."""

    is_shared: bool
    """Whether other processes than those of this state directory may work on the queue."""

    def attend(self) -> AbstractContextManager[object]:
        """Be a daemon of the queue until it is left.

        Raises:
            AlreadyRunningError: a repository that is published locally is another daemon's already.
        """
        ...

    def for_pass(self, stopping: Callable[[], bool], *, waits: bool) -> AbstractContextManager[PassLeases | None]:
        """Wait for this state directory's turn; ``None`` if told to stop meanwhile.

        Args:
            stopping: asked now and then whether to give up.
            waits: whether to wait, too, for repositories that another process works on.
        """
        ...

    def for_repository(self, name: str) -> AbstractContextManager[Lease | None]:
        """Wait until nobody else works on a repository."""
        ...


def leasing_of(config: Config, state: StateDirectory, store: PendingQueueStore) -> Leasing:
    """Choose: a queue that stands elsewhere than in the state directory may be shared."""
    return SharedQueue(config, state, store) if config.queue.url else OneMachine(state)


class OneMachine:
    """The pass lock of the state directory is all; it costs the database nothing."""

    is_shared = False

    def __init__(self, state: StateDirectory) -> None:
        """Lock in this directory."""
        self._state = state

    def attend(self) -> AbstractContextManager[object]:
        """Nobody has to know; see :class:`Leasing`."""
        return nullcontext()

    @contextmanager
    def for_pass(self, stopping: Callable[[], bool], *, waits: bool) -> Iterator[PassLeases | None]:
        """See :class:`Leasing`."""
        with self._state.lease(stopping) as lease:
            yield PassLeases(lease) if lease else None

    def for_repository(self, name: str) -> AbstractContextManager[Lease | None]:
        """See :class:`Leasing`."""
        return self._state.lease()


class SharedQueue:
    """Leases in the database; the pass lock stays what keeps processes of one state directory apart."""

    is_shared = True

    def __init__(self, config: Config, state: StateDirectory, store: PendingQueueStore) -> None:
        """Share a store with others."""
        self._config = config
        self._state = state
        self._store = store
        self._membership: Membership | None = None

    @contextmanager
    def attend(self) -> Iterator[object]:
        """See :class:`Leasing`; the database hears of this process beside the passes."""
        with self._heard_of(DaemonRole(self._config.daemon.role)) as self._membership:
            try:
                yield self._membership
            finally:
                self._membership = None

    @contextmanager
    def for_pass(self, stopping: Callable[[], bool], *, waits: bool) -> Iterator[PassLeases | None]:
        """See :class:`Leasing`."""
        with self._state.lease(stopping) as lease:
            if lease is None:
                yield None
                return
            with self._present() as membership:
                of = partial(membership.lease_of, waits=waits, stopping=stopping)
                yield PassLeases(membership.presence, of)

    @contextmanager
    def for_repository(self, name: str) -> Iterator[Lease | None]:
        """See :class:`Leasing`."""
        with ExitStack() as stack:
            stack.enter_context(self._state.lease())
            membership = stack.enter_context(self._present())
            yield stack.enter_context(membership.lease_of(name, waits=True))

    @contextmanager
    def _present(self) -> Iterator[Membership]:
        """Be heard of just now: as the daemon that this process is, or for a single pass."""
        if self._membership is None:
            with self._heard_of(DaemonRole.single_pass) as membership:
                yield membership
        else:
            self._membership.be_heard()
            yield self._membership

    def _heard_of(self, role: DaemonRole) -> AbstractContextManager[Membership]:
        from refsync.pending_queue.membership import Membership, heard_of

        ways = {each.name: each.publish for each in self._config.repositories}
        seconds = self._config.daemon.lease_seconds
        return heard_of(Membership(self._store, self._state.path, role, ways, seconds))
