"""The one place through which category metadata changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from loguru import logger

from refsync.categories import SPECIFIED, CanonicalFormat, Catalogue, CategoryName
from refsync.durable_steps import durable_step
from refsync.errors import ModelNameError, RequestError
from refsync.metadata.events import Listener, error_event, events_of, operation_event, tell
from refsync.metadata.fold import apply_error, apply_operation, count_history, mark_recorded, own_errors
from refsync.metadata.models import CategoryMetadata, MetadataEvent, OperationType, RecordedError, RecordedOperation
from refsync.metadata.records import ModelMetadataManager
from refsync.metadata.stored import DEFAULT_BACKEND_TYPE, StoredMetadata, or_now


class MetadataManager(StoredMetadata):
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
        super().__init__(base_path, catalogue)
        self._model_metadata_manager = model_metadata_manager or ModelMetadataManager()
        self._listeners: list[Listener] = []

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
        failure = RecordedError(error_info, or_now(timestamp), commit, person)
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


def _operation(
    operation: OperationType, model_name: str, timestamp: int | None, commit: str | None, person: str | None
) -> RecordedOperation:
    if not isinstance(model_name, str):
        raise ModelNameError(f"a model name is text, not {type(model_name).__name__}")
    try:
        kind = OperationType(operation)
    except ValueError:
        raise RequestError(f"no operation {operation!r}; there are {', '.join(OperationType)}") from None
    return RecordedOperation(kind, model_name, or_now(timestamp), commit, person)


def _first_time(operations: Sequence[RecordedOperation], errors: Sequence[RecordedError]) -> int | None:
    first = [each.timestamp for each in operations[:1]] + [each.timestamp for each in errors[:1]]
    return min(first, default=None)
