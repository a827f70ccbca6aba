"""The store in a SQLite file: made whole, opened, locked, copied. Its writer holds SQLite's own write lock."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, event

from refsync.commands import command
from refsync.durable import flush_folder, make_folder
from refsync.durable_steps import durable_step
from refsync.errors import StateDirectoryError, StoreError, writable
from refsync.pending_queue.store import database, schema
from refsync.pending_queue.store.addresses import file_of, file_url, name_of, reading_url
from refsync.pending_queue.store.failures import BUSY, newer_store, no_store
from refsync.pending_queue.store.news import News
from refsync.scratch import scratch_folder, sweep

_TURN_SECONDS = 0.5  # how long a writer waits at a stretch, deaf to signals
_FILE_MODE = 0o660  # the operators' group reads and writes it too
_FOLDER_MODE = 0o2770
_WRITES = "refsync_writes"
_TEXTS = database.Texts(str.isascii, writable)
"""SQLite takes no bytes of no encoding, which a name from a file system or a command line may hold."""
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class SQLiteFile(database.Database):
    """A store in a file."""

    def __init__(self, url: URL) -> None:
        """Open the file; make it if there is none, upgrade it if it is older."""
        super().__init__(name_of(url))
        self.file = file_of(url)
        self._is_locked = False
        with self._explained():
            if self.file is not None:
                self._find(self.file)
            self._engine = _engine_of(reading_url(self.file) if self.file and self._is_locked else url)
            self._there = _identity(self.file)
        try:
            self._upgrade()
        except BaseException:
            self.close()
            raise

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

    def announce(self, connection: Connection) -> None:
        """Nothing: of a file the wake file tells."""

    def news(self) -> AbstractContextManager[News]:
        """None are told of a file."""
        raise StoreError(f"{self.name}: a file tells no news")

    def _find(self, file: Path) -> None:
        make_folder(file.parent, _FOLDER_MODE)
        if not file.exists():
            _make_file(file)
        elif file.stat().st_size == 0:  # SQLite would take it for a new one
            raise no_store(self.name)
        else:
            self._is_locked = not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))
        if not self._is_locked:
            sweep(_kind_of_new(file))

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._begun() as connection:
            self._see_version(connection)
            yield connection

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        if self._is_locked:
            raise StateDirectoryError(f"{self.name}: this user may read it and not write it; check owner and mode")
        with self._engine.connect() as plain:
            connection = plain.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    def _see_version(self, connection: Connection) -> None:
        """See that neither a newer refsync nor a move has changed the store since it was opened."""
        driver: Any = connection.connection.driver_connection
        (version,) = driver.execute("SELECT version_num FROM alembic_version").fetchone()
        if version != schema.VERSION:
            raise newer_store(self.name, version)

    def _upgrade(self) -> None:
        with self.reading() as connection:
            is_older = self._is_older(self._version(connection))
        if is_older:
            with self._explained(), self._begun() as connection:
                version = self._version(connection)
                if self._is_older(version):  # no other process was faster
                    self._upgrade_from(version, connection)
                    self.upgraded_from = version

    def _version(self, connection: Connection) -> str:
        version = schema.read_version(connection)
        if version is None:
            raise no_store(self.name)
        return version

    def _upgrade_from(self, version: str, connection: Connection) -> None:
        from refsync.pending_queue.store import migrations  # only where it is needed: importing it takes long

        if self.file is not None:
            _copy(self.file, self.file.with_name(f"{self.file.name}.v{version.lstrip('0')}.bak"))
        migrations.upgrade(connection, version)


def _identity(file: Path | None) -> tuple[int, int] | None:
    """By which a file is known again; ``None`` where there is none."""
    try:
        stat = file.stat() if file else None
    except FileNotFoundError:
        return None
    return stat and (stat.st_dev, stat.st_ino)


def _engine_of(url: URL) -> Engine:
    engine = database.engine_of(
        url, _TEXTS, connect_args={"timeout": database.BUSY_SECONDS, "check_same_thread": False}
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


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
    deadline = time.monotonic() + database.BUSY_SECONDS
    connection.execute(f"PRAGMA busy_timeout={min(_TURN_SECONDS, database.BUSY_SECONDS) * 1000:.0f}").close()
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE").close()
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in BUSY or time.monotonic() >= deadline:
                    raise
    finally:
        connection.execute(f"PRAGMA busy_timeout={database.BUSY_SECONDS * 1000:.0f}").close()


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
