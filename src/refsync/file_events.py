"""File events: which paths in a set of folders changed, told in batches.

Events are hints. Some are lost (a full kernel queue, a folder that is replaced, a full watch limit), so
whoever listens is also told when to look at everything again.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVarTuple

from loguru import logger
from watchdog.utils import UnsupportedLibcError

from refsync.errors import WatchError
from refsync.file_event_sources import Inotify, News, Polling, Source

WatchMode = Literal["auto", "inotify", "polling"]

_Ts = TypeVarTuple("_Ts")

_POLL_SECONDS = 1.0
_MISSING_FOLDER_SECONDS = 1.0
_MOST_SETTLE_ROUNDS = 25
_FULL = (errno.ENOSPC, errno.EMFILE)


class FolderWatcher:
    """Tells of changed paths in some folders, not in their subfolders.

    What counts as a change: a file that was created, deleted, renamed from or to, or closed after writing.
    Opening, reading and closing without a write do not. A burst is told once, when it has calmed down for
    ``settle_seconds`` (at the latest after 25 times that); who cannot wait so long is told each path at once.

    Args:
        folders: the folders; one that is missing is watched as soon as it appears.
        on_change: gets the changed paths of a burst, each ``folder / name`` with the folder as it was given.
        at_once: gets each path as soon as it is seen, and at the end of the burst again if it changed again meanwhile.
        on_rescan: gets the reason (one line) when events may have been lost, and every ``rescan_seconds``.
        on_overflow: called when the kernel threw events away, ahead of ``on_rescan``.
        mode: ``"auto"`` takes inotify, and polling where inotify is missing or its limits are full.
        rescan_seconds: how often to look for replaced folders and ask for a rescan.
        settle_seconds: how long it has to be quiet before a burst is told.

    The callbacks run in the watcher's own thread, one at a time; what they raise is logged. Use it as a
    context manager, or call ``start`` and ``stop``.
    """

    def __init__(
        self,
        folders: Iterable[Path],
        on_change: Callable[[frozenset[Path]], None] | None = None,
        *,
        on_rescan: Callable[[str], None],
        at_once: Callable[[frozenset[Path]], None] | None = None,
        on_overflow: Callable[[], None] | None = None,
        mode: WatchMode = "auto",
        rescan_seconds: float = 300.0,
        settle_seconds: float = 0.02,
    ) -> None:
        self._folders = tuple(dict.fromkeys(folders))
        self._on_change = on_change
        self._at_once = at_once
        self._on_rescan = on_rescan
        self._on_overflow = on_overflow
        self._asked_mode = mode
        self._rescan_seconds = rescan_seconds
        self._settle_seconds = settle_seconds
        self._news = News()
        self._watched: dict[Path, tuple[int, int]] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._source: Source | None = None

    @property
    def mode(self) -> Literal["inotify", "polling"]:
        """How changes are noticed at present."""
        return "inotify" if isinstance(self._source, Inotify) else "polling"

    def start(self) -> Self:
        """Watch; every folder that exists is being watched when this returns.

        Raises:
            WatchError: ``mode`` is ``"inotify"`` and the system has no inotify, or no room for more watches.
        """
        if self._thread is not None:
            return self
        self._stopped.clear()
        self._news.take()
        self._open_source()
        self._thread = threading.Thread(target=self._run, name="refsync-file-events", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End it; no thread, descriptor or callback is left when this returns."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopped.set()
        self._news.arrived.set()
        if thread is not threading.current_thread():
            thread.join()
        self._close_source()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _open_source(self) -> None:
        if self._asked_mode == "polling":
            self._use(Polling(self._news, _POLL_SECONDS))
            return
        try:
            self._use(Inotify(self._news))
        except (OSError, ImportError, UnsupportedLibcError) as error:
            self._close_source()
            if self._asked_mode == "inotify":
                raise WatchError(f"cannot watch with inotify: {_advice(error)}") from None
            self._fall_back(error)

    def _use(self, source: Source) -> None:
        self._source = source
        self._watched.clear()
        for folder in self._folders:
            self._watch(folder)
        for folder in self._missing():
            logger.warning("{} cannot be watched yet: it will be as soon as it can be read", folder)

    def _missing(self) -> list[Path]:
        return [folder for folder in self._folders if folder not in self._watched]

    def _close_source(self) -> None:
        source, self._source = self._source, None
        self._watched.clear()
        if source is not None:
            source.close()

    def _fall_back(self, error: Exception) -> None:
        logger.warning("watching by polling every {} s instead of inotify: {}", _POLL_SECONDS, _advice(error))
        self._close_source()
        self._use(Polling(self._news, _POLL_SECONDS))

    def _watch(self, folder: Path) -> None:
        """Watch one folder; a missing one is left for later, a full limit is raised."""
        assert self._source is not None
        try:
            # The identity is taken first: if the folder is replaced in between, the next look notices it.
            identity = _identity(folder)
            self._source.watch(folder)
        except OSError as error:
            if error.errno in _FULL:
                raise
            return
        self._watched[folder] = identity

    def _run(self) -> None:
        next_rescan = time.monotonic() + self._rescan_seconds
        while not self._stopped.is_set():
            if self._news.arrived.wait(self._patience(next_rescan)):
                self._let_settle()
            if self._stopped.is_set():
                return
            due = time.monotonic() >= next_rescan
            if due:
                next_rescan = time.monotonic() + self._rescan_seconds
            self._deliver(due)

    def _patience(self, next_rescan: float) -> float:
        """How long to wait for news: a missing folder is looked for more often."""
        until_rescan = max(0.0, next_rescan - time.monotonic())
        complete = len(self._watched) == len(self._folders)
        return until_rescan if complete else min(until_rescan, _MISSING_FOLDER_SECONDS)

    def _let_settle(self) -> None:
        """Wait for the end of a burst; meanwhile its paths are told to who wants them at once."""
        ends = time.monotonic() + _MOST_SETTLE_ROUNDS * self._settle_seconds
        while not self._stopped.is_set():
            if first := self._news.take_first():
                self._call(self._at_once, first)
            if time.monotonic() >= ends or not self._news.arrived.wait(self._settle_seconds):
                return

    def _deliver(self, due: bool) -> None:
        burst = self._news.take()
        reasons = self._watch_again(burst.lost, look_at_all=due)
        if burst.overflowed:
            reasons.insert(0, "the kernel's event queue overflowed")
            self._call(self._on_overflow)
        if due:
            reasons.append(f"{self._rescan_seconds:g} s have passed")
        if burst.untold:
            self._call(self._at_once, burst.untold)
        if burst.changed:
            self._call(self._on_change, burst.changed)
        for reason in reasons:
            self._call(self._on_rescan, reason)

    def _watch_again(self, lost: frozenset[Path], *, look_at_all: bool) -> list[str]:
        """Watch folders that were lost, replaced or missing; the reasons for a rescan."""
        for folder in lost | (self._replaced() if look_at_all else frozenset()):
            self._unwatch(folder)
        missing = self._missing()
        try:
            for folder in missing:
                self._watch(folder)
        except OSError as error:
            self._fall_back(error)
            return ["the watches ran out; polling from now on"]
        here = [f"{folder} was replaced or has appeared" for folder in missing if folder in self._watched]
        return here + [f"{folder} is gone" for folder in sorted(lost) if folder not in self._watched]

    def _replaced(self) -> frozenset[Path]:
        return frozenset(folder for folder, identity in self._watched.items() if _identity_now(folder) != identity)

    def _unwatch(self, folder: Path) -> None:
        assert self._source is not None
        if self._watched.pop(folder, None) is not None:
            self._source.unwatch(folder)

    def _call(self, callback: Callable[[*_Ts], None] | None, *arguments: *_Ts) -> None:
        if callback is None or self._stopped.is_set():
            return
        try:
            callback(*arguments)
        except Exception as error:
            logger.opt(exception=error).error("a listener of file events failed: {!r}", error)


def _identity(folder: Path) -> tuple[int, int]:
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def _identity_now(folder: Path) -> tuple[int, int] | None:
    try:
        return _identity(folder)
    except OSError:
        return None


def _advice(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the limit of watches is full; raise fs.inotify.max_user_watches"
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return "the limit of inotify instances or open files is full; raise fs.inotify.max_user_instances"
    return str(error)
