"""Which kind of database an address is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refsync.pending_queue.store.addresses import is_sqlite

if TYPE_CHECKING:
    from sqlalchemy import URL

    from refsync.credentials import SecretSource
    from refsync.pending_queue.store.database import Database


def open_database(url: URL, password: SecretSource | None = None, *, upgrades: bool = False) -> Database:
    """Open the database; make the store in it if there is none.

    Args:
        url: a checked one.
        password: what lets in to a server.
        upgrades: whether an older store on a server is upgraded; one in a file is anyway.

    Raises:
        StoreError: it is damaged, or of a version that cannot be used.
        StateDirectoryError: its file cannot be made, read or written.
        TemporaryError: it is locked, full, or away.
    """
    if is_sqlite(url):
        from refsync.pending_queue.store.sqlite_file import SQLiteFile

        return SQLiteFile(url)
    from refsync.pending_queue.store.postgresql import PostgreSQL

    return PostgreSQL(url, password, upgrades=upgrades)
