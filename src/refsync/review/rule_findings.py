"""The rules of categories: which of them changed records break anew, and whether their schemas can be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from refsync.categories import CategoryDescriptor, is_table
from refsync.documents.json_document import Record
from refsync.documents.shape import shape_of
from refsync.errors import DocumentError
from refsync.reference.judges import judge_of, schema_at
from refsync.reference.kinds import records_in
from refsync.reference.snapshot import Snapshot
from refsync.reference.versions import Version
from refsync.review.changes import FileChanges
from refsync.review.conventions import Conventions
from refsync.review.file_findings import Lines
from refsync.review.finding import Finding, Rule
from refsync.review.name_findings import Places


class Broken(NamedTuple):
    """A rule that a changed record breaks, and whether that is refused or noted."""

    finding: Finding
    refuses: bool


def broken_rules(
    before: Snapshot, head: Snapshot, changes: Iterable[FileChanges], conventions: Conventions
) -> Iterator[Broken]:
    """What changed records break and the records before kept, by the schemas of before.

    A schema that the change brings along says nothing of the change: it may be a stranger's.
    """
    if Rule.record_rule in conventions.switched_off:
        return
    for change in changes:
        rules = conventions.rules.get(change.category)
        if rules is None or change.problems or not change.models:
            continue
        described = conventions.catalogue[change.category]
        old, new = (_records(each, described, change.file) for each in (before, head))
        judge = judge_of(rules, described, old, partial(_version, before))
        edits = {each.model: new.get(each.model) for each in change.models}
        renamed = {each.model: each.renamed_from for each in change.models if each.renamed_from is not None}
        edits |= dict.fromkeys(renamed.values())
        lines = _lines(head, described, change.file)
        for name, violations in judge.broken(edits, renamed).items():
            for each in violations:
                mend = "correct it: it was not so before" if name in old or name in renamed else "correct it"
                where = Rule.record_rule, change.file, lines.get(name), name
                yield Broken(Finding(*where, str(each), mend, each.field_path), rules.refuses)


def faults_of_schemas(snapshot: Snapshot, conventions: Conventions) -> Iterator[Finding]:
    """Schemas that are not there or cannot be used, so that nothing is checked by them."""
    for category, rules in conventions.rules.items():
        try:
            schema_at(rules, shape_of(conventions.catalogue[category]), partial(_version, snapshot))
        except DocumentError as fault:
            file = rules.schema_file or ""
            what = f"the schema of {category}: {fault.reason}"
            yield Finding(Rule.schema_file, file, fault.line, None, what, "mend it: nothing is checked by it")


def _records(snapshot: Snapshot, category: CategoryDescriptor, file: str) -> Mapping[str, Record]:
    return records_in(snapshot.version(file), category, file) if snapshot.has_file(file) else {}


def _lines(snapshot: Snapshot, category: CategoryDescriptor, file: str) -> Places:
    return {} if is_table(file) else Lines(snapshot.version(file).content, shape_of(category))


def _version(snapshot: Snapshot, file: str) -> Version | None:
    return snapshot.version(file) if snapshot.has_file(file) else None
