"""A text reference as bytes: made, compared and edited through the kind of category that keeps it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from refsync.categories import MODEL_REFERENCE_CATEGORY, SPECIFIED, TEXT_TABLE
from refsync.documents.csv_document import Row, read_table
from refsync.documents.json_document import new_document
from refsync.documents.model_places import Place
from refsync.documents.text_derivation import derive_document
from refsync.documents.text_reference import Disagreement
from refsync.reference import text_table
from refsync.reference.versions import Version
from refsync.reference.view import View

Record = dict[str, Any]
TABLE = "models.csv"


def read_rows(csv: bytes) -> list[Row]:
    """The rows of a table."""
    return read_table(csv).rows


def edit_rows(csv: bytes, edits: Mapping[str, Row | None]) -> bytes:
    """A table with some of its rows written or removed."""
    return read_table(csv).edited(edits).content


def derive_text(rows: Iterable[Row], defaults: Mapping[str, Any], generation_params: Collection[str]) -> bytes:
    """The document as the rows make it, byte for byte."""
    return new_document(derive_document(rows, defaults, generation_params))


def disagreements(csv: bytes, db: bytes, defaults: Any, generation_params: Any) -> list[Disagreement]:
    """Where the document is not what the table makes."""
    made_with = [Version(content) for content in _beside(defaults, generation_params)]
    return text_table.disagreements(Version(csv), Version(db), *made_with)


def edit_text_reference(
    csv: bytes,
    db: bytes,
    defaults: Any,
    generation_params: Any,
    edits: Mapping[str, Record | None],
    *,
    places: Mapping[str, Place] | None = None,
    renames: Mapping[str, str] | None = None,
) -> tuple[bytes, bytes]:
    """The table and the document, with some of the models written or removed."""
    made_with = _beside(defaults, generation_params)
    files = dict(zip((TABLE, TEXT_TABLE.document, *TEXT_TABLE.made_with), (csv, db, *made_with), strict=True))
    view = View({path: Version(content) for path, content in files.items()}.get)
    opened = text_table.open_table(view, SPECIFIED[MODEL_REFERENCE_CATEGORY.text_generation], TABLE)
    edited = opened.edited(edits, places=places, renames=renames)
    return edited[TABLE], edited[TEXT_TABLE.document]


def _beside(defaults: Any, generation_params: Any) -> list[bytes]:
    return [json.dumps(each).encode() for each in (defaults, dict.fromkeys(generation_params))]
