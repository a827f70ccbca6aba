"""Copies of a store's file: taken while others write, looked over, and put in its place in one transaction."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from refsync.durable import flush_folder
from refsync.errors import StateDirectoryError, StoreError
from refsync.pending_queue.store import database, schema, sqlite_file
from refsync.pending_queue.store.addresses import file_of, file_url, parse_url
from refsync.pending_queue.store.failures import explain, newer_store, no_store
from refsync.pending_queue.store.opening import open_database

_BESIDE = ("-wal", "-shm", "-journal")
_UNREADABLE = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
_DEAD_OF_TARGETS = "SELECT target, count(*) FROM outbox WHERE died_at IS NOT NULL GROUP BY target"
_PROBLEMS_OF_TARGETS = "SELECT name, problem FROM notify_targets WHERE problem IS NOT NULL"


class StoreFacts(NamedTuple):
    """What stands in a store's file; the rest than counts and version only of a store of the present version.

    ``approved_at`` is when the open batch was approved last, ``newest_at`` when anything else was done last.
    ``dead`` counts messages that could not be delivered, by target; ``failing`` says why the last try failed.
    """

    version: str
    changes: int
    batches: int
    approved_at: float = 0.0
    newest_at: float = 0.0
    branches: frozenset[str] = frozenset()
    dead: Mapping[str, int] = {}
    failing: Mapping[str, str] = {}


def store_file(root_path: Path, url: str) -> Path | None:
    """The file of the store that the settings name; ``None`` where it lies on a server.

    Raises:
        StoreError: the URL is none.
    """
    return file_of(parse_url(url)) if url else root_path / "queue.db"


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


def examine_store(file: Path) -> StoreFacts:
    """Look through the store, and change nothing.

    Raises:
        StoreError: it is damaged, none, or of a newer version.
        StateDirectoryError: it cannot be read.
    """
    is_still = not _is_open(file)
    try:
        return _examine(file, is_still=is_still)
    except StoreError:
        if not (is_still and _is_open(file)):  # somebody began to write it just then
            raise
        return _examine(file, is_still=False)


def _examine(file: Path, *, is_still: bool) -> StoreFacts:
    with _explained(file), closing(_open_to_read(file, is_still=is_still)) as connection:
        faults = [line for (line,) in connection.execute("PRAGMA quick_check")]
        if faults != ["ok"]:
            raise StoreError(f"{file} is damaged ({faults[0]}): restore it from a copy, or move it away")
        version = _version(connection)
        if version is None or version < schema.FIRST_VERSION:
            raise no_store(str(file))
        if version > schema.VERSION:
            raise newer_store(str(file), version)
        facts = StoreFacts(version, _count(connection, "changes"), _count(connection, "batches"))
        return facts if version < schema.VERSION else _with_more(facts, connection)


def upgrade_copy(copy: Path) -> None:
    """Bring a copy that nobody else uses to the present version."""
    open_database(file_url(copy)).close()
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
        with sqlite_file.new_file_for(file) as fresh:
            _take_over(copy, fresh)
            fresh.rename(file)
        flush_folder(file.parent)


def _take_over(copy: Path, file: Path) -> None:
    with closing(_open(copy)) as source, closing(_open(file)) as target:
        source.backup(target)


def _set_aside(file: Path) -> None:
    for end in (*_BESIDE, ""):
        with suppress(FileNotFoundError):
            os.replace(f"{file}{end}", f"{file}.damaged{end}")


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=database.BUSY_SECONDS)


def _open_to_read(file: Path, *, is_still: bool) -> sqlite3.Connection:
    """Where nobody has it open, nothing beside it is made or locked."""
    still = "&immutable=1" if is_still else ""
    return sqlite3.connect(f"file:{quote(str(file))}?mode=ro{still}", uri=True, timeout=database.BUSY_SECONDS)


def _is_open(file: Path) -> bool:
    """Whether somebody works on it, or died while they did."""
    return any(file.with_name(f"{file.name}{end}").exists() for end in ("-wal", "-journal"))


def _version(connection: sqlite3.Connection) -> str | None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "alembic_version" in tables:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    if "schema_version" in tables:
        return f"{connection.execute('SELECT version FROM schema_version').fetchone()[0]:04}"
    return None


def _with_more(facts: StoreFacts, connection: sqlite3.Connection) -> StoreFacts:
    approved = connection.execute("SELECT max(last_approved_at) FROM batches WHERE state = 'open'").fetchone()[0]
    moved = connection.execute("SELECT max(sealed_at), max(landed_at), max(opened_at) FROM batches").fetchone()
    passed = connection.execute("SELECT max(last_pass_at) FROM repositories").fetchone()
    proposals = connection.execute("SELECT proposal FROM batches WHERE proposal IS NOT NULL").fetchall()
    return facts._replace(
        approved_at=approved or 0.0,
        newest_at=max((at for at in (*moved, *passed) if at is not None), default=0.0),
        branches=frozenset(str(json.loads(proposal).get("branch")) for (proposal,) in proposals),
        dead=dict(connection.execute(_DEAD_OF_TARGETS).fetchall()),
        failing=dict(connection.execute(_PROBLEMS_OF_TARGETS).fetchall()),
    )


def _count(connection: sqlite3.Connection, table: str) -> int:
    counted: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return counted


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise explain(str(file), error) from error
    except OSError as error:
        raise StateDirectoryError(
            f"{error.filename or file}: {error.strerror or error}; check owner and mode"
        ) from error
