"""What happened to which models between two snapshots of a clone, field by field, and what no model explains."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from refsync.categories import CategoryDescriptor, CategoryName, is_table
from refsync.clone.revisions import OtherFile, differing_files
from refsync.documents.json_document import Document, Record
from refsync.documents.operations import operations_between
from refsync.documents.shape import shape_of
from refsync.errors import DocumentError, RequestError
from refsync.pending_queue.diffs import field_changes
from refsync.reference.kinds import records_in, variants_of
from refsync.reference.snapshot import Snapshot
from refsync.reference.versions import Version
from refsync.review.category_files import CategoryFile, category_files, expected_files
from refsync.review.conventions import USUAL, Conventions
from refsync.review.renames import renames
from refsync.review.revisions import Side, side_of
from refsync.review.rewriting import Rewriting, rewritings_between

_MOST_NAMES = 5

Deed = Literal["create", "update", "delete", "rename"]
"""What people did to a model; a rename is a delete and a create of one record, with fields changed or not."""


@dataclass(frozen=True)
class ModelChange:
    """One model created, updated, deleted or renamed, with its fields as a diff of the queue has them.

    ``variants`` are the text model's other records, to which the same happened.
    """

    operation: Deed
    model: str
    critical: bool
    fields: list[dict[str, Any]]
    variants: list[str] = field(default_factory=list)
    renamed_from: str | None = None

    @property
    def touches_critical(self) -> bool:
        """Whether a critical field of a record that is still there was changed."""
        return self.critical and self.operation in ("update", "rename")


@dataclass(frozen=True)
class FileChanges:
    """What happened in one category file.

    ``members`` are the fields of what stands in the file and is no model; ``problems`` say which of the file's versions
    cannot be read, and why; ``before`` is how many models there were.
    """

    category: CategoryName
    format: str
    file: str
    models: list[ModelChange] = field(default_factory=list)
    unexplained: list[Rewriting] = field(default_factory=list)
    members: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    before: int = 0

    def count(self, operation: Deed) -> int:
        """How many records were created, updated, deleted or renamed; a text model has several."""
        return sum(1 + len(each.variants) for each in self.models if each.operation == operation)

    @property
    def counts(self) -> tuple[int, int, int, int, int, int]:
        """Records created, updated, deleted and renamed, with critical fields changed, lines that no model explains."""
        critical = sum(1 + len(each.variants) for each in self.models if each.touches_critical)
        lines = sum(each.lines for each in self.unexplained)
        deeds = self.count("create"), self.count("update"), self.count("delete"), self.count("rename")
        return (*deeds, critical, lines)


@dataclass(frozen=True)
class Comparison:
    """Everything that differs between two sides."""

    base: Side
    head: Side
    categories: list[FileChanges]
    other_files: list[OtherFile]


def compare(base: Snapshot, head: Snapshot, conventions: Conventions = USUAL) -> Comparison:
    """What people did between two snapshots of a clone; the first one is of a revision.

    Raises:
        RequestError: neither has a category file.
    """
    files = files_of_both(base, head, conventions)
    differing = {each.file: each for each in differing_files(base, head)}
    paths = {file.path for file in files}
    found = (compare_file(base, head, file, conventions) for file in files if _differ(base, head, file.path))
    others = [each for path, each in differing.items() if path not in paths]
    return Comparison(side_of(base), side_of(head), [each for each in found if each is not None], others)


def files_of_both(base: Snapshot | None, head: Snapshot, conventions: Conventions) -> list[CategoryFile]:
    """The category files of both snapshots.

    Raises:
        RequestError: there is none, so that nothing can be said.
    """
    files = category_files({*(base.files if base else ()), *head.files}, conventions)
    if not files:
        raise RequestError(f"{head.clone}: {_nothing_found(head, conventions)}")
    return files


def _nothing_found(head: Snapshot, conventions: Conventions) -> str:
    names = [each.path for each in expected_files(head.files, conventions)]
    looked_for = f"{', '.join(names[:_MOST_NAMES])}{' and others' if len(names) > _MOST_NAMES else ''}"
    if conventions.source:
        advice = f"correct [repository.categories] in {conventions.source}"
    else:
        advice = "list files of other names under [repository.categories] of a config, and name it: --config FILE"
    return f"no category file in {head.name}, so there is nothing to look at: looked for {looked_for}; {advice}"


def compare_file(
    base: Snapshot, head: Snapshot, file: CategoryFile, conventions: Conventions = USUAL
) -> FileChanges | None:
    """What happened in one category file; ``None`` if it is the same, byte for byte."""
    problems: list[str] = []
    versions = [_version(each, file.path, problems) for each in (base, head)]
    old, new = (None if each is None else each.content for each in versions)
    changes = FileChanges(file.category, file.format.value, file.path, problems=problems)
    if problems or (old is not None and old == new):
        return changes if problems else None
    category = conventions.catalogue[file.category]
    before, after = (
        _document(category, file.path, each, side, problems) for each, side in zip(versions, (base, head), strict=True)
    )
    if problems:
        return changes
    problems += [f"in {base.name}: {fault}" for fault in before.deep.values()]
    problems += [f"in {head.name}: {fault}" for fault in after.deep.values()]
    unknown = {*before.deep, *after.deep}
    records, others = (
        [{name: value for name, value in each.items() if name not in unknown} for each in sides]
        for sides in ((before.records, after.records), (before.others, after.others))
    )
    changes = replace(changes, before=len(before.records))
    critical = conventions.critical_fields(file.category)
    changes.models.extend(model_changes(category, records[0], records[1], critical))
    changes.members.extend(field_changes(others[0], others[1]))
    changes.members.extend(field_changes(dict(before.around), dict(after.around)))
    if old is not None and new is not None and not is_table(file.path) and not unknown:
        changes.unexplained.extend(rewritings_between(old, new, after.shape))
    return changes


def model_changes(
    category: CategoryDescriptor,
    old: Mapping[str, Record],
    new: Mapping[str, Record],
    critical: Collection[str] = (),
) -> list[ModelChange]:
    """The models that came, changed, went and were renamed between two versions of a file, in the file's order."""
    operations = operations_between(old, new)
    gone, come = (
        {each.model: side[each.model] for each in operations if each.kind == kind}
        for kind, side in (("delete", old), ("create", new))
    )
    renamed = renames(gone, come)
    changes: dict[str, ModelChange] = {}
    for each in operations:
        if each.model in renamed.values() and each.kind == "delete":
            continue
        before = renamed.get(each.model) if each.kind == "create" else None
        fields = field_changes(
            old.get(each.model if before is None else before), new.get(each.model), critical=critical
        )
        deed: Deed = each.kind if before is None else "rename"
        is_critical = any(field["critical"] for field in fields)
        changes[each.model] = ModelChange(deed, each.model, is_critical, fields, renamed_from=before)
    return _with_variants(category, changes)


def _with_variants(category: CategoryDescriptor, changes: dict[str, ModelChange]) -> list[ModelChange]:
    """A model's records for other backends with its own as one, where the same happened to them."""
    for name, change in list(changes.items()):
        for variant in variants_of(category, name):
            other = changes.get(variant)
            if other is not None and other is not change and _deeds(other) == _deeds(change):
                change.variants.append(variant)
                del changes[variant]
    return list(changes.values())


def _deeds(change: ModelChange) -> tuple[Deed, list[dict[str, Any]]]:
    return change.operation, [each for each in change.fields if each["field_path"] != "name"]


def _differ(base: Snapshot, head: Snapshot, path: str) -> bool:
    old, new = base.files.get(path), head.files.get(path)
    return old != new or (new is not None and new.blob is None)


def _version(snapshot: Snapshot, path: str, problems: list[str]) -> Version | None:
    file = snapshot.files.get(path)
    if file is None:
        return None
    if not file.is_regular:
        problems.append(f"in {snapshot.name} it is no regular file")
        return None
    return snapshot.version(path)


def _document(
    category: CategoryDescriptor, path: str, version: Version | None, snapshot: Snapshot, problems: list[str]
) -> Document:
    try:
        if version is None:
            return Document()
        if is_table(path):
            return Document(dict(records_in(version, category, path)))
        return version.document(shape_of(category, path))
    except DocumentError as error:
        problems.append(f"in {snapshot.name}: {error}")
        return Document()
