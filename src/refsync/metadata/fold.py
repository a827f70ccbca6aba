"""What operations and versions of a category file add up to. Pure: what it reads and logs is handed in or back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from refsync.categories import CategoryDescriptor, CategoryName
from refsync.clone.history import FileChange, LandedCommit
from refsync.documents.json_document import Record
from refsync.documents.operations import operations_between
from refsync.errors import DocumentError, writable
from refsync.file_patterns import is_pattern
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

    def take(self, commit: LandedCommit, changes: Sequence[FileChange], versions: Versions) -> None:
        """Compare the version that the commit brings with the last valid one."""
        (change,) = changes
        try:
            records = self._version(change, versions)
        except DocumentError as error:
            self._note(commit, change, error)
        else:
            self._compare(commit, self._previous(versions), records)
            self._records, self.blob = records, change.new_blob
        self._passed(commit, changes)

    @property
    def total_models(self) -> int | None:
        """Models in the newest valid version; ``None`` while no version was read."""
        return None if self._records is None else len(self._records)

    def _passed(self, commit: LandedCommit, changes: Sequence[FileChange]) -> None:
        self.commit = commit.sha
        if self.began is None and any(change.new_blob is not None for change in changes):
            self.began = commit.committed_at

    def _note(self, commit: LandedCommit, change: FileChange, error: DocumentError) -> None:
        fault = f"{change.path} in commit {commit.sha}: {error}"
        self.errors.append(RecordedError(fault, commit.committed_at, commit.sha, commit.author))

    def _version(self, change: FileChange, versions: Versions) -> Mapping[str, Record]:
        if change.new_blob is None:
            return {}
        version = _regular(change, versions)
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


@dataclass
class ManyFilesFold(FileFold):
    """The versions of all files of a category; the last valid records of each are kept.

    ``blob`` says of each file whose newest version cannot be read which one was the last that can, as JSON: the others
    are as the commit has them.
    """

    _known: dict[str, Mapping[str, Record]] = field(default_factory=dict)

    def take(self, commit: LandedCommit, changes: Sequence[FileChange], versions: Versions) -> None:
        """Compare what the commit brings with the last valid versions, all files at once: a model may go to another."""
        before: dict[str, Record] = {}
        after: dict[str, Record] = {}
        broken: dict[str, str | None] = json.loads(self.blob) if self.blob else {}
        for change in changes:
            last = broken.get(change.path, change.old_blob)
            old = self._last_valid(change.path, last, versions)
            try:
                new = self._new(change, versions)
            except DocumentError as error:
                self._note(commit, change, error)
                broken[change.path] = last
                continue
            broken.pop(change.path, None)
            before |= old
            after |= new
            self._known[change.path] = new
        self.blob = json.dumps(broken, sort_keys=True) if broken else None
        self._compare(commit, before, after)
        self._passed(commit, changes)

    def _last_valid(self, path: str, blob: str | None, versions: Versions) -> Mapping[str, Record]:
        if path not in self._known:
            self._known[path] = {} if blob is None else records_in(versions.of(blob), self.category, path)
        return self._known[path]

    def _new(self, change: FileChange, versions: Versions) -> Mapping[str, Record]:
        if change.new_blob is None:
            return {}
        return records_in(_regular(change, versions), self.category, change.path)


def new_fold(category: CategoryDescriptor, path: str, blob: str | None = None) -> FileFold:
    """What takes in the versions of a category's file, or of all that a pattern means."""
    return (ManyFilesFold if is_pattern(path) else FileFold)(category, path, blob)


def _regular(change: FileChange, versions: Versions) -> Version:
    if change.new_blob is None or change.new_mode is None or not change.new_mode.startswith("100"):
        raise DocumentError("not a regular file")
    return versions.of(change.new_blob)


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
