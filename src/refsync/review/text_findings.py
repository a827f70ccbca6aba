"""The built-in checks of a text reference: whether ``db.json`` is what ``models.csv`` makes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from refsync.clone.revisions import Snapshot
from refsync.documents.csv_document import read_rows
from refsync.documents.json_document import check_editable
from refsync.documents.text_derivation import derive_text
from refsync.documents.text_reference import Disagreement, disagreements
from refsync.errors import DocumentError
from refsync.review.category_files import DERIVED, ROWS
from refsync.review.finding import Finding

DEFAULTS, PARAMETERS = "defaults.json", "generation_params.json"


def text_faults(snapshot: Snapshot) -> Iterator[Finding]:
    """Where ``db.json`` is not what ``models.csv`` makes."""
    if not all(snapshot.has_file(path) for path in (ROWS, DERIVED, DEFAULTS, PARAMETERS)):
        return
    try:
        check_editable(snapshot.read(DERIVED))
    except DocumentError:
        return  # that is a finding already
    try:
        found = disagreements(snapshot.read(ROWS), snapshot.read(DERIVED), *_settings(snapshot))
    except DocumentError as error:
        yield Finding(ROWS, error.line, None, error.reason, "mend the row")
        return
    for each in found:
        mend = "make db.json anew from models.csv"
        yield Finding(ROWS if each.line else DERIVED, each.line, each.model, _disagreement(each), mend)


def _disagreement(found: Disagreement) -> str:
    """What disagrees, without the model and the line, which stand beside it."""
    if found.field is not None:
        return str(found).removeprefix(f"{json.dumps(found.model)}: ")
    return "db.json does not have it" if found.line else "no row of models.csv makes it"


def document_made_anew(snapshot: Snapshot) -> bytes | None:
    """``db.json`` as ``models.csv`` makes it, where it is not that; ``None`` where there is nothing to mend.

    Raises:
        DocumentError: nothing can be made of the table.
    """
    if not all(snapshot.has_file(path) for path in (ROWS, DEFAULTS, PARAMETERS)):
        return None
    made = derive_text(read_rows(snapshot.read(ROWS)), *_settings(snapshot))
    return None if snapshot.has_file(DERIVED) and snapshot.read(DERIVED) == made else made


def _settings(snapshot: Snapshot) -> Sequence[Any]:
    try:
        return [json.loads(snapshot.read(path)) for path in (DEFAULTS, PARAMETERS)]
    except ValueError as error:
        raise DocumentError(f"{DEFAULTS} or {PARAMETERS} cannot be read: {error}") from None
