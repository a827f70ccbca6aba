"""What wakes the daemon: file events, timers and signals set one event; they carry no work of their own.

What was seen between two passes is kept as plain flags and a set of paths, so that a storm of events is one
wake-up, and one that arrives during a pass is not lost.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

_MICROSECOND = 1e-6
PATIENCE_SECONDS = 2.0
"""How long the step in hand may take to its end once the daemon is told to stop."""


@dataclass
class Seen:
    """What happened since the last look."""

    paths: set[Path] = field(default_factory=set)
    rescan: bool = False
    """Events may have been lost: look at everything."""
    reload: bool = False
    housekeeping: bool = False

    def add(self, other: Seen) -> None:
        """Take in what another look saw."""
        self.paths |= other.paths
        self.rescan |= other.rescan
        self.reload |= other.reload
        self.housekeeping |= other.housekeeping


class Wakeups:
    """What wakes the daemon, from any thread and from signal handlers; a context manager.

    A ``SimpleQueue``, because putting into it is safe in a signal handler, which may run while the very
    thread that it interrupts is waiting. A pipe to wait at, because a signal that arrives just before a wait
    for the queue itself would go unheard until the next one.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[Seen] = SimpleQueue()
        self._stopping = False
        self._reader, self.descriptor = os.pipe()
        """A byte into ``descriptor`` ends the wait, and lets pending signals be handled."""
        os.set_blocking(self.descriptor, False)

    def __enter__(self) -> Wakeups:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._reader)
        os.close(self.descriptor)

    @property
    def stopping(self) -> bool:
        """Whether the daemon was told to end."""
        return self._stopping

    def wake(self) -> None:
        """Ask for a pass."""
        self._put(Seen())

    def changed(self, paths: Iterable[Path]) -> None:
        """Files changed on disk."""
        self._put(Seen(paths=set(paths)))

    def ask_rescan(self) -> None:
        """Ask to look at every file, because events may have been lost."""
        self._put(Seen(rescan=True))

    def ask_reload(self) -> None:
        """Ask to read the config file again."""
        self._put(Seen(reload=True))

    def ask_housekeeping(self) -> None:
        """Ask for what keeps the clones tidy."""
        self._put(Seen(housekeeping=True))

    def stop(self) -> None:
        """Ask the daemon to end; the step in hand is finished."""
        self._stopping = True
        self._put(Seen())

    def sleep(self, seconds: float | None) -> bool:
        """Sleep until something happened; ``False`` where nothing did for so many seconds."""
        while self._queue.empty():
            if not select.select([self._reader], [], [], seconds)[0]:
                return False
            os.read(self._reader, 4096)
        return True

    def wait(self) -> Seen:
        """Sleep until something happened; returns all of it at once."""
        self.sleep(None)
        seen = self._queue.get()
        while not self._queue.empty():
            seen.add(self._queue.get())
        return seen

    def _put(self, seen: Seen) -> None:
        self._queue.put(seen)
        with contextlib.suppress(BlockingIOError):  # full of bytes that nobody read yet, which is as good
            os.write(self.descriptor, b"\0")


@contextmanager
def signals(wakeups: Wakeups) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into a stop, SIGHUP into a reload, SIGUSR1 into a pass; main thread only.

    A step that does not end within ``PATIENCE_SECONDS`` of a stop is interrupted by a ``KeyboardInterrupt``:
    what a crash at any point leaves behind is put right by the next pass, and so is what this leaves.
    """
    actions: dict[int, Callable[[], None]] = {
        signal.SIGTERM: lambda: _stop(wakeups),
        signal.SIGINT: lambda: _stop(wakeups),
        signal.SIGHUP: wakeups.ask_reload,
        signal.SIGUSR1: wakeups.wake,
        signal.SIGALRM: _interrupt,
    }

    def handle(number: int, _: FrameType | None) -> None:
        actions[number]()

    before = {number: signal.signal(number, handle) for number in actions}
    descriptor = signal.set_wakeup_fd(wakeups.descriptor, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(descriptor)
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(wakeups: Wakeups) -> None:
    if not wakeups.stopping:
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)
    wakeups.stop()


def _interrupt() -> None:
    raise KeyboardInterrupt


class Timers:
    """Timers that only wake: times of day by the clock on the wall, delays by the clock that nobody sets."""

    def __init__(self) -> None:
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._delays: dict[str, threading.Timer] = {}
        self._lock = threading.RLock()
        self._closed = False

    def __enter__(self) -> Timers:
        self._scheduler.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            delays = list(self._delays.values())
            for delay in delays:
                delay.cancel()
        for delay in delays:
            delay.join()
        self._scheduler.shutdown(wait=True)

    def every(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        """Repeat an action; a timer of the same name is replaced."""
        self._schedule(name, IntervalTrigger(seconds=int(seconds), timezone=UTC), action)

    def at(self, name: str, next_time: Callable[[float], float], action: Callable[[], None]) -> None:
        """Act at times of day; a timer of the same name is replaced.

        Args:
            name: of the timer.
            next_time: gives the first time behind another one, both in Unix seconds; infinity for none.
            action: what to do.
        """
        self._schedule(name, _TimesOfDay(next_time), action)

    def _schedule(self, name: str, trigger: BaseTrigger, action: Callable[[], None]) -> None:
        self._scheduler.add_job(action, trigger, id=name, replace_existing=True, coalesce=True, misfire_grace_time=None)

    def once(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        """Act after this many seconds; a delay of the same name is replaced."""
        with self._lock:
            self.cancel(name)
            if self._closed:
                return
            delay = self._delays[name] = threading.Timer(min(seconds, threading.TIMEOUT_MAX), action)
            delay.name, delay.daemon = f"timer {name}", True
            delay.start()

    def cancel(self, name: str) -> None:
        """Take a timer or a delay away; harmless where there is none."""
        with self._lock:
            if delay := self._delays.pop(name, None):
                delay.cancel()
        with contextlib.suppress(JobLookupError):
            self._scheduler.remove_job(name)


class _TimesOfDay(BaseTrigger):  # type: ignore[misc]
    """APScheduler's trigger for whatever tells the next time; its own cron lines mean something else than cron's."""

    def __init__(self, next_time: Callable[[float], float]) -> None:
        self._next_time = next_time

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """The first time behind the last one, or behind now."""
        # The last time was cut to the microsecond, and so may lie before itself.
        due = self._next_time(previous.timestamp() + _MICROSECOND if previous else now.timestamp())
        return None if due == float("inf") else datetime.fromtimestamp(due, UTC)
