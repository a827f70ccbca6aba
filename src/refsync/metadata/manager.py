"""The one place through which category metadata changes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from loguru import logger

from refsync.categories import SPECIFIED, CanonicalFormat, Catalogue, CategoryName
from refsync.durable import make_folder, write_durably
from refsync.durable_steps import durable_step
from refsync.errors import ModelNameError, RequestError, StoreBusyError
from refsync.metadata.events import Listener, error_event, events_of, operation_event, tell
from refsync.metadata.files import FileState, file_state, remove_leftovers, set_aside, siblings, stat_of, state_of_file
from refsync.metadata.fold import (
    apply_error,
    apply_operation,
    count_history,
    mark_recorded,
    new_metadata,
    own_errors,
)
from refsync.metadata.models import (
    CategoryMetadata,
    MetadataEvent,
    OperationType,
    RecordedError,
    RecordedOperation,
)
from refsync.metadata.records import ModelMetadataManager

if TYPE_CHECKING:
    from filelock import FileLock

DEFAULT_BACKEND_TYPE = "FileSystemBackend"
LOCK_TIMEOUT_SECONDS = 60.0
LOCK_POLL_SECONDS = 0.005


@dataclass
class _Tracker:
    """What is known of one format's files; a cached object is a copy that nobody else holds."""

    format: CanonicalFormat
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


class MetadataManager:
    """Counts, per category and format, what has happened; safe for many threads and processes on one folder.

    Legacy and v2 never share a file, cache entry or counter. A read never writes, and what a method returns
    belongs to the caller.

    >>> import tempfile
    >>> from refsync import MODEL_REFERENCE_CATEGORY, OperationType
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     manager = MetadataManager(Path(folder))
    ...     counted = manager.record_v2_operation(MODEL_REFERENCE_CATEGORY.clip, OperationType.CREATE, "ViT-L/14")
    >>> counted.total_creates, counted.total_models, counted.last_operation_model
    (1, 1, 'ViT-L/14')
    """

    def __init__(
        self,
        base_path: Path,
        model_metadata_manager: ModelMetadataManager | None = None,
        *,
        catalogue: Catalogue = SPECIFIED,
    ) -> None:
        """Create the folders ``meta/legacy`` and ``meta/v2`` under ``base_path``.

        Args:
            base_path: the folder that holds ``meta``; created with its parents.
            model_metadata_manager: for the metadata of single records; a plain one by default.
            catalogue: which categories there are.

        Raises:
            OSError: the folders cannot be created.
        """
        self._base_path = Path(base_path)
        self._catalogue = catalogue
        self._lock = RLock()
        self._model_metadata_manager = model_metadata_manager or ModelMetadataManager()
        self._cache_ttl_seconds = 60
        self._listeners: list[Listener] = []
        self._ensure_meta_directories()
        legacy = _Tracker(CanonicalFormat.legacy, self._get_legacy_metadata_path)
        v2 = _Tracker(CanonicalFormat.v2, self._get_v2_metadata_path)
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

    @property
    def model_metadata(self) -> ModelMetadataManager:
        """The manager of the metadata of single records."""
        return self._model_metadata_manager

    # Legacy

    def initialize_legacy_metadata(self, category: CategoryName, backend_type: str) -> CategoryMetadata:
        """A new object in memory, all three times now; nothing is written or cached."""
        return self._new(category, backend_type)

    def get_or_initialize_legacy_metadata(
        self, category: CategoryName, backend_type: str = DEFAULT_BACKEND_TYPE
    ) -> CategoryMetadata:
        """What the file holds; where there is none, a new object that is written first.

        Raises:
            OSError: the file cannot be read or written.
        """
        return self._get_or_initialize(CanonicalFormat.legacy, category, backend_type)

    def record_legacy_operation(
        self,
        category: CategoryName,
        operation: OperationType,
        model_name: str,
        success: bool = True,
        backend_type: str = DEFAULT_BACKEND_TYPE,
        *,
        timestamp: int | None = None,
        commit: str | None = None,
        person: str | None = None,
        total_models: int | None = None,
    ) -> CategoryMetadata:
        """Count one operation on a legacy record; returns once the file is in place.

        Args:
            category: the category of the model.
            operation: what was done.
            model_name: to which model.
            success: ``False`` notes what was tried and counts nothing.
            backend_type: class name of the writer, for a new object only.
            timestamp: when, in Unix seconds; now by default.
            commit: object id of the commit that brought it, for listeners.
            person: who did it, for listeners.
            total_models: the true number of models afterwards, where it is known.

        Raises:
            RequestError: no such operation, or a model name that is no text.
            StoreBusyError: another process held the metadata for too long.
            OSError: the file cannot be read or written; the old one is intact.
        """
        recorded = _operation(operation, model_name, timestamp, commit, person)
        return self._record(CanonicalFormat.legacy, category, recorded, success, backend_type, total_models)

    def record_legacy_error(
        self,
        category: CategoryName,
        error_info: str,
        backend_type: str = DEFAULT_BACKEND_TYPE,
        *,
        timestamp: int | None = None,
    ) -> CategoryMetadata:
        """Count one failure; see ``record_error``."""
        return self.record_error(
            CanonicalFormat.legacy, category, error_info, backend_type=backend_type, timestamp=timestamp
        )

    def get_legacy_metadata(self, category: CategoryName) -> CategoryMetadata:
        """The metadata, from the cache while that is valid; a fresh default where there is no file."""
        return self.get_metadata(CanonicalFormat.legacy, category)

    def get_all_legacy_metadata(self) -> dict[CategoryName, CategoryMetadata]:
        """``get_legacy_metadata`` of every category, in the order of the enum."""
        return {category: self.get_legacy_metadata(category) for category in self._catalogue}

    def mark_legacy_stale(self, category: CategoryName) -> None:
        """Let the next ``get_legacy_metadata`` of this category read the file."""
        self._mark_stale(CanonicalFormat.legacy, category)

    # v2

    def initialize_v2_metadata(self, category: CategoryName, backend_type: str) -> CategoryMetadata:
        """A new object in memory, all three times now; nothing is written or cached."""
        return self._new(category, backend_type)

    def get_or_initialize_v2_metadata(
        self, category: CategoryName, backend_type: str = DEFAULT_BACKEND_TYPE
    ) -> CategoryMetadata:
        """What the file holds; where there is none, a new object that is written first.

        Raises:
            OSError: the file cannot be read or written.
        """
        return self._get_or_initialize(CanonicalFormat.v2, category, backend_type)

    def record_v2_operation(
        self,
        category: CategoryName,
        operation: OperationType,
        model_name: str,
        success: bool = True,
        backend_type: str = DEFAULT_BACKEND_TYPE,
        *,
        timestamp: int | None = None,
        commit: str | None = None,
        person: str | None = None,
        total_models: int | None = None,
    ) -> CategoryMetadata:
        """Count one operation on a v2 record; arguments and errors as ``record_legacy_operation``."""
        recorded = _operation(operation, model_name, timestamp, commit, person)
        return self._record(CanonicalFormat.v2, category, recorded, success, backend_type, total_models)

    def record_v2_error(
        self,
        category: CategoryName,
        error_info: str,
        backend_type: str = DEFAULT_BACKEND_TYPE,
        *,
        timestamp: int | None = None,
    ) -> CategoryMetadata:
        """Count one failure; see ``record_error``."""
        return self.record_error(
            CanonicalFormat.v2, category, error_info, backend_type=backend_type, timestamp=timestamp
        )

    def get_v2_metadata(self, category: CategoryName) -> CategoryMetadata:
        """The metadata, from the cache while that is valid; a fresh default where there is no file."""
        return self.get_metadata(CanonicalFormat.v2, category)

    def get_all_v2_metadata(self) -> dict[CategoryName, CategoryMetadata]:
        """``get_v2_metadata`` of every category, in the order of the enum."""
        return {category: self.get_v2_metadata(category) for category in self._catalogue}

    def mark_v2_stale(self, category: CategoryName) -> None:
        """Let the next ``get_v2_metadata`` of this category read the file."""
        self._mark_stale(CanonicalFormat.v2, category)

    # Either format

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

    @durable_step("count an error")
    def record_error(
        self,
        format: CanonicalFormat,
        category: CategoryName,
        error_info: str,
        *,
        backend_type: str = DEFAULT_BACKEND_TYPE,
        timestamp: int | None = None,
        commit: str | None = None,
        person: str | None = None,
        change: int | None = None,
        merge: str | None = None,
    ) -> CategoryMetadata:
        """Count one failure of our own; the text goes to the log and to the listeners only.

        Args:
            format: the format that it concerns.
            category: the category that it concerns.
            error_info: what failed.
            backend_type: class name of the writer, for a new object only.
            timestamp: when, in Unix seconds; now by default.
            commit: object id of the commit that it concerns, for listeners.
            person: whose change it concerns, for listeners.
            change: the refused change that it is, which counts once however often in a row it is told.
            merge: the merge that lost something, kept as the last one that is counted.

        Raises:
            StoreBusyError: another process held the metadata for too long.
            OSError: the file cannot be read or written; the old one is intact.
        """
        failure = RecordedError(error_info, _or_now(timestamp), commit, person)
        counted = True

        def edit(stored: CategoryMetadata | None) -> CategoryMetadata:
            nonlocal counted
            metadata = stored or self._new(category, backend_type, failure.timestamp)
            counted = change is None or metadata.last_refused_change != change
            if counted:
                apply_error(metadata, failure)
            metadata.last_refused_change = change or metadata.last_refused_change
            metadata.last_lossy_merge = merge or metadata.last_lossy_merge
            return metadata

        changed = self._change(format, category, edit)
        if counted:
            logger.warning("error in category {} ({}): {}", category, format, error_info)
            self._announce([error_event(format, category, failure)])
        return changed

    def record_operations(
        self,
        format: CanonicalFormat,
        category: CategoryName,
        operations: Iterable[RecordedOperation],
        *,
        backend_type: str = DEFAULT_BACKEND_TYPE,
        errors: Iterable[RecordedError] = (),
        recorded_commit: str | None = None,
        recorded_blob: str | None = None,
        initialization_time: int | None = None,
        total_models: int | None = None,
    ) -> CategoryMetadata:
        """Count many operations with one read and one durable write; the same result as one by one.

        Args:
            format: the format of the records.
            category: the category of the models.
            operations: what was done, oldest first.
            backend_type: class name of the writer, for a new object only.
            errors: versions of the file in the history that cannot be read.
            recorded_commit: the newest commit that is counted with these.
            recorded_blob: object id of the newest valid version of the file, noted with ``recorded_commit``.
            initialization_time: of a new object, in Unix seconds; by default the time of the first operation.
            total_models: the true number of models afterwards, where it is known.

        Raises:
            StoreBusyError: another process held the metadata for too long.
            OSError: the file cannot be read or written; the old one is intact and nothing was counted.
        """
        done, failed = list(operations), list(errors)
        began = initialization_time if initialization_time is not None else _first_time(done, failed)

        def edit(stored: CategoryMetadata | None) -> CategoryMetadata:
            metadata = stored or self._new(category, backend_type, began)
            count_history(metadata, done, failed)
            mark_recorded(metadata, recorded_commit, recorded_blob, total_models)
            return metadata

        changed = self._change(format, category, edit)
        self._announce(events_of(format, category, done, failed))
        return changed

    def replace_metadata(
        self,
        format: CanonicalFormat,
        category: CategoryName,
        metadata: CategoryMetadata,
        *,
        operations: Iterable[RecordedOperation] = (),
        errors: Iterable[RecordedError] = (),
    ) -> CategoryMetadata:
        """Put a fold over the history in place of what is stored.

        The errors of our own stay counted, those that ``metadata`` brings are added, and ``last_updated`` does
        not go back.

        Args:
            format: the format of the records.
            category: the category of the models.
            metadata: the fold; not changed.
            operations: those in it that listeners have not had yet.
            errors: likewise.

        Raises:
            StoreBusyError: another process held the metadata for too long.
            OSError: the file cannot be read or written; the old one is intact.
        """

        def edit(stored: CategoryMetadata | None) -> CategoryMetadata:
            changed = metadata.model_copy(deep=True)
            if stored is not None:
                changed.error_count += own_errors(stored)
                changed.last_updated = max(changed.last_updated, stored.last_updated)
                changed.last_refused_change = stored.last_refused_change
                changed.last_lossy_merge = stored.last_lossy_merge
            return changed

        changed = self._change(format, category, edit)
        self._announce(events_of(format, category, operations, errors))
        return changed

    # Listeners

    def add_listener(self, listener: Listener) -> None:
        """Call ``listener`` with each operation and error that is recorded from now on, outside the lock.

        What it raises is logged and harms nothing.
        """
        with self._lock:
            self._listeners.append(listener)

    def remove_listener(self, listener: Listener) -> None:
        """Stop calling ``listener``; one that was never added is ignored."""
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    def _announce(self, events: Iterable[MetadataEvent]) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        if not listeners:
            return
        for event in events:
            for listener in listeners:
                tell(listener, event)

    # Changing

    def _record(
        self,
        format: CanonicalFormat,
        category: CategoryName,
        recorded: RecordedOperation,
        success: bool,
        backend_type: str,
        total_models: int | None,
    ) -> CategoryMetadata:
        def edit(stored: CategoryMetadata | None) -> CategoryMetadata:
            metadata = stored or self._new(category, backend_type, recorded.timestamp)
            apply_operation(metadata, recorded, success=success)
            mark_recorded(metadata, None, None, total_models)
            return metadata

        changed = self._change(format, category, edit)
        error = None if success else f"{recorded.operation} of {recorded.model!r} failed"
        self._announce([operation_event(format, category, recorded, error)])
        return changed

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
        return new_metadata(self._catalogue.parse(category), backend_type, _or_now(at))

    # Protected names that subclasses may rely on

    @durable_step("make the metadata folders")
    def _ensure_meta_directories(self) -> None:
        for format in CanonicalFormat:
            make_folder(self._base_path / "meta" / format)

    def _get_legacy_metadata_path(self, category: CategoryName) -> Path:
        return self._base_path / "meta" / "legacy" / f"{self._catalogue.parse(category)}_metadata.json"

    def _get_v2_metadata_path(self, category: CategoryName) -> Path:
        return self._base_path / "meta" / "v2" / f"{self._catalogue.parse(category)}_metadata.json"

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


def _operation(
    operation: OperationType, model_name: str, timestamp: int | None, commit: str | None, person: str | None
) -> RecordedOperation:
    if not isinstance(model_name, str):
        raise ModelNameError(f"a model name is text, not {type(model_name).__name__}")
    try:
        kind = OperationType(operation)
    except ValueError:
        raise RequestError(f"no operation {operation!r}; there are {', '.join(OperationType)}") from None
    return RecordedOperation(kind, model_name, _or_now(timestamp), commit, person)


def _first_time(operations: Sequence[RecordedOperation], errors: Sequence[RecordedError]) -> int | None:
    first = [each.timestamp for each in operations[:1]] + [each.timestamp for each in errors[:1]]
    return min(first, default=None)


def _or_now(timestamp: int | None) -> int:
    if timestamp is not None and not isinstance(timestamp, int):
        raise RequestError(f"a time is in whole Unix seconds, not {type(timestamp).__name__}")
    return int(time.time()) if timestamp is None else timestamp
