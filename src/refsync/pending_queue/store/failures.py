"""What a database's driver raises, as one line for a person."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from refsync.commands import command
from refsync.errors import (
    LostRaceError,
    RefsyncError,
    StateDirectoryError,
    StoreBusyError,
    StoreError,
    StoreUnavailableError,
)
from refsync.pending_queue.store import schema
from refsync.plain_text import one_line

BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_NO_ACCESS = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_LOST_RACES = frozenset({"40001", "40P01"})
"""PostgreSQL's states of a transaction that another one stood in the way of: done again it may succeed."""
_AWAY = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300"})
CREATE = "createdb --template=template0 --encoding=UTF8 --locale=C NAME"
_TAKES_NO_WRITES = "25006"
_REFUSED: dict[str, Callable[[str], str]] = {
    "3D000": lambda said: f"{said}; make it: {CREATE}",
    "42501": lambda said: f"{said}; let its user own the database",
}


def newer_store(name: str, version: str) -> StoreError:
    """The refusal of a store that a newer refsync has written, or that was moved away."""
    if version == schema.MOVED:
        return StoreError(f"{name} was moved to another database; set `queue.url` in the config to that one")
    there, known = (each.lstrip("0") for each in (version, schema.VERSION))
    return StoreError(f"{name} is of store version {there}, this refsync knows {known}: upgrade refsync")


def older_store(name: str, version: str) -> StoreError:
    """The refusal of a store on a server that no refsync of this version has been told to upgrade."""
    there, known = (each.lstrip("0") for each in (version, schema.VERSION))
    return StoreError(
        f"{name} is of store version {there}, this refsync knows {known}: stop the older refsync on every machine, "
        f"and then: {command('refsync', 'store', 'upgrade')}"
    )


def no_store(name: str) -> StoreError:
    """The refusal of what holds other things than a queue."""
    return StoreError(f"{name} is no refsync queue store, or a damaged one: restore it or move it away")


def explain(name: str, error: SQLAlchemyError | sqlite3.Error, secrets: Iterable[str] = ()) -> RefsyncError:
    """What a driver raised, as one line for a person, without secrets that it may have quoted."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    said = str(cause)
    for secret in secrets:
        said = said.replace(secret, "***")
    said = one_line(said)
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(name, getattr(cause, "sqlite_errorcode", 0) & 0xFF, said)  # the low byte is the kind
    state = sqlstate(error)
    if state is not None:
        return _of_server(name, state, said)
    if isinstance(error, OperationalError | InterfaceError):
        return StoreUnavailableError(f"{name} cannot be reached: {said}; try again when it can")
    return StoreError(f"{name}: {said}")


def sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's name for what went wrong; ``None`` where no server has said a word."""
    return getattr(getattr(error, "orig", None), "sqlstate", None)


def _of_sqlite(name: str, code: int, said: str) -> RefsyncError:
    if code in BUSY:
        return StoreBusyError(f"{name} is locked by another process; try again")
    if code == sqlite3.SQLITE_FULL:
        return StoreBusyError(f"{name}: the disk is full; make room and try again")
    if code in _NO_ACCESS:
        return StateDirectoryError(f"{name}: {said}; check that its folder can be written")
    if code in _DAMAGED:
        return StoreError(f"{name} is damaged ({said}): restore it from a copy, or move it away")
    return StoreError(f"{name}: {said}")


def _of_server(name: str, state: str, said: str) -> RefsyncError:
    if state in _LOST_RACES:
        return LostRaceError(f"{name}: another transaction stood in the way ({said}); try again")
    if state in ("55P03", "57014"):
        return StoreBusyError(f"{name} is locked by another process ({said}); try again")
    if state.startswith("53") and state not in _AWAY:
        return StoreBusyError(f"{name}: {said}; make room and try again")
    if state == _TAKES_NO_WRITES:
        return StoreUnavailableError(f"{name} takes no writes: a standby perhaps ({said}); try again")
    if state in _AWAY or state.startswith("08"):
        return StoreUnavailableError(f"{name} is away: {said}; try again when it is back")
    return StoreError(f"{name}: {_REFUSED.get(state, str)(said)}")
