"""A made-up text reference: a table with the document that is made from it, and what the derivation reads."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from refsync.categories import MODEL_REFERENCE_CATEGORY
from refsync.documents.csv_document import COLUMNS
from tests.support.reference import Reference
from tests.support.text_tables import derive_text, read_rows

TEXT = MODEL_REFERENCE_CATEGORY.text_generation
TABLE, DOCUMENT = "models.csv", "db.json"
DEFAULTS = {"baseline": "", "description": "", "version": "1", "style": "generalist", "nsfw": False}
PARAMETERS = {"temperature": 5, "top_k": 100}
LISTED = f'[repository.categories]\n{TEXT} = "{TABLE}"\n'

ROWS = (
    {"name": "acme/Alpha-7B", "parameters_bn": "7", "description": "The first, of all", "tags": "old, kept"},
    {"name": "acme/Beta", "parameters_bn": "13", "style": "chat", "settings": '{"temperature": 1.0}'},
    {"name": "Gamma_3B", "parameters_bn": "2.7", "url": "https://example.org/gamma"},
)


def table(*rows: dict[str, str]) -> bytes:
    """The rows as people keep them: CRLF, quotes where they are needed."""
    written = io.StringIO()
    writer = csv.DictWriter(written, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue().encode()


def document(made_from: bytes) -> bytes:
    """What the table makes."""
    return derive_text(read_rows(made_from), DEFAULTS, PARAMETERS)


def text_files(*rows: dict[str, str]) -> dict[str, bytes]:
    """All four files."""
    return {
        TABLE: table(*rows),
        DOCUMENT: document(table(*rows)),
        "defaults.json": json.dumps(DEFAULTS).encode(),
        "generation_params.json": json.dumps(PARAMETERS).encode(),
    }


def text_reference(folder: Path) -> Reference:
    """A clone of it with its own state; close it after use."""
    return Reference(folder, text_files(*ROWS), repository=LISTED)
