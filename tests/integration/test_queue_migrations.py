from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from refsync.errors import StoreError
from refsync.pending_queue.models import BatchState, PendingChangeStatus
from refsync.pending_queue.store import PendingQueueStore, addresses, migrations, opening, schema
from tests.support.old_stores import VERSIONS, old_store

TIP = "a" * 40


def content(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def run_sql(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)


def changes(file: Path) -> list[Any]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT change_id, status, model_name, payload, batch_id FROM changes").fetchall()


def difference(file: Path) -> list[Any]:
    """What the tables in the file lack of those that a new store has, or have beyond them."""
    with opening.open_database(addresses.file_url(file)).reading() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), schema.metadata))


@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_store_is_taken_over_with_all_that_is_in_it(tmp_path: Path, version: int) -> None:
    file = old_store(tmp_path, version)
    before = changes(file)
    with PendingQueueStore(root_path=tmp_path) as store:
        assert [change.change_id for change in store.list_changes()[0]] == [each[0] for each in before]
        assert store.list_changes()[0][0].status is PendingChangeStatus.APPROVED
        number = store.next_batch_id()
    assert changes(file) == before
    assert number == max(batch for *_, batch in before if batch) + 1
    assert difference(file) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_store_is_copied_before_it_is_upgraded(tmp_path: Path, version: int) -> None:
    before = content(old_store(tmp_path, version))
    PendingQueueStore(root_path=tmp_path).close()
    assert content(tmp_path / f"queue.db.v{version}.bak") == before
    assert (tmp_path / f"queue.db.v{version}.bak").stat().st_mode & 0o777 == 0o660
    PendingQueueStore(root_path=tmp_path).close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["queue.db", f"queue.db.v{version}.bak"]


def test_a_new_store_has_the_tables_and_the_version_that_the_steps_lead_to(tmp_path: Path) -> None:
    PendingQueueStore(root_path=tmp_path).close()
    assert difference(tmp_path / "queue.db") == []
    steps = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert steps.get_heads() == [schema.VERSION]
    assert steps.get_bases() == [schema.FIRST_VERSION]


def test_a_step_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    file = old_store(tmp_path, 1)
    run_sql(file, "ALTER TABLE changes ADD COLUMN reverts TEXT")  # in the way of the second of its steps
    before = content(file)
    with pytest.raises(StoreError, match=r"queue\.db: duplicate column name: reverts"):
        PendingQueueStore(root_path=tmp_path)
    assert content(file) == before


def test_a_process_that_is_killed_while_upgrading_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    file = old_store(tmp_path, 1)
    before = content(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        real = migrations.upgrade

        def upgrade(connection: Connection, version: str) -> None:
            real(connection, version)
            os.kill(os.getpid(), signal.SIGKILL)

        migrations.upgrade = upgrade
        try:
            PendingQueueStore(root_path=tmp_path)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert content(file) == before
    with PendingQueueStore(root_path=tmp_path) as store:
        assert store.list_changes()[1] == 5


HELD = [
    ("local_edits", "clip.json", None, "clip.json has local edits in the clone; commit or undo them"),
    (
        "failed_check",
        "make lint",
        TIP,
        "check `make lint` failed with exit code 1: no; change 2 (create clip 'm1') breaks it",
    ),
    (
        "refused_push",
        None,
        TIP,
        "origin refuses the push to main: a hook says no; then: refsync batch retry 3",
    ),
    (
        "closed_request",
        "7",
        None,
        "pull request 7 was closed by ada without being merged; reopen it, or: refsync batch retry 4",
    ),
    (
        "deleted_branch",
        "refsync/batch-5-abc",
        None,
        "its branch refsync/batch-5-abc was deleted on origin; restore it, or: refsync batch retry 5",
    ),
    (
        "left_proposal",
        "refsync/batch-6-abc",
        None,
        "it was proposed as refsync/batch-6-abc, but `publish` is local now; set it back, or: refsync batch retry 6",
    ),
    ("earlier_batch", "1", None, "batch 1 touches 'm6' too and has not landed"),
    ("unserved", None, None, "no repository of the config holds lora"),
    ("lost_races", None, None, "somebody else was quicker 5 times: the branch moved; it is tried again"),
    ("other", None, None, "something that no refsync ever said"),
]


def test_what_batches_of_an_older_store_wait_for_becomes_data_and_reads_as_before(tmp_path: Path) -> None:
    old_store(tmp_path, 3)
    with PendingQueueStore(root_path=tmp_path) as store, store.reading() as queue:
        held = queue.batches({BatchState.held})
        told = [(each.hold.kind.value, each.hold.about, each.hold.since_tip, each.reason) for each in held if each.hold]
        others = [(each.state, each.hold, each.reason) for each in queue.batches() if each not in held]
    assert told == HELD
    assert others == [(BatchState.landed, None, None), (BatchState.abandoned, None, "not wanted")]


def test_of_many_that_open_an_older_store_at_once_one_upgrades_it(tmp_path: Path) -> None:
    old_store(tmp_path, 1)
    barrier = threading.Barrier(6)
    seen: list[int] = []

    def look() -> None:
        barrier.wait()
        with PendingQueueStore(root_path=tmp_path) as store:
            seen.append(store.list_changes()[1])

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [5] * 6


@pytest.mark.parametrize("statement", ["UPDATE alembic_version SET version_num = '0099'", "DROP TABLE alembic_version"])
def test_a_store_of_a_newer_version_is_refused(tmp_path: Path, statement: str) -> None:
    PendingQueueStore(root_path=tmp_path).close()
    run_sql(tmp_path / "queue.db", statement)
    run_sql(tmp_path / "queue.db", "UPDATE schema_version SET version = 99")
    before = content(tmp_path / "queue.db")
    newer = rf"queue\.db is of store version 99, this refsync knows {int(schema.VERSION)}: upgrade refsync$"
    with pytest.raises(StoreError, match=newer):
        PendingQueueStore(root_path=tmp_path)
    assert content(tmp_path / "queue.db") == before


def test_a_refsync_of_before_is_told_that_the_store_is_newer(tmp_path: Path) -> None:
    PendingQueueStore(root_path=tmp_path / "new").close()
    old_store(tmp_path / "old", 3)
    PendingQueueStore(root_path=tmp_path / "old").close()
    for name in ("new", "old"):
        with closing(sqlite3.connect(tmp_path / name / "queue.db")) as connection:
            assert connection.execute("SELECT version > 3 FROM schema_version").fetchall() == [(1,)]


def test_a_version_that_never_was_is_no_store_of_ours(tmp_path: Path) -> None:
    file = old_store(tmp_path, 1)
    run_sql(file, "UPDATE schema_version SET version = 0")
    with pytest.raises(StoreError, match=r"queue\.db is no refsync queue store, or a damaged one"):
        PendingQueueStore(root_path=tmp_path)


def test_a_present_store_is_made_and_opened_without_loading_alembic(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from refsync import PendingQueueStore; "
        "[PendingQueueStore(root_path=Path(sys.argv[1])).close() for _ in range(2)]; sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0
