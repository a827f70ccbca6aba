"""The built-in checks of a text reference: whether ``db.json`` is what ``models.csv`` makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from refsync.clone.revisions import Snapshot
from refsync.documents.csv_document import read_rows
from refsync.documents.json_document import check_editable
from refsync.documents.text_derivation import derive_document, derive_text
from refsync.documents.text_reference import Disagreement, disagreements
from refsync.errors import DocumentError
from refsync.review.category_files import DERIVED, ROWS
from refsync.review.finding import Finding

DEFAULTS, PARAMETERS = "defaults.json", "generation_params.json"
_FOLDERS = ("", "legacy/")
"""Where the two layouts have their table."""


def text_faults(snapshot: Snapshot) -> Iterator[Finding]:
    """Rows that nothing can be made of, and where ``db.json`` is not what ``models.csv`` makes."""
    for folder in _FOLDERS:
        if snapshot.has_file(folder + ROWS):
            yield from _faults_of_table(snapshot, folder)


def _faults_of_table(snapshot: Snapshot, folder: str) -> Iterator[Finding]:
    try:
        found = list(_disagreements(snapshot, folder))
    except DocumentError as error:
        yield Finding(folder + ROWS, error.line, None, error.reason, "mend the row")
        return
    for each in found:
        file = folder + (ROWS if each.line else DERIVED)
        yield Finding(file, each.line, each.model, _disagreement(each), "make db.json anew from models.csv")


def _disagreements(snapshot: Snapshot, folder: str) -> list[Disagreement]:
    table = snapshot.read(folder + ROWS)
    if not _has_derivation(snapshot, folder) or not snapshot.has_file(folder + DERIVED):
        derive_document(read_rows(table), {}, None)
        return []
    document = snapshot.read(folder + DERIVED)
    try:
        check_editable(document)
    except DocumentError:
        return []  # that is a finding already
    return disagreements(table, document, *_derivation(snapshot, folder))


def _disagreement(found: Disagreement) -> str:
    """What disagrees, without the model and the line, which stand beside it."""
    if found.field is not None:
        return str(found).removeprefix(f"{json.dumps(found.model)}: ")
    return "db.json does not have it" if found.line else "no row of models.csv makes it"


def documents_made_anew(snapshot: Snapshot) -> dict[str, bytes]:
    """Each ``db.json`` as the ``models.csv`` beside it makes it, by path, where it is not that.

    Raises:
        DocumentError: nothing can be made of a table.
    """
    return {path: made for folder in _FOLDERS for path, made in _made_anew(snapshot, folder)}


def _made_anew(snapshot: Snapshot, folder: str) -> Iterator[tuple[str, bytes]]:
    path = folder + DERIVED
    if not snapshot.has_file(folder + ROWS) or not _has_derivation(snapshot, folder):
        return
    if folder and not snapshot.has_file(path):
        return  # there the table may stand alone
    made = derive_text(read_rows(snapshot.read(folder + ROWS)), *_derivation(snapshot, folder))
    if not snapshot.has_file(path) or snapshot.read(path) != made:
        yield path, made


def _has_derivation(snapshot: Snapshot, folder: str) -> bool:
    return all(snapshot.has_file(folder + name) for name in (DEFAULTS, PARAMETERS))


def _derivation(snapshot: Snapshot, folder: str) -> tuple[Any, Any]:
    """What ``db.json`` is made with."""
    try:
        defaults, parameters = (json.loads(snapshot.read(folder + name)) for name in (DEFAULTS, PARAMETERS))
    except ValueError as error:
        raise DocumentError(f"{DEFAULTS} or {PARAMETERS} cannot be read: {error}") from None
    return defaults, parameters
