"""The built-in checks of a reference: what can be known to be wrong without running anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from refsync.categories import MODEL_REFERENCE_CATEGORY, CanonicalFormat, CategoryName, is_table
from refsync.documents.shape import shape_of
from refsync.file_patterns import is_pattern
from refsync.reference.snapshot import Snapshot
from refsync.review.category_files import CategoryFile, category_files
from refsync.review.changes import FileChanges, compare_file, files_of_both
from refsync.review.conventions import USUAL, Conventions
from refsync.review.dump_findings import faults_of_dump
from refsync.review.file_findings import Lines, faults_of_document, faults_of_members, is_readable
from refsync.review.finding import Finding, Rule
from refsync.review.merges import faults_of_merges
from refsync.review.revisions import Side, side_of
from refsync.review.rule_findings import broken_rules, faults_of_schemas
from refsync.review.text_findings import text_faults

_NOTES = frozenset({Rule.no_record, Rule.formula, Rule.link_unsure})


@dataclass(frozen=True)
class CriticalChange:
    """An updated model whose critical fields were touched, which is nothing wrong, but not to be missed."""

    file: str
    model: str
    fields: list[str]


@dataclass(frozen=True)
class Deleted:
    """The models of a file that are gone, and how many there were: nothing wrong, but not to be missed."""

    file: str
    models: list[str]
    before: int


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    ``failures``; what the base has ``already``; ``notes`` of what is nothing wrong; what was touched that is
    ``critical``, what was ``deleted``; and which rules were ``switched_off``.
    """

    base: Side | None
    head: Side
    files: list[str]
    failures: list[Finding]
    already: list[Finding]
    notes: list[Finding]
    critical: list[CriticalChange]
    deleted: list[Deleted]
    switched_off: list[Rule]


def check(
    head: Snapshot, base: Snapshot | None, committed: Snapshot | None, conventions: Conventions = USUAL
) -> Verdict:
    """Check a snapshot.

    Args:
        head: what is checked.
        base: what is wrong there already is no failure.
        committed: what the files were before; ``base``, or what an edited work tree stands on. ``None`` before
            the first commit.
        conventions: what holds in the clone.

    Raises:
        RequestError: there is no category file, so that nothing can be checked.
    """
    files = files_of_both(committed, head, conventions)
    known = set(find_faults(base, base, conventions)) if base else set()
    found = [each for each in find_faults(head, committed, conventions) if each.rule not in conventions.switched_off]
    if base is not None and Rule.lost_in_merge not in conventions.switched_off:
        found += faults_of_merges(base, head, files, conventions)
    changes = list(_changes(committed, head, files, conventions))
    broken = [] if committed is None else list(broken_rules(committed, head, changes, conventions))
    found += [each.finding for each in broken if each.refuses]
    wrong = [each for each in found if each.rule not in _NOTES]
    noted = [each.finding for each in broken if not each.refuses]
    return Verdict(
        side_of(base) if base else None,
        side_of(head),
        [file.path for file in category_files(head.files, conventions)],
        failures=[each for each in wrong if each not in known],
        already=[each for each in wrong if each in known],
        notes=[*(each for each in found if each.rule in _NOTES), *noted],
        critical=[touched for change in changes for touched in _critical(change, conventions)],
        deleted=list(_deleted(changes, conventions)),
        switched_off=sorted(conventions.switched_off),
    )


def with_findings(verdict: Verdict, more: Iterable[Finding]) -> Verdict:
    """What a check found, and what was found by another way, of which the base knows nothing."""
    found = [each for each in more if each.rule not in verdict.switched_off]
    return replace(
        verdict,
        failures=[*verdict.failures, *(each for each in found if each.rule not in _NOTES)],
        notes=[*verdict.notes, *(each for each in found if each.rule in _NOTES)],
    )


def find_faults(snapshot: Snapshot, before: Snapshot | None, conventions: Conventions = USUAL) -> Iterator[Finding]:
    """Everything wrong in a snapshot; ``before`` tells what was there and is no more."""
    yield from _missing(snapshot, before, conventions)
    for file in category_files(snapshot.files, conventions):
        yield from _faults_of_file(file, snapshot, before, conventions)
    yield from text_faults(snapshot, conventions)
    yield from faults_of_schemas(snapshot, conventions)
    yield from _in_two_files(snapshot, conventions)


def _in_two_files(snapshot: Snapshot, conventions: Conventions) -> Iterator[Finding]:
    """The models that stand in two files of a category that has many."""
    seen: dict[tuple[CategoryName, str], str] = {}
    for file in category_files(snapshot.files, conventions):
        category = conventions.catalogue[file.category]
        shape = shape_of(category, file.path)
        if not is_pattern(category.v2_file) or not snapshot.has_file(file.path):
            continue
        version = snapshot.version(file.path)
        for name in version.records(shape) if is_readable(version, shape) else ():
            first = seen.setdefault((file.category, name), file.path)
            if first != file.path:
                line = Lines(version.content, shape).get(name)
                yield Finding(Rule.duplicate_key, file.path, line, name, f"is in {first}, too", "delete one of the two")


def _missing(snapshot: Snapshot, before: Snapshot | None, conventions: Conventions) -> Iterator[Finding]:
    if before is not None:
        for file in category_files({*before.files, *snapshot.files}, conventions):
            many = is_pattern(conventions.catalogue[file.category].v2_file)  # of which one goes with its model
            if file.path not in snapshot.files and not many:
                what = f"the file of {file.category} is gone"
                yield Finding(Rule.missing_file, file.path, None, None, what, f"put it back: it is in {before.name}")
    for category, path in conventions.listed.items():
        if path not in snapshot.files and (before is None or path not in before.files):
            what = f"there is no such file, though the config lists it for {category}"
            mend = f"add it, or correct [repository.categories] in {conventions.source}"
            yield Finding(Rule.missing_file, path, None, None, what, mend)


def _faults_of_file(
    file: CategoryFile, snapshot: Snapshot, before: Snapshot | None, conventions: Conventions
) -> Iterator[Finding]:
    if not snapshot.files[file.path].is_regular:
        mend = "put the file itself in the place of the link"
        yield Finding(Rule.regular_file, file.path, None, None, "is no regular file", mend)
        return
    if is_table(file.path):
        return
    version, shape = snapshot.version(file.path), shape_of(conventions.catalogue[file.category], file.path)
    yield from faults_of_document(file.path, version, shape)
    if not is_readable(version, shape):
        return
    old = None if before is None else before.find_version(file.path)
    yield from faults_of_members(file.path, version, old, shape)
    if _is_dumped(file) and old is not None:
        yield from faults_of_dump(file.path, version, old)


def _is_dumped(file: CategoryFile) -> bool:
    return file.category == MODEL_REFERENCE_CATEGORY.image_generation and file.format is CanonicalFormat.legacy


# What was touched


def _changes(
    before: Snapshot | None, head: Snapshot, files: Iterable[CategoryFile], conventions: Conventions
) -> Iterator[FileChanges]:
    for file in files if before is not None else ():
        assert before is not None
        if (change := compare_file(before, head, file, conventions)) is not None:
            yield change


def _critical(change: FileChanges, conventions: Conventions) -> Iterator[CriticalChange]:
    if Rule.critical_fields in conventions.switched_off:
        return
    for model in change.models:
        if model.touches_critical:
            paths = [each["field_path"] for each in model.fields if each["critical"]]
            known = conventions.critical_fields(change.category)
            fields = [name for name in known if any(_related(path, name) for path in paths)]
            yield CriticalChange(change.file, model.model, fields)


def _related(path: str, field: str) -> bool:
    """Whether one of two dotted paths leads to the other."""
    return f"{path}.".startswith(f"{field}.") or f"{field}.".startswith(f"{path}.")


def _deleted(changes: Iterable[FileChanges], conventions: Conventions) -> Iterator[Deleted]:
    if Rule.deleted in conventions.switched_off:
        return
    for change in changes:
        gone = [name for each in change.models if each.operation == "delete" for name in (each.model, *each.variants)]
        if gone:
            yield Deleted(change.file, gone, change.before)
