"""What work may cost at most, in what can be counted: lower a number where you have lowered the cost.

Each is what it is today, or a little more, so that it cannot creep up unseen; the fewer, the nearer to the floor of the
benchmark.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from json.decoder import JSONDecoder
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import Connection, Engine, event

from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.categories import CategoryName
from refsync.clone import kept_settings, work_files
from refsync.clone.process import run_git
from refsync.clone.repository import Repository
from refsync.documents import json_document
from refsync.documents.json_document import read_records
from refsync.documents.json_text import scan_unproven
from refsync.pending_queue.models import AuditOperation, PendingChangeStatus, PendingQueueFilter, Submission
from refsync.pending_queue.service import PendingQueueService
from refsync.pending_queue.store import PendingQueueStore, transaction
from refsync.pending_queue.store.change_rows import change_of
from refsync.regular_files import read_regular
from refsync.use_cases.changes import list_changes
from tests.support.costs import Costs, counted
from tests.support.published import PublishedReference
from tests.support.reference import Reference
from tests.support.text_files import DOCUMENT, LISTED, ROWS, TEXT, text_files

MODELS = {f"model {number}": {"version": "1", "nsfw": False} for number in range(100)}
FILES = {"clip.json": MODELS}
SIZE = 4_000
"""Of the category file in characters, at least; nothing else that is decoded is so long."""


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[Reference]:
    found = Reference(tmp_path / "reference", FILES)
    found.sync()
    found.sync()
    yield found
    found.close()


@pytest.fixture
def published(tmp_path: Path) -> Iterator[PublishedReference]:
    found = PublishedReference(tmp_path / "published", "push", FILES)
    found.sync()
    found.sync()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _no_file_is_young(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git's settings are kept however short a time ago a test has written them."""
    monkeypatch.setattr(kept_settings, "is_young", lambda identity: False)


def cost_of_pass(reference: Reference, folder: Path) -> Costs:
    def ask_settings() -> None:
        with Repository(reference.clone.path, "main") as clone:
            clone.settings()

    with counted(folder, document_size=SIZE, before=ask_settings) as costs:
        reference.sync()
    return costs


@contextmanager
def decoded_texts() -> Iterator[Counter[str]]:
    """How often each JSON text is decoded as a whole."""
    texts = Counter[str]()
    decode = JSONDecoder.decode

    def counted_scan(text: str, *more: Any) -> Any:
        texts[text] += 1
        return scan_unproven(text, *more)

    def counted_decode(decoder: JSONDecoder, text: str, *more: Any) -> Any:
        texts[text] += 1
        return decode(decoder, text, *more)

    with (
        mock.patch.object(JSONDecoder, "decode", counted_decode),
        mock.patch.object(json_document, "scan_unproven", counted_scan),
    ):
        yield texts


def approve(reference: Reference, count: int) -> None:
    ids = [reference.submit(name, {**MODELS[name], "version": "2"}) for name in list(MODELS)[:count]]
    reference.approve(*ids)


def test_a_landing(reference: Reference, tmp_path: Path) -> None:
    approve(reference, 1)
    costs = cost_of_pass(reference, tmp_path / "costs")

    assert reference.clone.records("clip.json")["model 0"]["version"] == "2"
    # what was there is known from the pass before; its file is read to see that nobody has edited it meanwhile;
    # of what is written only what differs is decoded
    assert not costs.exceed(git=1, transactions=5, writing=3, statements=21, decodings=0, hashings=3, flushes=23)


def test_the_first_landing_of_a_process(reference: Reference, tmp_path: Path) -> None:
    approve(reference, 1)
    reference.application = reference.open()
    costs = cost_of_pass(reference, tmp_path / "costs")

    assert reference.clone.records("clip.json")["model 0"]["version"] == "2"
    assert not costs.exceed(git=1, transactions=5, writing=3, statements=21, decodings=1, hashings=3, flushes=23)


def test_a_landing_of_many_updates_costs_no_more(reference: Reference, tmp_path: Path) -> None:
    approve(reference, 50)
    costs = cost_of_pass(reference, tmp_path / "costs")

    assert reference.clone.records("clip.json")["model 49"]["version"] == "2"
    assert not costs.exceed(git=1, transactions=5, writing=3, statements=21, decodings=0, flushes=23)


def test_a_landing_in_a_category_of_many_files_reads_the_touched_one(tmp_path: Path) -> None:
    files: dict[str, Any] = {f"models/{number}.json": {"version": "1"} for number in range(2_000)}
    many = Reference(tmp_path / "many", files, more='[[category]]\nname = "many"\nfiles = "models/*.json"\n')
    many.sync()
    many.update("7", {"version": "2"}, category=CategoryName("many"))
    ahead = time.time_ns() + 10**10
    os.utime(many.clone.path / ".git/index", ns=(ahead, ahead))  # as if it had been written long behind the files
    with mock.patch.object(work_files, "read_regular", wraps=read_regular) as read:
        costs = cost_of_pass(many, tmp_path / "costs")
    many.close()

    assert b'"2"' in many.clone.read("models/7.json")
    assert read.call_count == 0
    assert not costs.exceed(git=1, transactions=5, writing=3, statements=21, flushes=25)


def test_a_landing_reads_its_changes_whole_once_and_keeps_their_moves_by_statements_of_all(
    reference: Reference,
) -> None:
    approve(reference, 50)
    with mock.patch.object(transaction, "change_of", wraps=change_of) as read, asked_of_sqlite() as statements:
        reference.sync()

    assert read.call_count == 50  # for the plan; who moves them asks for less
    assert [each for each, _ in statements if each.startswith("INSERT INTO events")] == [mock.ANY] * 2
    assert not [each for each, parameters in statements if isinstance(parameters, list)]


def test_a_landing_in_a_table(tmp_path: Path) -> None:
    rows = [{**row, "name": f"{row['name']}-{number}"} for row in ROWS for number in range(10)]
    text = Reference(tmp_path / "text", text_files(*rows), repository=LISTED)
    text.sync()
    name, record = next(iter(text.clone.records(DOCUMENT).items()))
    text.update(name, {**record, "description": "New"}, category=TEXT)
    costs = cost_of_pass(text, tmp_path / "costs")
    text.close()

    assert text.clone.records(DOCUMENT)[name]["description"] == "New"
    assert not costs.exceed(decodings=0)  # only what differs


@pytest.mark.parametrize("mode", ["push", "branch", "pull_request"])
def test_a_file_is_decoded_once_and_then_only_what_differs_whichever_way_it_goes_out(mode: str, tmp_path: Path) -> None:
    published = PublishedReference(tmp_path / mode, mode, FILES)
    published.sync()
    published.application = published.open()
    approve(published, 1)
    with decoded_texts() as texts:
        published.sync()
        published.sync()
    published.close()

    assert [count for text, count in texts.items() if len(text) >= SIZE] == [1]


def test_what_a_person_commits_meanwhile_is_decoded_once_too(reference: Reference) -> None:
    approve(reference, 1)
    reference.clone.commit({"clip.json": {**MODELS, "model 9": {"version": "9"}}})
    with decoded_texts() as texts:
        reference.sync()

    assert reference.clone.records("clip.json")["model 0"]["version"] == "2"
    assert [count for text, count in texts.items() if len(text) >= SIZE] == [1]


def test_a_pass_with_nothing_to_do(reference: Reference, tmp_path: Path) -> None:
    costs = cost_of_pass(reference, tmp_path / "costs")
    assert not costs.exceed(git=0, transactions=1, writing=0, statements=3, decodings=0, flushes=0)


def test_a_landing_by_push(published: PublishedReference, tmp_path: Path) -> None:
    approve(published, 1)
    costs = cost_of_pass(published, tmp_path / "costs")
    assert published.in_step()
    assert not costs.exceed(git=13, transactions=5, writing=3, statements=21, decodings=1, flushes=25)


def test_a_pass_of_push_with_nothing_to_do(published: PublishedReference, tmp_path: Path) -> None:
    costs = cost_of_pass(published, tmp_path / "costs")
    assert not costs.exceed(git=2, transactions=1, writing=0, statements=3, decodings=0, flushes=0)


def test_a_page(reference: Reference, tmp_path: Path) -> None:
    for name in list(MODELS)[:60]:
        reference.submit(name, {**MODELS[name], "version": "2"})
    with counted(tmp_path / "costs") as costs:
        assert len(list_changes(reference.application, offset=0).items) == 50
    assert not costs.exceed(git=0, transactions=1, writing=0, statements=5)
    with counted(tmp_path / "costs of the newest") as costs:
        assert list_changes(reference.application).items[-1].change_id == 60
    assert not costs.exceed(git=0, transactions=2, writing=0, statements=8)


def test_a_fold_of_a_long_history_takes_three_processes_however_long_it_is(tmp_path: Path) -> None:
    long = Reference(tmp_path / "long", FILES)
    for number in range(40):
        long.clone.commit({"clip.json": {**MODELS, "model 50": {"version": f"by hand {number}"}}})
    with counted(tmp_path / "costs", document_size=SIZE) as costs:
        long.sync()
    long.close()
    assert sorted(costs.git) == ["cat-file", "config", "log"]
    assert not costs.exceed(decodings=2)  # the first version, to see that it is sound, and where its members stand


def test_an_import_takes_no_more_statements_for_more_changes(tmp_path: Path) -> None:
    record = {"operation": "create", "payload": {"nsfw": False}, "requested_by": "1", "requested_username": "Ada"}
    header = json.dumps({"refsync_queue": 1, "last_change_id": 200, "last_batch_id": 0})
    changes = [{**record, "change_id": at, "category": "clip", "model_name": f"m{at}"} for at in range(1, 201)]
    with PendingQueueStore(root_path=tmp_path / "queue") as store:
        with counted(tmp_path / "costs") as costs:
            PendingQueueService(store=store).import_changes(
                [header, *(json.dumps({"change": each}) for each in changes)]
            )
        assert store.list_changes()[1] == 200
    assert not costs.exceed(transactions=1, writing=1, statements=8)


PENDING = {PendingChangeStatus.PENDING}


@pytest.mark.parametrize(
    ("wanted", "offset"),
    [
        (None, 0),
        (None, 9_000),
        (PendingQueueFilter(statuses=PENDING), 9_000),
        (PendingQueueFilter(statuses=PENDING, categories={Category.clip}), 0),
        (PendingQueueFilter(categories={Category.clip}), 0),
        (PendingQueueFilter(batch_id=1), 0),
        (PendingQueueFilter(requested_by={"1"}), 9_000),
        (PendingQueueFilter(reverts=1), 0),
    ],
)
def test_a_page_and_the_number_of_its_hits_come_from_an_index(
    wanted: PendingQueueFilter | None, offset: int, tmp_path: Path
) -> None:
    with PendingQueueStore(root_path=tmp_path) as store, asked_of_sqlite() as statements:
        store.list_changes(queue_filter=wanted, offset=offset, limit=50)
    assert looked_through(tmp_path / "queue.db", statements) == []


def test_how_many_changes_are_open_comes_from_an_index(tmp_path: Path) -> None:
    with PendingQueueStore(root_path=tmp_path) as store, asked_of_sqlite() as statements, store.reading() as queue:
        assert queue.count_open("system", "1") == (0, 0)
    assert looked_through(tmp_path / "queue.db", statements) == []


@pytest.mark.parametrize("last", ["changes_by_status", "changes_by_category", "changes_by_model"])
def test_which_index_was_made_last_decides_nothing(last: str, tmp_path: Path) -> None:
    asked = Submission(Category.clip, "model 0", AuditOperation.CREATE, {"name": "model 0"}, "ada", "Ada")
    with PendingQueueStore(root_path=tmp_path) as store:
        PendingQueueService(store=store).enqueue_many([asked])
    file = tmp_path / "queue.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        [made] = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (last,)).fetchone()
        connection.execute(f"DROP INDEX {last}")
        connection.execute(made)
    wanted = {"statuses": PENDING, "categories": {Category.clip}}
    with PendingQueueStore(root_path=tmp_path) as store, asked_of_sqlite() as statements, store.reading() as queue:
        store.list_changes(limit=50)
        queue.changes(PendingQueueFilter(batch_id=1, **wanted))
        queue.changes(PendingQueueFilter(reverts=1, **wanted))
        queue.categories_of_batch(1)
        queue.other_proposals([1])
    broad = ("(status=?)", "(category=?)", "(category=? AND status=?)")
    assert not [plan for plan in plans(file, statements) if plan.endswith(broad)]


def looked_through(file: Path, statements: Sequence[tuple[str, Any]]) -> list[str]:
    """The steps of these statements that look at more changes than few, and at more of them than an index holds."""
    few = ("COVERING INDEX", "(change_id=?)", "(batch_id=?)", "(reverts=?)")
    return [step for step in plans(file, statements) if not any(each in step for each in few)]


def plans(file: Path, statements: Sequence[tuple[str, Any]]) -> list[str]:
    """How these statements look for changes."""
    with closing(sqlite3.connect(file)) as connection:
        found = [
            step
            for statement, parameters in statements
            if "FROM changes" in statement
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            if "changes" in step
        ]
    assert found
    return found


@contextmanager
def asked_of_sqlite() -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed, each with its parameters."""
    found: list[tuple[str, Any]] = []

    def execute(_connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        found.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", execute)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", execute)


def test_the_counts_see_what_is_done(reference: Reference, tmp_path: Path) -> None:
    with counted(tmp_path / "costs", document_size=SIZE) as costs, (tmp_path / "file").open("w") as file:
        os.fsync(file.fileno())
        read_records(b"{}")
        read_records(reference.clone.read("clip.json"))
        run_git(reference.clone.path, "-c", "core.fsync=all", "hash-object", "-w", "--stdin", stdin=b"text")
        reference.submit("model 0", {"version": "2"})

    assert (costs.decodings, costs.writing) == (2, 1)  # the other decoding is the submission's look at the reference
    assert costs.exceed(flushes=1, transactions=1)
    assert costs.git.count("hash-object") == 1
    assert costs.flushes == 2


def test_a_git_that_has_ended_is_not_slept_for(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"slept for {seconds} s"))
    for _ in range(20):
        assert run_git(reference.clone.path, "rev-parse", "HEAD", timeout_seconds=60).code == 0
