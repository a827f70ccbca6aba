"""Copies of a store's file: taken while others write, looked over, and put in its place in one transaction."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from refsync.durable import flush_folder
from refsync.errors import StateDirectoryError, StoreError
from refsync.pending_queue.store import database, schema

_FILE_MODE = 0o660
_BESIDE = ("-wal", "-shm", "-journal")
_UNREADABLE = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})


class StoreFacts(NamedTuple):
    """What stands in a store's file."""

    version: str
    changes: int
    batches: int


def store_file(root_path: Path, url: str) -> Path | None:
    """The file of the store that the settings name; ``None`` where it lies on a server.

    Raises:
        StoreError: the URL is none.
    """
    return database.file_of(database.parse_url(url)) if url else root_path / "queue.db"


def copy_store(file: Path, copy: Path) -> None:
    """Copy the store, as it is at one moment, to a new file, which is on the disk then and whole by itself.

    Raises:
        StoreError: it is damaged.
        StateDirectoryError: it cannot be read, or the copy not be written.
        StoreBusyError: it stays locked, or the disk is full.
    """
    with _explained(file):
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with closing(_open(file)) as source, closing(_open(copy)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE").close()


def examine_store(file: Path, *, is_served: bool = True) -> StoreFacts:
    """Look through the store, and change nothing.

    Args:
        file: the store.
        is_served: whether other processes may be writing it.

    Raises:
        StoreError: it is damaged, none, or of a newer version.
        StateDirectoryError: it cannot be read.
    """
    with _explained(file), closing(_open(file, reads_only=True, is_served=is_served)) as connection:
        faults = [line for (line,) in connection.execute("PRAGMA quick_check")]
        if faults != ["ok"]:
            raise StoreError(f"{file} is damaged ({faults[0]}): restore it from a copy, or move it away")
        version = _version(connection)
        if version is None or version < schema.FIRST_VERSION:
            raise StoreError(f"{file} is no refsync queue store, or a damaged one: restore it or move it away")
        if version > schema.VERSION:
            raise database.newer_store(str(file), version)
        return StoreFacts(version, _count(connection, "changes"), _count(connection, "batches"))


def upgrade_copy(copy: Path) -> None:
    """Bring a copy that nobody else uses to the present version."""
    database.Database(database.file_url(copy)).close()
    with _explained(copy), closing(_open(copy)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").close()


def put_in_place(copy: Path, file: Path) -> None:
    """Let the store hold what the copy holds: in one transaction, so that whoever uses it sees the old or the new.

    A store that is too damaged for that is kept beside the new one, as ``FILE.damaged``.
    """
    with _explained(file):
        try:
            if file.exists():
                _take_over(copy, file)
                return
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in _UNREADABLE:
                raise
            _set_aside(file)
        fresh = file.with_name(f"{file.name}.restored.new")
        fresh.unlink(missing_ok=True)
        copy_store(copy, fresh)
        fresh.chmod(_FILE_MODE)
        fresh.rename(file)
        flush_folder(file.parent)


def _take_over(copy: Path, file: Path) -> None:
    with closing(_open(copy)) as source, closing(_open(file)) as target:
        source.backup(target)


def _set_aside(file: Path) -> None:
    for end in (*_BESIDE, ""):
        with suppress(FileNotFoundError):
            os.replace(f"{file}{end}", f"{file}.damaged{end}")


def _open(file: Path, *, reads_only: bool = False, is_served: bool = True) -> sqlite3.Connection:
    if reads_only:
        log = file.with_name(f"{file.name}-wal")
        # Nothing beside it is made or locked where nobody writes.
        still = "" if is_served or (log.exists() and log.stat().st_size) else "&immutable=1"
        return sqlite3.connect(f"file:{quote(str(file))}?mode=ro{still}", uri=True, timeout=database.BUSY_SECONDS)
    return sqlite3.connect(file, timeout=database.BUSY_SECONDS)


def _version(connection: sqlite3.Connection) -> str | None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "alembic_version" in tables:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    if "schema_version" in tables:
        return f"{connection.execute('SELECT version FROM schema_version').fetchone()[0]:04}"
    return None


def _count(connection: sqlite3.Connection, table: str) -> int:
    counted: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return counted


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise database.explain(str(file), error) from error
    except OSError as error:
        raise StateDirectoryError(
            f"{error.filename or file}: {error.strerror or error}; check owner and mode"
        ) from error
