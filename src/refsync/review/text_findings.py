"""The built-in checks of a text reference: whether ``db.json`` is what ``models.csv`` makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from refsync.categories import document_of
from refsync.documents.encoding import decode
from refsync.documents.json_faults import find_conflict
from refsync.documents.text_derivation import DEFAULTS, GENERATION_PARAMS, derive_document, derive_text
from refsync.documents.text_reference import Disagreement, differences
from refsync.errors import DocumentError
from refsync.reference.snapshot import Snapshot
from refsync.review.category_files import tables
from refsync.review.conventions import USUAL, Conventions
from refsync.review.finding import Finding, Rule
from refsync.review.name_findings import faults_of_look_alikes


def text_faults(snapshot: Snapshot, conventions: Conventions = USUAL) -> Iterator[Finding]:
    """Rows that nothing can be made of or whose name is taken, and where a document is not what its table makes."""
    for table in tables(snapshot.files, conventions):
        if snapshot.has_file(table):
            yield from _faults_of_table(snapshot, table)


def _faults_of_table(snapshot: Snapshot, table: str) -> Iterator[Finding]:
    try:
        if conflict := find_conflict(decode(snapshot.version(table).content)[1]):
            raise conflict
        rows = snapshot.version(table).rows
        found = list(_disagreements(snapshot, table))
    except DocumentError as error:
        yield Finding(Rule.row, table, error.line, None, error.reason, "mend the row")
        return
    yield from faults_of_look_alikes(table, (row.name for row in rows), {row.name: row.line for row in rows})
    document = document_of(table)
    for each in found:
        file = table if each.line else document
        what, mend = _disagreement(each, table, document), f"make {name_of(document)} anew from {name_of(table)}"
        yield Finding(Rule.derived, file, each.line, each.model, what, mend)


def _disagreements(snapshot: Snapshot, table: str) -> list[Disagreement]:
    version = snapshot.version(table)
    if not _has_derivation(snapshot, table) or not snapshot.has_file(document_of(table)):
        version.records_in(table)
        return []
    try:
        document = snapshot.version(document_of(table)).document
        document.check_editable()
    except DocumentError:
        return []  # that is a finding already
    made = derive_document(version.rows, *_derivation(snapshot, table))
    return differences(version.rows, made, document.records)


def _disagreement(found: Disagreement, table: str, document: str) -> str:
    """What disagrees, without the model and the line, which stand beside it."""
    if found.field is not None:
        return str(found).removeprefix(f"{json.dumps(found.model)}: ")
    return f"{name_of(document)} does not have it" if found.line else f"no row of {name_of(table)} makes it"


def documents_made_anew(snapshot: Snapshot, conventions: Conventions = USUAL) -> dict[str, tuple[str, bytes]]:
    """Each document as the table beside it makes it, by the document's path, where it is not that; with the table.

    Raises:
        DocumentError: nothing can be made of a table.
    """
    found = {}
    for table in tables(snapshot.files, conventions):
        path = document_of(table)
        if not snapshot.has_file(table) or not _has_derivation(snapshot, table):
            continue
        if "/" in table and table not in conventions.tables.values() and not snapshot.has_file(path):
            continue  # there the table may stand alone
        made = derive_text(snapshot.version(table).rows, *_derivation(snapshot, table))
        if not snapshot.has_file(path) or snapshot.version(path).content != made:
            found[path] = table, made
    return found


def _has_derivation(snapshot: Snapshot, table: str) -> bool:
    return all(snapshot.has_file(beside(table, name)) for name in (DEFAULTS, GENERATION_PARAMS))


def _derivation(snapshot: Snapshot, table: str) -> tuple[Any, Any]:
    """What a table's document is made with."""
    try:
        defaults, parameters = (
            json.loads(snapshot.version(beside(table, name)).content) for name in (DEFAULTS, GENERATION_PARAMS)
        )
    except ValueError as error:
        raise DocumentError(f"{DEFAULTS} or {GENERATION_PARAMS} cannot be read: {error}") from None
    return defaults, parameters


def beside(table: str, name: str) -> str:
    """The path of a file in the folder of a table."""
    return str(PurePosixPath(table).with_name(name))


def name_of(path: str) -> str:
    """The last part of a path."""
    return PurePosixPath(path).name
