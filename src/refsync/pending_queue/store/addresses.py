"""Where a queue is kept: the URL of its database, and how people are told of it, without what is secret in it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from refsync.errors import StoreError

_SQLITE = "sqlite"
_POSTGRESQL = "postgresql"
_DRIVERS = frozenset({_SQLITE, "sqlite+pysqlite", _POSTGRESQL, "postgresql+psycopg"})
_TOLD_OPTIONS = frozenset({"host", "port"})


def parse_url(text: str) -> URL:
    """The URL of a SQLite file or of a PostgreSQL database.

    Raises:
        StoreError: it is none; the text never shows it, for it may hold a password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise StoreError(
            "queue url: is none as SQLAlchemy has them; such as postgresql+psycopg://refsync@db.example.org/refsync, "
            "where special letters of a name or a password are written as %XX"
        ) from None
    if url.drivername not in _DRIVERS:
        raise StoreError(
            f"queue url: refsync keeps no queue in {url.drivername}; give sqlite:// or postgresql+psycopg://"
        )
    if is_sqlite(url) and url.database in (None, "", ":memory:"):
        raise StoreError("queue url: an SQLite store in memory is gone with the process; name a file")
    return url if is_sqlite(url) else url.set(drivername="postgresql+psycopg")


def is_sqlite(url: URL) -> bool:
    """Whether it is of a SQLite file."""
    return url.get_backend_name() == _SQLITE


def file_url(file: Path) -> URL:
    """The URL of a SQLite file."""
    return URL.create(_SQLITE, database=str(file))


def reading_url(file: Path) -> URL:
    """The URL by which a file is read that this user may not write: nothing beside it is made or locked."""
    log = file.with_name(f"{file.name}-wal")
    still = {} if log.exists() and log.stat().st_size else {"immutable": "1"}
    return URL.create(_SQLITE, database=f"file:{quote(str(file))}", query={"mode": "ro", "uri": "true", **still})


def file_of(url: URL) -> Path | None:
    """The file of a SQLite store; ``None`` of any other."""
    if not is_sqlite(url) or url.database is None or url.database.startswith("file:"):
        return None
    return Path(url.database).absolute()


def name_of(url: URL) -> str:
    """What people are told of a database: the file, or server, user and database."""
    if is_sqlite(url):
        return str(url.database)
    told = {option: value for option, value in url.query.items() if option in _TOLD_OPTIONS}
    return URL.create(
        _POSTGRESQL, username=url.username, host=url.host, port=url.port, database=url.database, query=told
    ).render_as_string()
