from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.errors import (
    ChangeNotFoundError,
    ChangeStateError,
    RequestError,
    StateDirectoryError,
    StoreBusyError,
    StoreError,
)
from refsync.pending_queue.models import (
    AuditOperation,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueueFilter,
)
from refsync.pending_queue.store import PendingQueueStore, database, schema
from tests.support.stores import ON_POSTGRESQL, open_store

S = PendingChangeStatus


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PendingQueueStore]:
    with open_store(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[PendingQueueStore]:
    """A store of which a test is about its being a file."""
    with PendingQueueStore(root_path=tmp_path / "state") as opened:
        yield opened


def record(name: str = "m", **more: object) -> PendingChangeRecord:
    fields = {
        "change_id": 0,
        "category": Category.clip,
        "model_name": name,
        "operation": AuditOperation.CREATE,
        "payload": {"a": [True, 1, 1.0, None, 2**70, "ü\u2028"]},
        "requested_by": "1",
        "requested_username": "Ada",
        **more,
    }
    return PendingChangeRecord.model_validate(fields)


def run_sql(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)


def test_ids_begin_at_one_and_records_come_back_as_they_were(store: PendingQueueStore) -> None:
    stored = store.enqueue_change(record(status=S.APPROVED, base={"a": 1}, related_models=["x/m"]))
    assert stored.change_id == 1
    assert store.get_change(1) == stored
    assert repr(stored.payload) == repr(record().payload)
    assert stored.status is S.APPROVED
    assert store.get_change(2) is None
    assert store.get_change(10**30) is None


def test_records_go_in_and_out_as_copies(store: PendingQueueStore) -> None:
    stored = store.enqueue_change(record())
    assert stored.payload is not None
    stored.payload["a"] = "changed"
    stored.__dict__["status"] = S.APPLIED
    assert store.get_change(1) == record(change_id=1, requested_at=stored.requested_at, updated_at=stored.updated_at)


def test_a_purged_id_is_never_given_again(store: PendingQueueStore) -> None:
    store.enqueue_change(record())
    assert [change.change_id for change in store.purge_changes()] == [1]
    assert store.enqueue_change(record()).change_id == 2


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (PendingQueueFilter(), [1, 2, 3]),
        (PendingQueueFilter(statuses={S.APPROVED}), [2]),
        (PendingQueueFilter(categories={Category.clip, Category.lora}), [1, 2]),
        (PendingQueueFilter(model_name="ÄPF"), [1]),
        (PendingQueueFilter(model_name="%"), [3]),
        (PendingQueueFilter(model_name="_"), [2]),
        (PendingQueueFilter(requested_by={"2", "3"}), [3]),
        (PendingQueueFilter(statuses={S.APPROVED, S.PENDING}, requested_by={"2"}), [3]),
        (PendingQueueFilter(statuses=set()), []),
        (PendingQueueFilter(categories=set()), []),
        (PendingQueueFilter(requested_by=set()), []),
        (PendingQueueFilter(batch_id=1), []),
        (PendingQueueFilter(batch_id=2**80), []),
    ],
)
def test_filters_hold_together(store: PendingQueueStore, wanted: PendingQueueFilter, ids: list[int]) -> None:
    store.enqueue_change(record("großer äpfel"))
    store.enqueue_change(record("b_c", status=S.APPROVED, category=Category.lora))
    store.enqueue_change(record("100%", requested_by="2", category=Category.ti))
    found, total = store.list_changes(queue_filter=wanted)
    assert [change.change_id for change in found] == ids
    assert total == len(ids)


NAMES = [
    "ABC",
    "abc",
    "a%c",
    "a_c",
    "a/c",
    "\N{KELVIN SIGN}elvin",
    "kelvin",
    "\u0130stanbul",
    "\u00c4rger",
    "\u00c4 b",
    "last",
]


@pytest.mark.parametrize("text", ["b", "B", "%", "_", "/", "K", "\N{KELVIN SIGN}", "i", "\u0130", "\u00e4R", "\u00c4"])
def test_a_part_of_a_name_is_found_in_upper_and_lower_case_of_every_script(store: PendingQueueStore, text: str) -> None:
    for name in NAMES:
        store.enqueue_change(record(name))
    hits, total = store.list_changes(queue_filter=PendingQueueFilter(model_name=text))
    assert [change.model_name for change in hits] == [name for name in NAMES if text.lower() in name.lower()]
    assert total == len(hits)


def test_pages_are_cut_from_the_hits_and_the_total_is_not(store: PendingQueueStore) -> None:
    for number in range(5):
        store.enqueue_change(record(f"m{number}"))
    page, total = store.list_changes(offset=1, limit=2)
    assert ([change.change_id for change in page], total) == ([2, 3], 5)
    assert store.list_changes(limit=0) == ([], 5)
    assert len(store.list_changes(limit=10**30)[0]) == 5
    assert store.list_changes(offset=10**30) == ([], 5)
    with pytest.raises(RequestError, match="offset is -1; give 0 or more"):
        store.list_changes(offset=-1)
    with pytest.raises(RequestError, match="limit is -1; give 0 or more"):
        store.list_changes(limit=-1)


def test_many_are_saved_in_one_write_or_none(store: PendingQueueStore) -> None:
    first = store.enqueue_change(record())
    changed = first.model_copy(update={"notes": "seen"})
    assert store.save_many([changed]) == [changed]
    assert store.get_change(1) == changed
    with pytest.raises(ChangeNotFoundError):
        store.save_many([first, first.model_copy(update={"change_id": 9})])
    assert store.get_change(1) == changed


def test_the_open_batch_is_made_once_and_numbers_are_not_given_twice(store: PendingQueueStore) -> None:
    assert store.get_current_pending_batch_id() is None
    assert store.get_or_create_pending_batch_id() == store.get_or_create_pending_batch_id() == 1
    assert store.get_current_pending_batch_id() == 1
    assert [store.next_batch_id(), store.next_batch_id()] == [2, 3]
    store.enqueue_change(record(status=S.APPROVED, batch_id=1))
    assert store.has_approved_changes_in_batch(1)
    assert not store.has_approved_changes_in_batch(2)
    assert [change.change_id for change in store.get_approved_changes_in_batch(1)] == [1]


def test_a_reservation_belongs_to_its_token(store: PendingQueueStore) -> None:
    store.enqueue_change(record(status=S.APPROVED))
    reserved = store.reserve_for_apply(change_id=1, reservation_id="mine")
    assert (reserved.status, reserved.applied_job_id) == (S.APPLYING, "mine")
    assert store.reserve_for_apply(change_id=1, reservation_id="mine") == reserved
    with pytest.raises(ChangeStateError, match="another job"):
        store.reserve_for_apply(change_id=1, reservation_id="theirs")
    store.clear_reservation_if_matches(change_id=1, reservation_id="theirs")
    store.clear_reservation_if_matches(change_id=9, reservation_id="mine")
    assert store.get_applying_records() == [reserved]
    assert store.purge_changes() == []
    store.clear_reservation_if_matches(change_id=1, reservation_id="mine")
    assert store.get_applying_records() == []
    with pytest.raises(ValueError, match="no change has the id 9"):
        store.reserve_for_apply(change_id=9, reservation_id="mine")


def test_a_reservation_can_be_reverted_whoever_holds_it(store: PendingQueueStore) -> None:
    store.enqueue_change(record(status=S.APPROVED))
    store.reserve_for_apply(change_id=1, reservation_id="mine")
    reverted = store.revert_applying_to_approved(1)
    assert (reverted.status, reverted.applied_job_id) == (S.APPROVED, None)
    with pytest.raises(ValueError, match="not in APPLYING state"):
        store.revert_applying_to_approved(1)


@pytest.mark.parametrize("category", ["smell", "", "~", "Clip", "clip ", "clip2"])
def test_an_unknown_category_is_kept_and_reported_but_not_listed(category: str, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.enqueue_change(record())
        store.enqueue_change(record())
        with store._database.writing() as connection:
            connection.execute(text(f"UPDATE changes SET category = '{category}' WHERE change_id = 1"))
    with open_store(tmp_path) as store:
        assert store.unknown_changes() == [(1, category)]
        assert [change.change_id for change in store.list_changes()[0]] == [2]
        assert [change.change_id for change in store.purge_changes()] == [2]
        assert store.unknown_changes() == [(1, category)]
        with pytest.raises(StoreError, match=f"change 1 cannot be read: category is '{category}'; it is kept"):
            store.get_change(1)


def test_the_folder_and_the_file_belong_to_the_group_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with PendingQueueStore(root_path=tmp_path / "a" / "state") as store:
            store.enqueue_change(record())
            files = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "a" / "state").iterdir()}
    finally:
        os.umask(before)
    assert files == {"queue.db": 0o660, "queue.db-wal": 0o660, "queue.db-shm": 0o660}
    assert (tmp_path / "a" / "state").stat().st_mode & 0o7777 == 0o2770


def test_the_store_flushes_every_write_and_keeps_references(in_file: PendingQueueStore) -> None:
    with in_file._database.reading() as connection:
        settings = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be looked at" * 40, b"\0" * 4096])
def test_a_damaged_file_is_named_and_never_overwritten(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "queue.db"
    file.write_bytes(content)
    with pytest.raises(StoreError, match=str(file)) as refusal:
        PendingQueueStore(root_path=tmp_path)
    assert "\n" not in str(refusal.value)
    assert file.read_bytes() == content


def test_a_truncated_file_is_an_error_and_no_empty_queue(tmp_path: Path) -> None:
    with PendingQueueStore(root_path=tmp_path) as store:
        for number in range(50):
            store.enqueue_change(record(f"m{number}"))
    file = tmp_path / "queue.db"
    cut = file.read_bytes()[: file.stat().st_size // 2]
    file.write_bytes(cut)
    with pytest.raises(StoreError, match="damaged"):
        PendingQueueStore(root_path=tmp_path)
    assert file.read_bytes() == cut


def test_a_locked_store_is_busy_and_nothing_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with PendingQueueStore(root_path=tmp_path) as store, closing(sqlite3.connect(tmp_path / "queue.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError, match=r"queue\.db is locked by another process; try again"):
            store.enqueue_change(record())
        other.rollback()
        assert store.enqueue_change(record()).change_id == 1


def fill(store: PendingQueueStore) -> None:
    with store._database.writing() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        for number in range(200):
            connection.execute(schema.leftovers.insert().values(content="x" * 5000, problem=str(number)))


def test_a_full_disk_is_told_and_the_write_undone(in_file: PendingQueueStore) -> None:
    with pytest.raises(StoreBusyError, match=r"the disk is full"):
        fill(in_file)
    with in_file.reading() as queue:
        assert queue.leftovers() == []


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StateDirectoryError, match=str(tmp_path / "file")):
        PendingQueueStore(root_path=tmp_path / "file" / "state")


@pytest.mark.parametrize("url", ["nonsense", "nosuch://x", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match=r"^queue url: "):
        PendingQueueStore(url=url)


def test_a_store_needs_a_place() -> None:
    with pytest.raises(StoreError, match=r"needs a folder or a URL"):
        PendingQueueStore()


def test_a_url_and_a_folder_open_the_same_store(tmp_path: Path) -> None:
    with PendingQueueStore(url=f"sqlite:///{tmp_path}/queue.db") as by_url:
        by_url.enqueue_change(record())
    with PendingQueueStore(root_path=tmp_path) as by_folder:
        assert by_folder.list_changes()[1] == 1


def test_two_first_openers_share_one_store(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    ids: list[int] = []

    def open_and_submit() -> None:
        barrier.wait()
        with open_store(tmp_path) as store:
            ids.extend(store.enqueue_change(record()).change_id for _ in range(5))

    threads = [threading.Thread(target=open_and_submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == list(range(1, 41))
    assert [file.name for file in tmp_path.iterdir()] == ([] if ON_POSTGRESQL else ["queue.db"])


def test_a_closed_store_leaves_no_descriptor(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    for _ in range(3):
        with PendingQueueStore(root_path=tmp_path) as store:
            store.enqueue_change(record())
    assert descriptors() == before


def test_the_models_do_not_load_the_database_library() -> None:
    code = (
        "import refsync.pending_queue.models, refsync.pending_queue.service, sys; sys.exit('sqlalchemy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_store_in_a_file_loads_nothing_of_a_server(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from refsync.pending_queue.store import PendingQueueStore;"
        "PendingQueueStore(root_path=Path(sys.argv[1])).close();"
        "sys.exit(any(name.startswith('psycopg') or 'postgresql' in name for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path], check=False).returncode == 0


def test_a_missing_driver_is_told_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    told = r"^postgresql://there/queue: its database driver is not installed .*; install it: .* install 'psycopg"
    with pytest.raises(StoreError, match=told):
        PendingQueueStore(url="postgresql://there/queue")


def test_what_else_cannot_be_imported_is_not_taken_for_the_driver(tmp_path: Path) -> None:
    with open_store(tmp_path) as store, pytest.raises(ModuleNotFoundError, match="no_such_module"), store.writing():
        import no_such_module  # type: ignore[import-not-found]  # noqa: F401
