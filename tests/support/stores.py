"""The database that a test's queue lies in: SQLite, or PostgreSQL with ``REFSYNC_TEST_STORE=postgresql``.

A test says in which folder its queue lies, as a state directory; on PostgreSQL each such folder has a database of its
own, which goes when the test has ended.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from refsync.application import Application
from refsync.pending_queue.store import PendingQueueStore
from tests.support import postgresql

ON_POSTGRESQL = os.environ.get("REFSYNC_TEST_STORE", "sqlite") == "postgresql"

_databases: dict[Path, str] = {}
_opened: list[Application] = []
_one_at_a_time = threading.Lock()


def open_store(folder: Path, **more: Any) -> PendingQueueStore:
    """The store of a folder."""
    return PendingQueueStore(root_path=folder, url=store_url(folder), **more)


def store_url(folder: Path) -> str:
    """What ``queue.url`` has to be for the queue of a folder."""
    if not ON_POSTGRESQL:
        return ""
    with _one_at_a_time:
        if folder not in _databases:
            _databases[folder] = postgresql.server().new_database()
        return _databases[folder]


def on_chosen_store(config: str, folder: Path) -> str:
    """The text of a config file whose queue lies there, also where it was another one's that lies elsewhere."""
    if not ON_POSTGRESQL:
        return config
    for owner, url in _databases.items():
        if not folder.is_relative_to(owner):  # those of one folder may share what lies above them
            config = config.replace(f'url = "{url}"\n', "")
    if "[queue]\nurl = " in config:  # which a test has chosen for itself
        return config
    table = f'[queue]\nurl = "{store_url(folder)}"\n'
    before = "[queue]\n" if "[queue]\n" in config else "[[repository]]"
    return config.replace(before, table if before == "[queue]\n" else f"{table}{before}", 1)


def closed_after_the_test(application: Application) -> Application:
    """It is closed behind a test that has not done so: a server's connection that is just forgotten is a warning."""
    if ON_POSTGRESQL:
        _opened.append(application)
    return application


def forget_databases() -> None:
    """Drop what this test has made."""
    while _opened:
        _opened.pop().close()
    for url in _databases.values():
        postgresql.server().drop(url)
    _databases.clear()
