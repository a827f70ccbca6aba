"""Stores as each older version of refsync left them, dumped from what its own code had made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_FOLDER = Path(__file__).parent
VERSIONS = (1, 2, 3)


def old_store(folder: Path, version: int) -> Path:
    """Make the store of this version in a folder: its file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "queue.db"
    with closing(sqlite3.connect(file)) as connection:
        # No refsync was ever released with version 2; it was version 1 and one column.
        connection.executescript((_FOLDER / f"version_{1 if version == 2 else version}.sql").read_text())
        if version == 2:
            connection.executescript(
                "ALTER TABLE batches ADD COLUMN proposal JSON; UPDATE schema_version SET version = 2"
            )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.commit()
    return file
