"""A queue copied from one database into another, whole and verified, while nobody writes to either.

Rows are copied as they are kept, JSON as its very text, table by table, in one transaction of the new database. It is
committed only after what stands there has been read again and is the same. Then the old one says that it has moved, so
that no process that still has it open writes what nobody will read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    cast,
    delete,
    func,
    insert,
    select,
    update,
)

from refsync.durable_steps import durable_step
from refsync.errors import RequestError, StoreError
from refsync.pending_queue.store import schema
from refsync.pending_queue.store.database import Database

_ROWS_AT_ONCE = 1000
_OF_THE_TABLES = schema.schema_version.name  # what is known of them, which each database has of its own


class _JSONAsText(TypeDecorator[str]):
    """A column of JSON as PostgreSQL gives and takes it as text."""

    impl = Text
    cache_ok = True

    def bind_expression(self, value: Any) -> ColumnElement[Any]:
        return cast(value, JSON)

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return cast(column, Text)


class _Content(NamedTuple):
    """How many rows there are, and a number that differs where a row does, in whatever order they come."""

    rows: int = 0
    digest: int = 0

    def with_rows(self, rows: Iterable[tuple[Any, ...]]) -> _Content:
        count, digest = self
        for row in rows:
            count, digest = count + 1, digest + int.from_bytes(sha256(repr(row).encode()).digest())
        return _Content(count, digest)


def move(source: Database, target: Database) -> Mapping[str, int]:
    """Copy the queue, and let the old database say that it has moved; returns how many rows each table has.

    Raises:
        RequestError: the new database holds something.
        StoreError: what was written is not what was read; nothing is kept of it.
        TemporaryError: one of them is locked, full, or away.
    """
    with source.writing() as old:
        with target.writing() as new:
            _refuse_other_queue(new, target.name)
            copied = {table.name: _copied(table, old, new) for table in _tables()}
            _go_on_counting(new)
        _say_moved(old)
    return copied


def _tables() -> Iterator[Table]:
    """The tables in an order in which a row comes behind what it refers to, each with its JSON as text."""
    plain_json = Text().with_variant(_JSONAsText(), "postgresql")
    for table in schema.metadata.sorted_tables:
        if table.name != _OF_THE_TABLES:
            columns = (
                Column(
                    each.name, plain_json if isinstance(each.type, JSON) else each.type, primary_key=each.primary_key
                )
                for each in table.columns
            )
            yield Table(table.name, MetaData(), *columns)


def _refuse_other_queue(new: Connection, name: str) -> None:
    for table in _tables():
        held = select(table).where(table.c.value > 0) if table.name == schema.counters.name else select(table)
        if new.execute(held.limit(1)).first() is not None:
            raise RequestError(f"{name} holds a queue already; name a database that holds none")


def _copied(table: Table, old: Connection, new: Connection) -> int:
    if table.name == schema.counters.name:
        new.execute(delete(table))
    read = _Content()
    for rows in _parts(table, old):
        read = read.with_rows(rows)
        names = table.columns.keys()
        new.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])
    written = _Content()
    for rows in _parts(table, new):
        written = written.with_rows(rows)
    if written != read:
        raise StoreError(
            f"table {table.name} did not arrive as it was (rows: {written.rows} of {read.rows}); nothing was moved"
        )
    return read.rows


def _parts(table: Table, connection: Connection) -> Iterator[list[tuple[Any, ...]]]:
    found = connection.execute(select(table), execution_options={"yield_per": _ROWS_AT_ONCE})
    for rows in found.partitions():
        yield [tuple(row) for row in rows]


def _go_on_counting(new: Connection) -> None:
    """PostgreSQL gives numbers by sequences, which know nothing of rows that came with theirs."""
    if new.dialect.name != "postgresql":
        return
    for table in schema.metadata.sorted_tables:
        for key in table.primary_key:
            if type(key.type) is Integer:
                last = select(func.coalesce(func.max(key), 0) + 1).scalar_subquery()
                sequence = func.pg_get_serial_sequence(table.name, key.name)
                new.execute(select(func.setval(sequence, last, False)))


@durable_step("say that the store has moved")
def _say_moved(old: Connection) -> None:
    old.execute(update(schema.alembic_version).values(version_num=schema.MOVED))
