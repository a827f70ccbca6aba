"""What readers wait for: a cached read, a cold one, and the news that a file has changed."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from refsync.backends.git_backend import GitBackend
from refsync.categories import CanonicalFormat, CategoryName
from tests.benchmarks.ground import IMAGE, IMAGE_FILE, Bench, image_clone
from tests.benchmarks.measuring import Figure, Times
from tests.support.repositories import Clone

_READS = 2000


def reader_of(clone: Clone) -> GitBackend:
    """A program that reads one category of a clone."""
    files: dict[CategoryName, dict[CanonicalFormat, str]] = {IMAGE: {CanonicalFormat.legacy: IMAGE_FILE}}
    return GitBackend(clone.path, files, canonical_format=CanonicalFormat.legacy)


def cached(bench: Bench) -> Iterator[Figure]:
    """A valid entry, in one thread and in eight."""
    with bench.room() as room:
        clone = image_clone(room / "clone")
        yield Figure("cached-read", "a cached read, valid", *_cached(bench, clone, 1), "os.stat", 2.5)
        times = _cached(bench, clone, 8)
        yield Figure("cached-read", "a cached read on 8 threads", *times, "os.stat on 8 threads", 2.5)


def threads(bench: Bench) -> Iterator[Figure]:
    """Reads in ever more threads."""
    with bench.room() as room:
        clone = image_clone(room / "clone")
        for count in bench.sizes(1, 2, 4, 8, 16):
            times = _cached(bench, clone, count)
            work, what = f"a cached read on {count} threads", "reading threads: a cached read"
            yield Figure("growth-threads", work, *times, "os.stat", series=what, size=count)


def _cached(bench: Bench, clone: Clone, threads: int) -> tuple[Times, Times]:
    backend, path = reader_of(clone), str(clone.path / IMAGE_FILE)
    backend.fetch_category(IMAGE)
    reads = max(50, _READS // (20 if bench.quick else 1))
    return bench.beside(
        lambda: _on_threads(threads, reads, lambda: backend.fetch_category(IMAGE)),
        lambda: _on_threads(threads, reads, lambda: os.stat(path)),
        each=reads * threads,
    )


def _on_threads(count: int, times: int, work: Callable[[], object]) -> None:
    def repeat() -> None:
        for _ in range(times):
            work()

    if count == 1:
        repeat()
        return
    started = [threading.Thread(target=repeat) for _ in range(count)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def cold(bench: Bench) -> Iterator[Figure]:
    """A read of a category that nobody has read."""
    with bench.room() as room:
        clone = image_clone(room / "clone")
        file, backends = clone.path / IMAGE_FILE, [reader_of(clone)]

        def forget() -> None:
            backends[:] = [reader_of(clone)]

        times = bench.beside(
            lambda: backends[0].fetch_category(IMAGE),
            lambda: json.loads(file.read_bytes()),
            before=forget,
            rounds=40,
        )
    yield Figure("cold-read", "a cold read of a category", *times, "read and json.loads", 1.3)


def news(bench: Bench) -> Iterator[Figure]:
    """From the rename of a new file into place to the callback."""
    with bench.room() as room:
        ours, alone = image_clone(room / "ours"), room / "alone"
        alone.mkdir()
        backend = reader_of(ours)
        with _heard_by_refsync(backend) as told, _heard_by_watchdog(alone) as heard:
            replaced, by_itself = (_Replaced(folder / IMAGE_FILE) for folder in (ours.path, alone))

            def prepare() -> None:
                replaced.prepare()
                backend.fetch_category(IMAGE)
                told.clear()

            def prepare_alone() -> None:
                by_itself.prepare()
                heard.clear()

            times = bench.beside(
                lambda: replaced.wait(told),
                lambda: by_itself.wait(heard),
                before=prepare,
                before_floor=prepare_alone,
                rounds=60,
            )
    yield Figure("news", "a file replaced to the invalidation callback", *times, "watchdog alone", 2.0)


class _Replaced:
    """A file that is replaced by a rename, as git and refsync do it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._fresh = file.with_name("fresh")

    def prepare(self) -> None:
        """The next version under another name; and time for what is told of that to be over."""
        self._fresh.write_text(json.dumps({"model": {"version": str(time.perf_counter_ns())}}))
        time.sleep(0.05)

    def wait(self, heard: threading.Event) -> None:
        """What is timed."""
        self._fresh.replace(self._file)
        assert heard.wait(10)


@contextmanager
def _heard_by_refsync(backend: GitBackend) -> Iterator[threading.Event]:
    heard = threading.Event()
    backend.register_invalidation_callback(lambda _: heard.set())
    watcher = backend.watch()
    try:
        yield heard
    finally:
        watcher.stop()


@contextmanager
def _heard_by_watchdog(folder: Path) -> Iterator[threading.Event]:
    heard = threading.Event()

    class Handler(FileSystemEventHandler):
        def on_moved(self, event: FileSystemEvent) -> None:
            heard.set()

    observer = Observer()
    observer.schedule(Handler(), str(folder))
    observer.start()
    try:
        yield heard
    finally:
        observer.stop()
        observer.join()
