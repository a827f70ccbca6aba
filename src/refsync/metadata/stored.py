"""The metadata files of a folder: read through a cache, and changed with everybody else shut out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from loguru import logger

from refsync.categories import CanonicalFormat, Catalogue, CategoryName
from refsync.durable import make_folder, write_durably
from refsync.durable_steps import durable_step
from refsync.errors import RequestError, StoreBusyError
from refsync.metadata.files import FileState, file_state, remove_leftovers, set_aside, siblings, stat_of, state_of_file
from refsync.metadata.fold import new_metadata
from refsync.metadata.models import CategoryMetadata

if TYPE_CHECKING:
    from filelock import FileLock

DEFAULT_BACKEND_TYPE = "FileSystemBackend"
LOCK_TIMEOUT_SECONDS = 60.0
LOCK_POLL_SECONDS = 0.005


@dataclass
class _Tracker:
    """What is known of one format's files; a cached object is a copy that nobody else holds."""

    path_of: Callable[[CategoryName], Path]
    cache: dict[CategoryName, CategoryMetadata] = field(default_factory=dict)
    timestamps: dict[CategoryName, float] = field(default_factory=dict)
    mtimes: dict[CategoryName, float] = field(default_factory=dict)
    stale: set[CategoryName] = field(default_factory=set)
    states: dict[CategoryName, FileState] = field(default_factory=dict)

    def remember(self, category: CategoryName, metadata: CategoryMetadata, stat: os.stat_result) -> None:
        self.cache[category] = metadata.model_copy(deep=True)
        self.timestamps[category] = time.time()
        self.mtimes[category] = stat.st_mtime
        self.states[category] = file_state(stat)
        self.stale.discard(category)

    def forget(self, category: CategoryName) -> None:
        for known in (self.cache, self.timestamps, self.mtimes, self.states):
            known.pop(category, None)


class StoredMetadata:
    """Category metadata as it is kept, with a cache; safe for many threads and processes on one folder.

    Legacy and v2 never share a file or a cache entry. A read never writes, and what is returned belongs to the caller.
    """

    def __init__(self, base_path: Path, catalogue: Catalogue) -> None:
        """Create the folders ``meta/legacy`` and ``meta/v2`` under ``base_path``; raises OSError where it cannot."""
        self._base_path = Path(base_path)
        self._catalogue = catalogue
        self._lock = RLock()
        self._cache_ttl_seconds = 60
        self._ensure_meta_directories()
        self._paths = {
            (format, category): self._base_path / "meta" / format / f"{category}_metadata.json"
            for format in CanonicalFormat
            for category in map(catalogue.parse, catalogue)
        }
        legacy = _Tracker(self._get_legacy_metadata_path)
        v2 = _Tracker(self._get_v2_metadata_path)
        self._trackers = {CanonicalFormat.legacy: legacy, CanonicalFormat.v2: v2}
        self._legacy_cache, self._v2_cache = legacy.cache, v2.cache
        self._legacy_cache_timestamps, self._v2_cache_timestamps = legacy.timestamps, v2.timestamps
        self._legacy_mtimes, self._v2_mtimes = legacy.mtimes, v2.mtimes
        self._stale_legacy, self._stale_v2 = legacy.stale, v2.stale

    @cached_property
    def _process_lock(self) -> FileLock:
        from filelock import FileLock  # slow, and nothing to who only reads

        # Readable and writable by the group that shares the folder; filelock's handle is shared by our threads.
        return FileLock(
            self._base_path / "meta" / ".lock",
            timeout=LOCK_TIMEOUT_SECONDS,
            poll_interval=LOCK_POLL_SECONDS,
            mode=0o660,
            thread_local=False,
        )

    @property
    def base_path(self) -> Path:
        """The folder that holds ``meta``."""
        return self._base_path

    def get_metadata(self, format: CanonicalFormat, category: CategoryName) -> CategoryMetadata:
        """The metadata, from the cache while that is valid; a fresh default where there is no file."""
        tracker, category = self._trackers[format], self._catalogue.parse(category)
        with self._lock:
            cached = tracker.cache.get(category)
            if cached is not None and self._is_current(tracker, category):
                return cached.model_copy(deep=True)
            return self._load(tracker, category) or self._new(category, DEFAULT_BACKEND_TYPE)

    def state_of(self, format: CanonicalFormat, category: CategoryName) -> FileState | None:
        """By which the file is known again, ``None`` where there is none: while it stays, so does what it holds."""
        return state_of_file(self._trackers[format].path_of(category))

    def stored_metadata(self, format: CanonicalFormat, category: CategoryName) -> CategoryMetadata | None:
        """What the file itself holds; ``None`` where it is missing or cannot be read."""
        with self._lock:
            return self._load(self._trackers[format], category)

    # Changing

    def _get_or_initialize(
        self, format: CanonicalFormat, category: CategoryName, backend_type: str
    ) -> CategoryMetadata:
        tracker = self._trackers[format]
        with self._exclusive():
            stored = self._load(tracker, category)
            if stored is not None:
                return stored
            set_aside(tracker.path_of(category))
            return self._store(tracker, category, self._new(category, backend_type))

    def _change(
        self,
        format: CanonicalFormat,
        category: CategoryName,
        edit: Callable[[CategoryMetadata | None], CategoryMetadata],
    ) -> CategoryMetadata:
        """Read, edit and write with everybody else shut out; what the file holds counts, never only the cache."""
        tracker = self._trackers[format]
        path = tracker.path_of(category)
        with self._exclusive():
            stored = self._read_checked(path, category)
            if stored is None:
                set_aside(path)
                stored = self._read_backup(path, category)
            return self._store(tracker, category, edit(stored))

    def _store(self, tracker: _Tracker, category: CategoryName, metadata: CategoryMetadata) -> CategoryMetadata:
        path = tracker.path_of(category)
        self._write_metadata_file(path, metadata)
        remove_leftovers(path)
        stat = stat_of(path)
        if stat is None:
            tracker.forget(category)
        else:
            tracker.remember(category, metadata, stat)
        return metadata

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Shut out the other threads and the other processes."""
        from filelock import Timeout

        with self._lock:
            try:
                self._process_lock.acquire()
            except Timeout:
                raise StoreBusyError(
                    f"{self._process_lock.lock_file} was held by another process for {LOCK_TIMEOUT_SECONDS:.0f} s;"
                    " end it, or try again later"
                ) from None
            try:
                yield
            finally:
                self._process_lock.release()

    # Reading

    def _load(self, tracker: _Tracker, category: CategoryName) -> CategoryMetadata | None:
        """What the file holds; the cache follows, and an entry that is still valid keeps its age."""
        path = tracker.path_of(category)
        # Taken before the read, so that a write during it is noticed.
        stat = stat_of(path)
        metadata = self._read_checked(path, category) or self._read_backup(path, category)
        if metadata is None or stat is None:
            tracker.forget(category)
        elif category not in tracker.cache or not self._is_current(tracker, category):
            tracker.remember(category, metadata, stat)
        return metadata

    def _read_backup(self, path: Path, category: CategoryName) -> CategoryMetadata | None:
        """What a crash of other software left beside a file that is missing or corrupt."""
        backups = (self._read_checked(backup, category) for backup in siblings(path, ".bak"))
        return next((metadata for metadata in backups if metadata is not None), None)

    def _read_checked(self, path: Path, category: CategoryName) -> CategoryMetadata | None:
        metadata = self._read_metadata_file(path)
        if metadata is not None and metadata.category != category:
            logger.error("{} is not used: it describes category {}", path, metadata.category)
            return None
        return metadata

    def _is_current(self, tracker: _Tracker, category: CategoryName) -> bool:
        """The documented rule, and beyond it the size, inode and times in nanoseconds."""
        if not self._is_cache_valid(category, tracker.timestamps, tracker.mtimes, tracker.stale, tracker.path_of):
            return False
        stat = stat_of(tracker.path_of(category))
        return stat is not None and tracker.states.get(category) == file_state(stat)

    def _mark_stale(self, format: CanonicalFormat, category: CategoryName) -> None:
        with self._lock:
            self._trackers[format].stale.add(self._catalogue.parse(category))

    def _new(self, category: CategoryName, backend_type: str, at: int | None = None) -> CategoryMetadata:
        if not isinstance(backend_type, str):
            raise RequestError(f"a backend type is text, not {type(backend_type).__name__}")
        return new_metadata(self._catalogue.parse(category), backend_type, or_now(at))

    # Protected names that subclasses may rely on

    @durable_step("make the metadata folders")
    def _ensure_meta_directories(self) -> None:
        for format in CanonicalFormat:
            make_folder(self._base_path / "meta" / format)

    def _get_legacy_metadata_path(self, category: CategoryName) -> Path:
        return self._paths[CanonicalFormat.legacy, self._catalogue.parse(category)]

    def _get_v2_metadata_path(self, category: CategoryName) -> Path:
        return self._paths[CanonicalFormat.v2, self._catalogue.parse(category)]

    def _read_metadata_file(self, file_path: Path) -> CategoryMetadata | None:
        try:
            return CategoryMetadata.from_json(file_path.read_bytes(), self._catalogue)
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            logger.error("metadata file {} cannot be read: {}", file_path, error)
            return None

    def _write_metadata_file(self, file_path: Path, metadata: CategoryMetadata) -> None:
        write_durably(file_path, metadata.to_json())

    def _is_cache_valid(
        self,
        category: CategoryName,
        cache_timestamps: dict[CategoryName, float],
        mtimes: dict[CategoryName, float],
        stale_set: set[CategoryName],
        metadata_path_fn: Callable[[CategoryName], Path],
    ) -> bool:
        loaded = cache_timestamps.get(category)
        if category in stale_set or loaded is None:
            return False
        # A negative age means that the clock was set back.
        if not 0 <= time.time() - loaded <= self._cache_ttl_seconds:
            return False
        stat = stat_of(metadata_path_fn(category))
        return stat is not None and mtimes.get(category) == stat.st_mtime


def or_now(timestamp: int | None) -> int:
    """A time that somebody gave, or now; raises RequestError for what is no time."""
    if timestamp is not None and not isinstance(timestamp, int):
        raise RequestError(f"a time is in whole Unix seconds, not {type(timestamp).__name__}")
    return int(time.time()) if timestamp is None else timestamp
