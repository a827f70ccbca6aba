"""Asking the remotes beside the passes: one thread each, so that one that hangs holds up nothing else."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from loguru import logger

from refsync.clone.process import end_command_of
from refsync.clone.refs import commits_of_refs
from refsync.clone.repository import Repository
from refsync.errors import RefsyncError, RemoteUnavailableError, told
from refsync.publishing.upstream import Upstream, fetch_news
from refsync.sync.reference import ReferenceRepository

PATIENCE_SECONDS = 5.0
"""How long a pass waits for an answer before it goes on with other repositories."""
_JITTER = 0.2
_END_SECONDS = 0.05


class Fetching:
    """Answers the passes' questions from what the threads know; see :class:`refsync.publishing.upstream.Remotes`."""

    def __init__(
        self,
        repositories: Iterable[ReferenceRepository],
        upstreams: Mapping[str, Upstream],
        wake: Callable[[], None],
    ) -> None:
        """Begin; ``wake`` is called when a remote has news, goes away or comes back."""
        self._fetchers = {
            each.name: _Fetcher(each, upstreams[each.name], wake) for each in repositories if each.name in upstreams
        }
        for fetcher in self._fetchers.values():
            fetcher.start()

    def ask(self, reference: ReferenceRepository, upstream: Upstream, clone: Repository, *, within: float) -> None:
        """Wait until the remote was asked within so many seconds, or it is known to be away."""
        self._fetchers[reference.name].ask(within)

    def answered(self, reference: ReferenceRepository) -> None:
        """The remote has told where its branches stand by another way."""
        self._fetchers[reference.name].answered()

    def stop(self) -> None:
        """End the threads, and the git commands that they wait for."""
        for fetcher in self._fetchers.values():
            fetcher.stop()
        for fetcher in self._fetchers.values():
            fetcher.end()


class _Fetcher(threading.Thread):
    """One remote's thread."""

    def __init__(self, reference: ReferenceRepository, upstream: Upstream, wake: Callable[[], None]) -> None:
        super().__init__(name=f"fetch {reference.name}", daemon=True)
        self._reference = reference
        self._upstream = upstream
        self._wake = wake
        self._changed = threading.Condition()
        self._wanted = True
        self._begun_at = self._answered_at = float("-inf")
        self._is_busy = False
        self._failure: RefsyncError | None = None
        self._is_awaited = False
        self._stopping = False
        self._seen: dict[str, str] | None = None

    # For the thread of the passes

    def ask(self, within: float) -> None:
        """Return when an answer is fresh enough; raise why there is none."""
        asked_at = time.monotonic()
        oldest = asked_at - within
        with self._changed:
            if self._answered_at >= oldest and not self._failure:
                return
            if not self._is_busy or self._begun_at < oldest:
                self._want(asked_at)
            if self._failure:  # known to be away: it is asked again beside the pass, which is told what comes of it
                raise self._failure
            if self._is_busy and asked_at - self._begun_at >= PATIENCE_SECONDS:
                raise self._still_waiting()
            answered = self._changed.wait_for(lambda: self._is_settled(oldest), PATIENCE_SECONDS)
            if self._failure:
                raise self._failure
            if not answered:
                raise self._still_waiting()

    def _want(self, now: float) -> None:
        if self._failure is None or now - self._begun_at >= PATIENCE_SECONDS:
            self._wanted = True
            self._changed.notify_all()

    def _is_settled(self, oldest: float) -> bool:
        return self._stopping or self._answered_at >= oldest or self._failure is not None

    def _still_waiting(self) -> RemoteUnavailableError:
        self._is_awaited = True
        return RemoteUnavailableError(
            f"{self._reference.path}: {self._remote} has not answered for {PATIENCE_SECONDS:g} seconds; "
            "it is waited for beside other work"
        )

    def answered(self) -> None:
        """Count an answer that came by another way."""
        with self._changed:
            self._answered_at = time.monotonic()

    def stop(self) -> None:
        """Ask the thread to end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def end(self) -> None:
        """Wait until the thread has ended, and end every git command that it waits for: it may go on to a next one."""
        while self.is_alive():
            if self.ident is not None:
                end_command_of(self.ident)
            self.join(_END_SECONDS)

    # In its own thread

    def run(self) -> None:
        """Fetch when asked, and every now and then, until told to stop."""
        while True:
            with self._changed:
                pause = self._upstream.fetch_seconds * random.uniform(1 - _JITTER, 1 + _JITTER)
                self._changed.wait_for(lambda: self._wanted or self._stopping, pause)
                if self._stopping:
                    return
                by_itself, self._wanted, self._is_busy = not self._wanted, False, True
                self._begun_at = time.monotonic()
            self._settle(by_itself, *self._fetch())

    def _fetch(self) -> tuple[bool, RefsyncError | None]:
        """Whether there was news, and why there could be none."""
        reference = self._reference
        try:
            with Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
                before = self._tracked(clone) if self._seen is None else self._seen
                fetch_news(reference, self._upstream, clone)
                self._seen = self._tracked(clone)  # a person's push from this clone is news, too
                return self._seen != before, None
        except RefsyncError as failure:
            return False, failure
        except OSError as problem:  # out of descriptors, say
            return False, RemoteUnavailableError(f"{reference.name}: {told(problem)}; it is tried again")
        except Exception as bug:
            logger.exception("{}: a bug in refsync while fetching", reference.name)
            return False, RemoteUnavailableError(f"{reference.name}: a bug in refsync while fetching: {bug!r}")

    def _settle(self, by_itself: bool, news: bool, failure: RefsyncError | None) -> None:
        with self._changed:
            if failure and self._answered_at > self._begun_at:  # a push of ours moved the refs under the fetch
                failure, self._wanted = None, True
            moved = str(failure or "") != str(self._failure or "")
            self._failure, self._is_busy = failure, False
            if failure is None:  # it tells what was there when it was asked, at the least
                self._answered_at = max(self._answered_at, self._begun_at)
            worth_telling = news or moved or self._is_awaited or (by_itself and self._upstream.has_forge)
            self._is_awaited = False
            self._changed.notify_all()
        if worth_telling and not self._stopping:
            self._wake()

    def _tracked(self, clone: Repository) -> dict[str, str]:
        return commits_of_refs(clone, f"refs/remotes/{self._remote}")

    @property
    def _remote(self) -> str:
        return self._upstream.remote.name
