"""The built-in checks of a text reference: whether ``db.json`` is what ``models.csv`` makes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from refsync.documents.csv_document import Row, read_table
from refsync.documents.encoding import decode
from refsync.documents.json_document import read_json
from refsync.documents.json_faults import find_conflict
from refsync.documents.text_reference import Disagreement
from refsync.errors import DocumentError
from refsync.reference.kinds import records_of_table
from refsync.reference.snapshot import Snapshot
from refsync.reference.text_table import derived, disagreements
from refsync.reference.versions import Version
from refsync.review.category_files import Table, tables
from refsync.review.conventions import USUAL, Conventions
from refsync.review.finding import Finding, Rule
from refsync.review.name_findings import faults_of_look_alikes


def text_faults(snapshot: Snapshot, conventions: Conventions = USUAL) -> Iterator[Finding]:
    """Rows that nothing can be made of or whose name is taken, and where a document is not what its table makes."""
    for table in tables(snapshot.files, conventions):
        if snapshot.has_file(table.path):
            yield from _faults_of_table(snapshot, table)


def _faults_of_table(snapshot: Snapshot, table: Table) -> Iterator[Finding]:
    version = snapshot.version(table.path)
    try:
        if conflict := find_conflict(decode(version.content)[1]):
            raise conflict
        rows = version.parsed(read_table).rows
        found = _disagreements(snapshot, table)
    except DocumentError as error:
        yield Finding(Rule.row, table.path, error.line, None, error.reason, "mend the row")
        return
    yield from faults_of_look_alikes(table.path, (row.name for row in rows), {row.name: row.line for row in rows})
    yield from _formulas(table.path, rows)
    for each in found:
        file = table.path if each.line else table.document
        mend = f"make {name_of(table.document)} anew from {name_of(table.path)}"
        yield Finding(Rule.derived, file, each.line, each.model, _words(each, table), mend)


def _formulas(file: str, rows: Iterable[Row]) -> Iterator[Finding]:
    for row in rows:
        if columns := ", ".join(row.formulas()):
            what = f"a spreadsheet takes it for a formula: {columns}"
            yield Finding(Rule.formula, file, row.line, row.name, what, "look at it before you open the table in one")


def _disagreements(snapshot: Snapshot, table: Table) -> list[Disagreement]:
    version = snapshot.version(table.path)
    if not _is_whole(snapshot, table) or not snapshot.has_file(table.document):
        records_of_table(version)
        return []
    document = snapshot.version(table.document)
    try:
        document.document().check_editable()
    except DocumentError:
        return []  # that is a finding already
    return disagreements(version, document, *_made_with(snapshot, table))


def _words(found: Disagreement, table: Table) -> str:
    """What disagrees, without the model and the line, which stand beside it."""
    if found.field is not None:
        return str(found).removeprefix(f"{json.dumps(found.model)}: ")
    has_row = f"{name_of(table.document)} does not have it"
    return has_row if found.line else f"no row of {name_of(table.path)} makes it"


def documents_made_anew(snapshot: Snapshot, conventions: Conventions = USUAL) -> dict[str, tuple[str, bytes]]:
    """Each document as the table beside it makes it, by the document's path, where it is not that; with the table.

    Raises:
        DocumentError: nothing can be made of a table.
    """
    found = {}
    for table in tables(snapshot.files, conventions):
        if not snapshot.has_file(table.path) or not _is_whole(snapshot, table):
            continue
        is_there = snapshot.has_file(table.document)
        if "/" in table.path and table.path not in conventions.tables.values() and not is_there:
            continue  # there the table may stand alone
        made_with = _made_with(snapshot, table)
        try:
            made = derived(snapshot.version(table.path), *made_with).content
        except DocumentError as error:
            raise DocumentError(f"{table.path}: {error}; mend it first") from None
        if not is_there or snapshot.version(table.document).content != made:
            found[table.document] = table.path, made
    return found


def _is_whole(snapshot: Snapshot, table: Table) -> bool:
    return all(map(snapshot.has_file, table.made_of))


def _made_with(snapshot: Snapshot, table: Table) -> tuple[Version, Version]:
    """What the table's document is made with beside the rows."""
    beside = [each for each in table.made_of if each != table.path]
    defaults, generation_params = map(snapshot.version, beside)
    try:
        for each in (defaults, generation_params):
            each.parsed(read_json)
    except DocumentError as error:
        raise DocumentError(f"{' or '.join(map(name_of, beside))} cannot be read: {error}") from None
    return defaults, generation_params


def name_of(path: str) -> str:
    """The last part of a path."""
    return PurePosixPath(path).name
