"""The rules of categories: which of them changed records break anew, and whether their schemas can be used."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from refsync.categories import CanonicalFormat, CategoryDescriptor, CategoryName, is_table
from refsync.documents.json_document import Record
from refsync.documents.shape import shape_of
from refsync.errors import DocumentError
from refsync.reference.judges import judge_of, schema_at
from refsync.reference.snapshot import Snapshot
from refsync.review.category_files import category_files
from refsync.review.changes import FileChanges
from refsync.review.conventions import Conventions
from refsync.review.file_findings import Lines, readable_records
from refsync.review.finding import Finding, Rule
from refsync.review.name_findings import Places
from refsync.rules.judge import Judge


class Broken(NamedTuple):
    """A rule that a changed record breaks, and whether that is refused or noted."""

    finding: Finding
    refuses: bool


def broken_rules(
    before: Snapshot, head: Snapshot, changes: Collection[FileChanges], conventions: Conventions
) -> Iterator[Broken]:
    """What changed records break and the records before kept, by the schemas of before.

    A schema that the change brings along says nothing of the change: it may be a stranger's.
    """
    if Rule.record_rule in conventions.switched_off:
        return
    for category, rules in conventions.rules.items():
        written = _written_format(category, {*before.files, *head.files}, conventions)
        changed = [
            each for each in changes if (each.category, each.format) == (category, written) and not each.problems
        ]
        if any(each.models for each in changed):
            files = [each.path for each in category_files(before.files, conventions) if each[:2] == (category, written)]
            described = conventions.catalogue[category]
            records = (readable_records(before, described, file) or {} for file in files)
            models = {name: record for each in records for name, record in each.items()}
            judge = judge_of(rules, described, models, before.find_version)
            yield from (Broken(each, rules.refuses) for each in _findings(judge, changed, head, described))


def _written_format(category: CategoryName, paths: Collection[str], conventions: Conventions) -> CanonicalFormat | None:
    """The format that changes of a category are written in: v2 where it has that."""
    formats = {each.format for each in category_files(paths, conventions) if each.category == category}
    return CanonicalFormat.v2 if CanonicalFormat.v2 in formats else next(iter(formats), None)


def _findings(
    judge: Judge, changed: Iterable[FileChanges], head: Snapshot, category: CategoryDescriptor
) -> Iterator[Finding]:
    edits: dict[str, Record | None] = {}
    renamed: dict[str, str] = {}
    places: dict[str, tuple[str, int | None]] = {}
    for change in changed:
        new, lines = readable_records(head, category, change.file) or {}, _lines(head, category, change.file)
        for each in change.models:
            edits[each.model] = new.get(each.model)
            places[each.model] = change.file, lines.get(each.model)
            if each.renamed_from is not None:
                renamed[each.model] = each.renamed_from
    for name, violations in judge.broken(dict.fromkeys(renamed.values()) | edits, renamed).items():
        mend = "correct it: it was not so before" if renamed.get(name, name) in judge.models else "correct it"
        for violation in violations:
            what, field_path = str(violation), violation.field_path
            yield Finding(Rule.record_rule, *places[name], name, what, mend, field_path)


def faults_of_schemas(snapshot: Snapshot, conventions: Conventions) -> Iterator[Finding]:
    """Schemas that are not there or cannot be used, so that nothing is checked by them."""
    for category, rules in conventions.rules.items():
        try:
            schema_at(rules, shape_of(conventions.catalogue[category]), snapshot.find_version)
        except DocumentError as fault:
            file = rules.schema_file or ""
            what = f"the schema of {category}: {fault.reason}"
            yield Finding(Rule.schema_file, file, fault.line, None, what, "mend it: nothing is checked by it")


def _lines(snapshot: Snapshot, category: CategoryDescriptor, file: str) -> Places:
    if is_table(file) or not snapshot.has_file(file):
        return {}
    return Lines(snapshot.version(file).content, shape_of(category, file))
