"""The store's database: its transactions, and bringing its tables up to date.

SQLite (``sqlite_file``) and PostgreSQL (``postgresql``) promise the same: a reader sees one state of the store, and a
writer is the only one from its first statement to its end, so that whoever writes decides by what it reads.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from refsync.dumping import dump
from refsync.errors import RefsyncError, StateDirectoryError, StoreBusyError
from refsync.pending_queue.store import schema
from refsync.pending_queue.store.failures import explain, newer_store, no_store
from refsync.pending_queue.store.news import News
from refsync.pending_queue.store.rows import json_column
from refsync.plain_text import one_line

BUSY_SECONDS = 10.0
"""How long a call waits for another process's transaction."""


class Database(ABC):
    """One engine, its file if it has one, and how both are named to people."""

    file: Path | None = None
    upgraded_from: str | None = None
    """The version that the store was of, where opening it has upgraded it."""
    tells_news = False
    """Whether others can listen to what is done to it."""
    _engine: Engine

    def __init__(self, name: str) -> None:
        self.name = name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the store.

        Raises:
            StateDirectoryError: the file was deleted or replaced.
        """
        self.check_in_place()
        with self._explained(), self._read() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is the only writer; rolled back if the block raises.

        Raises:
            StateDirectoryError: this user may only read the store, or its file was deleted or replaced.
        """
        self.check_in_place()
        with self._explained(), self._write() as connection:
            yield connection

    @contextmanager
    def beside(self) -> Iterator[Connection]:
        """A transaction that writes what no other writer decides by, and waits for none where the database can do that.

        Raises:
            StateDirectoryError: as :meth:`writing`.
        """
        with self.writing() as connection:
            yield connection

    @abstractmethod
    def check_in_place(self) -> None:
        """See that others who open the store meet this one: what is written to a deleted file is lost.

        Raises:
            StateDirectoryError: the file was deleted or replaced since it was opened.
        """

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @abstractmethod
    def announce(self, connection: Connection) -> None:
        """Let those who listen know, once this transaction is committed, that it moved something."""

    @abstractmethod
    def news(self) -> AbstractContextManager[News]:
        """Listen to what other processes do."""

    @abstractmethod
    def _read(self) -> AbstractContextManager[Connection]: ...

    @abstractmethod
    def _write(self) -> AbstractContextManager[Connection]: ...

    def _is_older(self, version: str) -> bool:
        """Whether a store of this version is to be upgraded.

        Raises:
            StoreError: it is newer, or no store.
        """
        if version < schema.FIRST_VERSION:
            raise no_store(self.name)
        if version > schema.VERSION:
            raise newer_store(self.name, version)
        return version < schema.VERSION

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the driver raises into one line for a person."""
        try:
            yield
        except PoolTimeoutError as error:
            raise StoreBusyError(f"{self.name} is busy: {one_line(str(error))}; try again") from error
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self._explain(error) from error
        except OSError as error:
            place = error.filename or self.name
            raise StateDirectoryError(f"{place}: {error.strerror or error}; check owner and mode") from error

    def _explain(self, error: SQLAlchemyError | sqlite3.Error) -> RefsyncError:
        return explain(self.name, error)


@dataclass(frozen=True)
class Texts:
    """Which texts a database takes."""

    are_taken: Callable[[str], bool]
    """Whether it takes one for sure, as it does most."""
    as_taken: Callable[[str], str]
    """Makes of a text one that it takes."""


def engine_of(url: URL, texts: Texts, **options: Any) -> Engine:
    """An engine that keeps JSON as ours is written, and hands over no text that a database does not take.

    Args:
        url: of the database.
        texts: which it takes.
        options: SQLAlchemy's.
    """

    def hand_over(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        if isinstance(parameters, list):
            return statement, [_with_text(row, texts) for row in parameters]
        return statement, _with_text(parameters, texts)

    engine = create_engine(url, **({"json_serializer": dump, "json_deserializer": json_column} | options))
    event.listen(engine, "before_cursor_execute", hand_over, retval=True)
    return engine


def _with_text(row: Any, texts: Texts) -> Any:
    names = isinstance(row, dict)
    for value in row.values() if names else row:
        if isinstance(value, str) and not texts.are_taken(value):
            break
    else:
        return row
    as_taken = texts.as_taken
    if names:
        return {name: as_taken(value) if isinstance(value, str) else value for name, value in row.items()}
    return tuple([as_taken(value) if isinstance(value, str) else value for value in row])
