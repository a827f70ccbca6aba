"""What operations and versions of a category file add up to. Pure: what it reads and logs is handed in or back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from refsync.categories import CategoryDescriptor, CategoryName
from refsync.clone.history import FileChange, LandedCommit
from refsync.documents.json_document import Record
from refsync.documents.operations import operations_between
from refsync.errors import DocumentError, writable
from refsync.metadata.models import CategoryMetadata, OperationType, RecordedError, RecordedOperation
from refsync.reference.kinds import records_after, records_in
from refsync.reference.versions import Version, Versions


def new_metadata(category: CategoryName, backend_type: str, at: int) -> CategoryMetadata:
    """A blank object whose three times are ``at``, in Unix seconds."""
    return CategoryMetadata(
        category=category,
        last_updated=at,
        initialization_time=at,
        last_successful_operation=at,
        backend_type=backend_type,
    )


def apply_operation(metadata: CategoryMetadata, recorded: RecordedOperation, *, success: bool = True) -> None:
    """Count an operation in place; one that failed moves only the time and what was last tried."""
    metadata.last_updated = max(metadata.last_updated, recorded.timestamp)
    # Plain strings, as the model holds them after construction; a name may have halves of surrogate pairs,
    # which no UTF-8 file can.
    metadata.last_operation_type = recorded.operation.value  # type: ignore[assignment]
    metadata.last_operation_model = writable(recorded.model)
    if success:
        metadata.last_successful_operation = max(metadata.last_successful_operation, recorded.timestamp)
        _count(metadata, recorded.operation)


def _count(metadata: CategoryMetadata, operation: OperationType) -> None:
    if operation is OperationType.CREATE:
        metadata.total_creates += 1
        metadata.total_models += 1
    elif operation is OperationType.DELETE:
        metadata.total_deletes += 1
        metadata.total_models = max(0, metadata.total_models - 1)
    else:
        metadata.total_updates += 1


def apply_error(metadata: CategoryMetadata, recorded: RecordedError, *, of_history: bool = False) -> None:
    """Count a failure in place: one of our own, or one that the history gives."""
    metadata.last_updated = max(metadata.last_updated, recorded.timestamp)
    metadata.error_count += 1
    metadata.history_errors += of_history


def own_errors(metadata: CategoryMetadata) -> int:
    """The failures that no fold over the history gives."""
    return max(0, metadata.error_count - metadata.history_errors)


@dataclass
class FileFold:
    """The versions of one category file, oldest first; only the newest valid one is kept in memory.

    Starts after the version ``blob`` (``None``: where the file has none yet). ``began`` is the time of the first
    commit that holds the file, and ``commit`` the last one that touched it, among those taken in.
    """

    category: CategoryDescriptor
    path: str
    blob: str | None = None
    operations: list[RecordedOperation] = field(default_factory=list)
    errors: list[RecordedError] = field(default_factory=list)
    began: int | None = None
    commit: str | None = None
    _records: Mapping[str, Record] | None = None
    _newest: Version | None = None

    def take(self, commit: LandedCommit, change: FileChange, versions: Versions) -> None:
        """Compare the version that the commit brings with the last valid one."""
        try:
            records = self._version(change, versions)
        except DocumentError as error:
            fault = f"{self.path} in commit {commit.sha}: {error}"
            self.errors.append(RecordedError(fault, commit.committed_at, commit.sha, commit.author))
        else:
            self._compare(commit, self._previous(versions), records)
            self._records, self.blob = records, change.new_blob
        self.commit = commit.sha
        if self.began is None and change.new_blob is not None:
            self.began = commit.committed_at

    @property
    def total_models(self) -> int | None:
        """Models in the newest valid version; ``None`` while no version was read."""
        return None if self._records is None else len(self._records)

    def _version(self, change: FileChange, versions: Versions) -> Mapping[str, Record]:
        if change.new_blob is None:
            return {}
        if change.new_mode is None or not change.new_mode.startswith("100"):
            raise DocumentError("not a regular file")
        version = versions.of(change.new_blob)
        records = records_after(version, self._newest, self.category, self.path)
        self._newest = version
        return records

    def _previous(self, versions: Versions) -> Mapping[str, Record]:
        if self._records is None:
            self._records = {} if self.blob is None else records_in(versions.of(self.blob), self.category, self.path)
        return self._records

    def _compare(self, commit: LandedCommit, old: Mapping[str, Record], new: Mapping[str, Record]) -> None:
        self.operations.extend(
            RecordedOperation(OperationType(found.kind), found.model, commit.committed_at, commit.sha, commit.author)
            for found in operations_between(old, new)
        )


def add_up(metadata: CategoryMetadata, fold: FileFold) -> CategoryMetadata:
    """Count in place all that the fold has taken in."""
    count_history(metadata, fold.operations, fold.errors)
    mark_recorded(metadata, fold.commit, fold.blob, fold.total_models)
    return metadata


def count_history(
    metadata: CategoryMetadata, operations: Iterable[RecordedOperation], errors: Iterable[RecordedError]
) -> None:
    """Count in place what a history gives."""
    for operation in operations:
        apply_operation(metadata, operation)
    for error in errors:
        apply_error(metadata, error, of_history=True)


def mark_recorded(metadata: CategoryMetadata, commit: str | None, blob: str | None, total_models: int | None) -> None:
    """Note in place how far the history is counted; ``total_models`` is the true number, where it is known."""
    if commit is not None:
        metadata.recorded_commit, metadata.recorded_blob = commit, blob
    if total_models is not None:
        metadata.total_models = total_models
