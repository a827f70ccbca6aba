"""What wakes the daemon: file events, timers and signals set one event; they carry no work of their own.

What was seen between two passes is kept as plain flags and a set of paths, so that a storm of events is one
wake-up, and one that arrives during a pass is not lost.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger


@dataclass
class Seen:
    """What happened since the last look."""

    paths: set[Path] = field(default_factory=set)
    rescan: bool = False
    """Events may have been lost: look at everything."""
    reload: bool = False
    housekeeping: bool = False
    stop: bool = False

    def add(self, other: Seen) -> None:
        """Take in what another look saw."""
        self.paths |= other.paths
        self.rescan |= other.rescan
        self.reload |= other.reload
        self.housekeeping |= other.housekeeping
        self.stop |= other.stop


class Wakeups:
    """What wakes the daemon, from any thread and from signal handlers.

    A ``SimpleQueue``, because putting into it is safe in a signal handler, which may run while the very
    thread that it interrupts is waiting.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[Seen] = SimpleQueue()
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether the daemon was told to end."""
        return self._stopping

    def wake(self) -> None:
        """Ask for a pass."""
        self._queue.put(Seen())

    def changed(self, paths: Iterable[Path]) -> None:
        """Files changed on disk."""
        self._queue.put(Seen(paths=set(paths)))

    def ask_rescan(self) -> None:
        """Ask to look at every file, because events may have been lost."""
        self._queue.put(Seen(rescan=True))

    def ask_reload(self) -> None:
        """Ask to read the config file again."""
        self._queue.put(Seen(reload=True))

    def ask_housekeeping(self) -> None:
        """Ask for what keeps the clones tidy."""
        self._queue.put(Seen(housekeeping=True))

    def stop(self) -> None:
        """Ask the daemon to end; the step in hand is finished."""
        self._stopping = True
        self._queue.put(Seen(stop=True))

    def wait(self) -> Seen:
        """Sleep until something happened; returns all of it at once."""
        seen = self._queue.get()
        while not self._queue.empty():
            seen.add(self._queue.get())
        return seen


@contextmanager
def signals(wakeups: Wakeups) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into a stop, SIGHUP into a reload, SIGUSR1 into a pass; main thread only."""
    actions: dict[int, Callable[[], None]] = {
        signal.SIGTERM: wakeups.stop,
        signal.SIGINT: wakeups.stop,
        signal.SIGHUP: wakeups.ask_reload,
        signal.SIGUSR1: wakeups.wake,
    }

    def handle(number: int, _: FrameType | None) -> None:
        actions[number]()

    before = {number: signal.signal(number, handle) for number in actions}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Timers:
    """APScheduler's timers, all of which only wake."""

    def __init__(self, wakeups: Wakeups) -> None:
        self._wakeups = wakeups
        self._scheduler = BackgroundScheduler(timezone=UTC)

    def __enter__(self) -> Timers:
        self._scheduler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._scheduler.shutdown(wait=True)

    def every(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        """Repeat an action; a timer of the same name is replaced."""
        self._scheduler.add_job(
            action, "interval", seconds=seconds, id=name, replace_existing=True, coalesce=True, misfire_grace_time=None
        )

    def on_schedule(self, name: str, trigger: BaseTrigger | None) -> None:
        """Wake at the trigger's times; ``None`` takes the timer away."""
        if trigger is None:
            if self._scheduler.get_job(name):
                self._scheduler.remove_job(name)
            return
        self._scheduler.add_job(
            self._wakeups.wake, trigger, id=name, replace_existing=True, coalesce=True, misfire_grace_time=None
        )

    def once(self, name: str, seconds: float) -> None:
        """Wake after this many seconds; an earlier request of the same name is replaced."""
        self._scheduler.add_job(
            self._wakeups.wake,
            "date",
            run_date=datetime.now(UTC) + timedelta(seconds=seconds),
            id=name,
            replace_existing=True,
            misfire_grace_time=None,
        )
