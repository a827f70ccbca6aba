"""Which kind of file holds a category's records, told by its name."""

from __future__ import annotations

from collections.abc import Callable

from refsync.categories import is_table
from refsync.documents.csv_document import read_rows
from refsync.documents.json_document import Record, read_records
from refsync.documents.text_derivation import derive_document


def reader_of(path: str) -> Callable[[bytes], dict[str, Record]]:
    """What reads the records of a file of this name, and raises DocumentError for what it cannot read."""
    return _made_records if is_table(path) else read_records


def _made_records(table: bytes) -> dict[str, Record]:
    """Those that the rows of a table make by themselves."""
    return derive_document(read_rows(table), {}, None)
