"""What happened to which models between two snapshots of a clone, field by field, and what no model explains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refsync.categories import MODEL_REFERENCE_CATEGORY, is_table
from refsync.clone.revisions import OtherFile, Snapshot, differing_files
from refsync.documents.category_document import read_category
from refsync.documents.json_document import Record
from refsync.documents.operations import OperationKind, operations_between
from refsync.documents.text_derivation import variants
from refsync.errors import DocumentError
from refsync.pending_queue.diffs import critical_fields, field_changes
from refsync.review.category_files import CategoryFile, category_files
from refsync.review.rewriting import Rewriting, rewritings_between


@dataclass(frozen=True)
class ModelChange:
    """One model created, updated or deleted, with its fields as a diff of the queue has them.

    ``variants`` are the text model's other records, to which the same happened.
    """

    operation: OperationKind
    model: str
    critical: bool
    fields: list[dict[str, Any]]
    variants: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FileChanges:
    """What happened in one category file; ``problems`` say which of its versions cannot be read, and why."""

    category: MODEL_REFERENCE_CATEGORY
    format: str
    file: str
    models: list[ModelChange] = field(default_factory=list)
    unexplained: list[Rewriting] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def count(self, operation: OperationKind) -> int:
        """How many records were created, updated or deleted; a text model has several."""
        return sum(1 + len(each.variants) for each in self.models if each.operation == operation)

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        """Records created, updated and deleted, records updated in a critical field, lines that no model explains."""
        critical = sum(1 + len(each.variants) for each in self.models if each.critical and each.operation == "update")
        lines = sum(each.lines for each in self.unexplained)
        return self.count("create"), self.count("update"), self.count("delete"), critical, lines


@dataclass(frozen=True)
class Comparison:
    """Everything that differs between two snapshots."""

    base: Snapshot
    head: Snapshot
    categories: list[FileChanges]
    other_files: list[OtherFile]


def compare(base: Snapshot, head: Snapshot) -> Comparison:
    """What people did between two snapshots of a clone; the first one is of a revision."""
    files = category_files({*base.files, *head.files})
    differing = {each.file: each for each in differing_files(base, head)}
    paths = {file.path for file in files}
    found = (compare_file(base, head, file) for file in files if _differ(base, head, file.path))
    others = [each for path, each in differing.items() if path not in paths]
    return Comparison(base, head, [each for each in found if each is not None], others)


def compare_file(base: Snapshot, head: Snapshot, file: CategoryFile) -> FileChanges | None:
    """What happened in one category file; ``None`` if it is the same, byte for byte."""
    problems: list[str] = []
    old, new = (_content(each, file.path, problems) for each in (base, head))
    changes = FileChanges(file.category, file.format.value, file.path, problems=problems)
    if problems or (old is not None and old == new):
        return changes if problems else None
    versions = [_records(file.path, content, each, problems) for content, each in ((old, base), (new, head))]
    if problems:
        return changes
    changes.models.extend(model_changes(file.category, versions[0], versions[1]))
    if old is not None and new is not None and not is_table(file.path):
        changes.unexplained.extend(rewritings_between(old, new))
    return changes


def model_changes(
    category: MODEL_REFERENCE_CATEGORY, old: Mapping[str, Record], new: Mapping[str, Record]
) -> list[ModelChange]:
    """The models that came, changed and went between two versions of a category file, in the file's order."""
    critical = critical_fields(category)
    changes: dict[str, ModelChange] = {}
    for operation in operations_between(old, new):
        fields = field_changes(old.get(operation.model), new.get(operation.model), critical=critical)
        is_critical = any(each["critical"] for each in fields)
        changes[operation.model] = ModelChange(operation.kind, operation.model, is_critical, fields)
    return _with_variants(changes) if category is MODEL_REFERENCE_CATEGORY.text_generation else list(changes.values())


def _with_variants(changes: dict[str, ModelChange]) -> list[ModelChange]:
    """A text model's three records as one, where the same happened to them."""
    for name, change in list(changes.items()):
        for variant in variants(name):
            other = changes.get(variant)
            if other is not None and other is not change and _deeds(other) == _deeds(change):
                change.variants.append(variant)
                del changes[variant]
    return list(changes.values())


def _deeds(change: ModelChange) -> tuple[str, list[dict[str, Any]]]:
    return change.operation, [each for each in change.fields if each["field_path"] != "name"]


def _differ(base: Snapshot, head: Snapshot, path: str) -> bool:
    old, new = base.files.get(path), head.files.get(path)
    return old != new or (new is not None and new.blob is None)


def _content(snapshot: Snapshot, path: str, problems: list[str]) -> bytes | None:
    file = snapshot.files.get(path)
    if file is None:
        return None
    if not file.is_regular:
        problems.append(f"in {snapshot.name} it is no regular file")
        return None
    return snapshot.read(path)


def _records(path: str, content: bytes | None, snapshot: Snapshot, problems: list[str]) -> dict[str, Record]:
    try:
        return {} if content is None else read_category(path, content)
    except DocumentError as error:
        problems.append(f"in {snapshot.name}: {error}")
        return {}
