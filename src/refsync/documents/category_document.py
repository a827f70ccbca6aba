"""The records of a category file, whichever kind of file it is."""

from __future__ import annotations

from typing import Any

from refsync.categories import is_table
from refsync.documents.csv_document import read_rows
from refsync.documents.json_document import read_records
from refsync.documents.text_derivation import derive_document


def read_category(path: str, content: bytes) -> dict[str, dict[str, Any]]:
    """The records of a JSON document, or those that the rows of a table make by themselves.

    Raises:
        DocumentError: the file cannot be read, or nothing can be made of a row.
    """
    return derive_document(read_rows(content), {}, None) if is_table(path) else read_records(content)
