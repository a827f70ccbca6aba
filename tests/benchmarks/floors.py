"""The least that any program must do for the same work: git by subprocess, one transaction, the parser."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, select, update

from refsync.pending_queue.store import schema
from tests.support.repositories import Clone, git

Rows = Mapping[str, list[dict[str, Any]]]
"""Rows of the queue store by their table."""

_TABLES = ("batches", "changes", "events")


class Store:
    """The store's tables in a database of their own: WAL and FULL, as any queue that keeps its word has them."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.engine = _engine(file)
        with self.engine.begin() as connection:
            schema.create(connection)
        self._last = 0

    def insert(self, rows: Rows) -> None:
        """One transaction that writes these rows, in bulk."""
        with self.engine.begin() as connection:
            for table, found in rows.items():
                if found:
                    connection.execute(insert(schema.metadata.tables[table]), found)

    def take(self, rows: Rows) -> int:
        """Put a batch's rows here under a number of its own, as approved changes; the number."""
        self._last += 1
        with self.engine.begin() as connection:
            number = {"number": self._last, "state": "sealed", "job": f"job {self._last}"}
            connection.execute(insert(schema.batches), [{**rows["batches"][0], **number}])
            first = self._last * 1_000_000
            changes = [
                {**row, "change_id": first + at, "batch_id": self._last, "status": "approved"}
                for at, row in enumerate(rows["changes"])
            ]
            connection.execute(insert(schema.changes), changes)
        return self._last

    def land(self, number: int) -> None:
        """One transaction that says of a batch, its changes and their history that they have landed."""
        now = time.time()
        with self.engine.begin() as connection:
            batch = schema.batches.c.number == number
            connection.execute(update(schema.batches).where(batch).values(state="landed", landed_at=now))
            of_batch = schema.changes.c.batch_id == number
            landed = {"status": "applied", "applied_at": int(now), "updated_at": int(now)}
            connection.execute(update(schema.changes).where(of_batch).values(**landed))
            ids = connection.scalars(select(schema.changes.c.change_id).where(of_batch))
            connection.execute(insert(schema.events), [_landed_event(each, number, int(now)) for each in ids])

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()


def rows_of(file: Path, changes: Sequence[int] | None = None) -> Rows:
    """The rows that refsync's store has of these changes, or of all, as SQLAlchemy gives them."""
    engine = create_engine(URL.create("sqlite", database=str(file)))
    try:
        with engine.connect() as connection:
            return {name: _rows(connection, name, changes) for name in _TABLES}
    finally:
        engine.dispose()


def store_file(state: Path) -> Path:
    """Where an application keeps its queue."""
    [found] = state.rglob("queue.db")
    return found


def connect(file: Path) -> sqlite3.Connection:
    """The driver alone, as the least that can ask a question."""
    return sqlite3.connect(f"file:{file}?mode=ro", uri=True)


def commit(clone: Clone, *files: str, fsync: str = "all") -> None:
    """``git add`` and ``git commit``, flushed as a landing has to be."""
    flushed = ("-c", f"core.fsync={fsync}")  # each flushes what it writes itself: the blob is written by the first
    git(clone.path, *flushed, "add", *files)
    git(clone.path, *flushed, "commit", "-q", "-m", "by hand")


def _rows(connection: Connection, name: str, changes: Sequence[int] | None) -> list[dict[str, Any]]:
    table = schema.metadata.tables[name]
    query = select(table)
    if changes is not None:
        if name == "batches":
            wanted = select(schema.changes.c.batch_id).where(schema.changes.c.change_id.in_(changes))
            query = query.where(table.c.number.in_(wanted))
        else:
            query = query.where(table.c.change_id.in_(changes))
    return [{**row} for row in connection.execute(query).mappings()]


def _landed_event(change: int, batch: int, at: int) -> dict[str, Any]:
    moved = {"from_status": "approved", "to_status": "applied", "by": "refsync", "username": "refsync"}
    return {"change_id": change, "at": at, "batch_id": batch, **moved}


def _engine(file: Path) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(file)))

    def prepare(connection: sqlite3.Connection, _: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", prepare)
    return engine
