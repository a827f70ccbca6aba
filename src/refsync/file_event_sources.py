"""Where file events come from: inotify, or listings that are compared; both report to the news."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from watchdog.events import (
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)

_T = TypeVar("_T")


class Burst(NamedTuple):
    """What happened in one."""

    changed: frozenset[Path]
    """Files."""
    untold: frozenset[Path]
    """Those that ``take_first`` did not give, and those that changed again after it did."""
    lost: frozenset[Path]
    """Folders that are watched no more."""
    overflowed: bool
    """Whether the kernel threw events away."""


class News:
    """What the sources saw since the last look."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self._lock = threading.Lock()
        self._changed: set[Path] = set()
        self._untold: set[Path] = set()
        self._again: set[Path] = set()
        self._lost: set[Path] = set()
        self._overflowed = False

    def changed(self, path: Path) -> None:
        """A file did."""
        with self._lock:
            if path not in self._changed:
                self._changed.add(path)
                self._untold.add(path)
            elif path not in self._untold:
                self._again.add(path)
        self.arrived.set()

    def lost(self, folder: Path) -> None:
        """A folder is watched no more."""
        self._add(self._lost, folder)

    def overflowed(self) -> None:
        """The kernel threw events away."""
        with self._lock:
            self._overflowed = True
        self.arrived.set()

    def _add(self, kept: set[_T], item: _T) -> None:
        with self._lock:
            kept.add(item)
        self.arrived.set()

    def take_first(self) -> frozenset[Path]:
        """The changed files that this was not asked for yet; ``take`` has them all the same."""
        self.arrived.clear()
        with self._lock:
            first = frozenset(self._untold)
            self._untold.clear()
        return first

    def take(self) -> Burst:
        """All of it, since the last time."""
        self.arrived.clear()
        with self._lock:
            taken = Burst(
                frozenset(self._changed),
                frozenset(self._untold | self._again),
                frozenset(self._lost),
                self._overflowed,
            )
            for kept in (self._changed, self._untold, self._again, self._lost):
                kept.clear()
            self._overflowed = False
        return taken


class Source(Protocol):
    """A way to notice changes; reports to the news."""

    def watch(self, folder: Path) -> None:
        """Report what happens in a folder."""
        ...

    def unwatch(self, folder: Path) -> None:
        """Report it no more."""
        ...

    def close(self) -> None:
        """End, with every thread."""
        ...


class Inotify:
    """inotify through watchdog's descriptor thread.

    Its observers are not used: they tell handlers nothing of an overflow, hold back a rename for half a
    second, and start one thread for each folder. The descriptor thread calls ``on_queue_overflow`` (since
    watchdog 7) and takes our own mask, so that opens and reads are dropped by the kernel.
    """

    def __init__(self, news: News) -> None:
        from watchdog.observers import inotify_c  # not on every system

        mask = inotify_c.InotifyConstants
        self._mask = inotify_c.Mask(
            mask.IN_CREATE | mask.IN_CLOSE_WRITE | mask.IN_MOVE | mask.IN_DELETE | mask.IN_DELETE_SELF
            | mask.IN_MOVE_SELF | mask.IN_ONLYDIR
        )  # fmt: skip
        self._news = news
        self._listeners: dict[Path, tuple[Any, _Listener]] = {}
        self._descriptor = inotify_c.InotifyFD()
        self._descriptor.start()

    def watch(self, folder: Path) -> None:
        """Report what happens in a folder."""
        from watchdog.observers.inotify_c import CallbackId

        listener = _Listener(folder, self._news)
        watch = self._descriptor.add_callback(os.fsencode(folder), self._mask, listener, CallbackId(id(listener)))
        if watch == -1:  # watchdog keeps silent about a folder that may not be read
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        self._listeners[folder] = watch, listener

    def unwatch(self, folder: Path) -> None:
        """Report it no more."""
        from watchdog.observers.inotify_c import CallbackId

        watch, listener = self._listeners.pop(folder)
        listener.closed = True
        self._descriptor.remove_callbacks([(watch, CallbackId(id(listener)))])

    def close(self) -> None:
        """End, with every thread."""
        for _, listener in self._listeners.values():
            listener.closed = True
        self._descriptor.stop()
        self._descriptor.join()


class _Listener:
    """Hears one folder's inotify events."""

    def __init__(self, folder: Path, news: News) -> None:
        self.closed = False
        self._folder = folder
        self._news = news

    def on_event(self, event: Any) -> None:
        if self.closed:
            return
        if event.is_delete_self or event.is_move_self:
            self._news.lost(self._folder)
        elif event.name:
            self._news.changed(self._folder / os.fsdecode(event.name))

    def on_watch_deleted(self, wd: Any) -> None:
        """The kernel took the watch away, with the folder or its file system."""
        if not self.closed:
            self._news.lost(self._folder)

    def on_queue_overflow(self) -> None:
        self._news.overflowed()


class Polling:
    """watchdog's polling: compares listings, for file systems without events and full watch limits."""

    def __init__(self, news: News, every_seconds: float) -> None:
        from watchdog.observers.polling import PollingObserver

        self._news = news
        self._watches: dict[Path, Any] = {}
        self._observer = PollingObserver(timeout=every_seconds)
        self._observer.start()

    def watch(self, folder: Path) -> None:
        """Report what happens in a folder."""
        self._watches[folder] = self._observer.schedule(_Handler(folder, self._news), str(folder), recursive=False)

    def unwatch(self, folder: Path) -> None:
        """Report it no more."""
        self._observer.unschedule(self._watches.pop(folder))

    def close(self) -> None:
        """End, with every thread."""
        self._observer.stop()
        self._observer.join()


class _Handler(FileSystemEventHandler):
    """Hears one folder's polling events."""

    _CHANGES = (FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent)

    def __init__(self, folder: Path, news: News) -> None:
        self._folder = folder
        self._news = news

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type == "deleted" and event.src_path == str(self._folder):
            self._news.lost(self._folder)
        elif isinstance(event, self._CHANGES):
            for path in filter(None, (event.src_path, event.dest_path)):
                self._news.changed(self._folder / Path(str(path)).name)
