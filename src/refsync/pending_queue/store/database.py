"""Opening the store's database, and telling its failures in one line."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from refsync.commands import command
from refsync.dumping import dump
from refsync.durable import flush_folder, make_folder
from refsync.durable_steps import durable_step
from refsync.errors import RefsyncError, StateDirectoryError, StoreBusyError, StoreError, writable
from refsync.pending_queue.store import schema
from refsync.pending_queue.store.rows import json_column
from refsync.plain_text import one_line
from refsync.scratch import scratch_folder, sweep

BUSY_SECONDS = 10.0
"""How long a call waits for another process's transaction."""
_TURN_SECONDS = 0.5  # how long it waits at a stretch, deaf to signals

_FILE_MODE = 0o660  # the operators' group reads and writes it too
_FOLDER_MODE = 0o2770
_WRITES = "refsync_writes"
_UPGRADE_LOCK = 0x7265667379  # any number that means nothing to others


class Database:
    """One engine, its file if it has one, and how both are named to people."""

    def __init__(self, url: URL) -> None:
        """Open the database; make it if there is none, upgrade it if it is older."""
        self.name = url.database if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)
        self.file = file_of(url)
        self._is_locked = False
        with self._explained():
            if self.file is not None:
                make_folder(self.file.parent, _FOLDER_MODE)
                if not self.file.exists():
                    _make_file(self.file)
                elif self.file.stat().st_size == 0:  # SQLite would take it for a new one
                    raise self._no_store()
                elif not (os.access(self.file, os.W_OK) and os.access(self.file.parent, os.W_OK)):
                    self._is_locked, url = True, _reading_url(self.file)
                if not self._is_locked:
                    sweep(_kind_of_new(self.file))
            self._engine = _engine_of(url)
            self._there = _identity(self.file)
        try:
            self._upgrade()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the store.

        Raises:
            StateDirectoryError: the file was deleted or replaced.
        """
        self.check_in_place()
        with self._explained(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is the only writer; rolled back if the block raises.

        Raises:
            StateDirectoryError: this user may only read the store, or its file was deleted or replaced.
        """
        self.check_in_place()
        if self._is_locked:
            raise StateDirectoryError(f"{self.name}: this user may read it and not write it; check owner and mode")
        with self._explained(), self._engine.connect() as plain:
            connection = plain.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    def check_in_place(self) -> None:
        """See that others who open the store meet this one: what is written to a deleted file is lost.

        Raises:
            StateDirectoryError: the file was deleted or replaced since it was opened.
        """
        if self._there is not None and _identity(self.file) != self._there:
            raise StateDirectoryError(
                f"{self.name} was deleted or replaced while it was in use; put it back if that was a mistake "
                f"({command('refsync', 'restore', 'FILE')}), and start refsync again (systemd does so by itself)"
            )

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _upgrade(self) -> None:
        with self.reading() as connection:
            is_older = self._is_older(schema.read_version(connection))
        if is_older:
            with self.writing() as connection:
                _await_turn(connection)
                version = schema.read_version(connection)
                if self._is_older(version):  # no other process was faster
                    self._upgrade_from(version, connection)

    def _is_older(self, version: str | None) -> bool:
        """Whether the store is to be upgraded, or, on a server, to be made.

        Raises:
            StoreError: it is newer, or no store.
        """
        if version is None and self.file is None:
            return True
        if version is None or version < schema.FIRST_VERSION:
            raise self._no_store()
        if version > schema.VERSION:
            raise newer_store(str(self.name), version)
        return version < schema.VERSION

    def _upgrade_from(self, version: str | None, connection: Connection) -> None:
        if version is None:
            schema.create(connection)
            return
        from refsync.pending_queue.store import migrations  # only where it is needed: importing it takes long

        if self.file is not None:
            _copy(self.file, self.file.with_name(f"{self.file.name}.v{version.lstrip('0')}.bak"))
        migrations.upgrade(connection, version)

    def _no_store(self) -> StoreError:
        return StoreError(f"{self.name} is no refsync queue store, or a damaged one: restore it or move it away")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the driver raises into one line for a person."""
        try:
            yield
        except PoolTimeoutError as error:
            raise StoreBusyError(f"{self.name} is busy: {one_line(str(error))}; try again") from error
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise explain(self.name or "the queue store", error) from error
        except OSError as error:
            place = error.filename or self.name
            raise StateDirectoryError(f"{place}: {error.strerror or error}; check owner and mode") from error
        except ImportError as error:
            raise StoreError(f"{self.name}: its database driver is not installed: {error}") from error


def _identity(file: Path | None) -> tuple[int, int] | None:
    """By which a file is known again; ``None`` where there is none."""
    try:
        stat = file.stat() if file else None
    except FileNotFoundError:
        return None
    return stat and (stat.st_dev, stat.st_ino)


def newer_store(name: str, version: str) -> StoreError:
    """The refusal of a store that a newer refsync has written."""
    there, known = (each.lstrip("0") for each in (version, schema.VERSION))
    return StoreError(f"{name} is of store version {there}, this refsync knows {known}: upgrade refsync")


def parse_url(text: str) -> URL:
    """The SQLAlchemy URL.

    Raises:
        StoreError: it is none, or names a database that is gone with the process.
    """
    try:
        url = make_url(text)
        is_sqlite = url.get_backend_name() == "sqlite"
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise StoreError(f"queue url: {one_line(str(error))}; give one as SQLAlchemy has them") from None
    if is_sqlite and url.database in (None, "", ":memory:"):
        raise StoreError("queue url: an SQLite store in memory is gone with the process; name a file")
    return url


def file_url(file: Path) -> URL:
    """The URL of a SQLite file."""
    return URL.create("sqlite", database=str(file))


def _reading_url(file: Path) -> URL:
    """The URL by which a file is read that this user may not write: nothing beside it is made or locked."""
    log = file.with_name(f"{file.name}-wal")
    still = {} if log.exists() and log.stat().st_size else {"immutable": "1"}
    return URL.create("sqlite", database=f"file:{quote(str(file))}", query={"mode": "ro", "uri": "true", **still})


def file_of(url: URL) -> Path | None:
    """The file of a SQLite store; ``None`` of any other."""
    if url.get_backend_name() != "sqlite" or url.database is None or url.database.startswith("file:"):
        return None
    return Path(url.database).absolute()


def _engine_of(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    options = {"connect_args": {"timeout": BUSY_SECONDS, "check_same_thread": False}} if is_sqlite else {}
    engine = create_engine(url, json_serializer=dump, json_deserializer=json_column, **options)
    event.listen(engine, "before_cursor_execute", _hand_over, retval=True)
    if is_sqlite:
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    return engine


def _hand_over(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
    """No database takes bytes of no encoding, which a name from a file system or a command line may hold."""
    rows = parameters if isinstance(parameters, list) else [parameters]
    writable_rows = [_with_text(row) for row in rows]
    return statement, writable_rows if isinstance(parameters, list) else writable_rows[0]


def _with_text(row: Any) -> Any:
    if isinstance(row, dict):
        return {name: _as_text(value) for name, value in row.items()}
    return tuple([_as_text(value) for value in row])


def _as_text(value: Any) -> Any:
    return writable(value) if isinstance(value, str) and not value.isascii() else value


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3 must not begin transactions of its own; _begin does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()
    # SQLite's own knows ASCII only; a name is found in upper and lower case of every script.
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _begin(connection: Connection) -> None:
    # A transaction that begins as a reader fails when it turns writer beside another one.
    if connection.get_execution_options().get(_WRITES):
        _begin_writing(connection.connection.driver_connection)
    else:
        connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: Any) -> None:
    """Wait for the write lock in turns, so that a signal is heard in between."""
    deadline = time.monotonic() + BUSY_SECONDS
    connection.execute(f"PRAGMA busy_timeout={min(_TURN_SECONDS, BUSY_SECONDS) * 1000:.0f}").close()
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE").close()
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() >= deadline:
                    raise
    finally:
        connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000:.0f}").close()


def _await_turn(connection: Connection) -> None:
    """Be the only one that makes or upgrades tables; a SQLite writer is alone already."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_UPGRADE_LOCK)))


@durable_step("make the store")
def _make_file(file: Path) -> None:
    """Make the store under another name and link it: an empty file at its place is always a damaged one."""
    with new_file_for(file) as fresh:
        engine = _engine_of(file_url(fresh))
        try:
            with engine.connect() as plain, plain.execution_options(**{_WRITES: True}).begin():
                schema.create(plain)
        finally:
            engine.dispose()
        with suppress(FileExistsError):  # another process was faster
            _link(fresh, file)
    flush_folder(file.parent)


@contextmanager
def new_file_for(file: Path) -> Iterator[Path]:
    """An empty file that may become the store, in a folder of its own: SQLite puts more files beside it."""
    with scratch_folder(_kind_of_new(file), _FOLDER_MODE) as folder:
        fresh = folder.path / file.name
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, _FILE_MODE))
        fresh.chmod(_FILE_MODE)
        yield fresh


def _kind_of_new(file: Path) -> Path:
    return file.with_name(f"{file.name}.new-")


def _link(fresh: Path, file: Path) -> None:
    try:
        os.link(fresh, file)
    except OSError as problem:
        if problem.errno not in _NO_HARD_LINKS:
            raise
        raise StateDirectoryError(
            f"{file.parent}: its disk knows no hard links ({problem.strerror}); put `state_directory` on another one"
        ) from None


@durable_step("copy the store")
def _copy(file: Path, copy: Path) -> None:
    """A consistent copy of the database, flushed, in place at once."""
    with new_file_for(file) as fresh:
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(fresh)) as target:
            source.backup(target)
        fresh.rename(copy)
    flush_folder(copy.parent)


_NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_NO_ACCESS = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def explain(name: str, error: SQLAlchemyError | sqlite3.Error) -> RefsyncError:
    """What a driver raised, as one line for a person."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind
    if code in _BUSY:
        return StoreBusyError(f"{name} is locked by another process; try again")
    if code == sqlite3.SQLITE_FULL:
        return StoreBusyError(f"{name}: the disk is full; make room and try again")
    if code in _NO_ACCESS:
        return StateDirectoryError(f"{name}: {one_line(str(cause))}; check that its folder can be written")
    if code in _DAMAGED:
        return StoreError(f"{name} is damaged ({one_line(str(cause))}): restore it from a copy, or move it away")
    return StoreError(f"{name}: {one_line(str(cause))}")
