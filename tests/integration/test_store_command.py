"""``refsync store``: looking through a queue's database, and moving the queue to another one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from refsync.errors import StoreError
from refsync.pending_queue.service import PendingQueueService
from refsync.pending_queue.store import PendingQueueStore
from tests.support.command_line import Desk
from tests.support.postgresql import Server
from tests.support.queue import WAITS, approved, in_image, in_pass, review, submit


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.at(tmp_path)


@pytest.fixture(params=["a file", pytest.param("a server", marks=pytest.mark.slow)])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database that holds nothing."""
    if request.param == "a file":
        yield f"sqlite:///{tmp_path}/elsewhere.db"
        return
    server: Server = request.getfixturevalue("server")
    url = server.new_database()
    yield url
    server.drop(url)


def fill(store: PendingQueueStore) -> None:
    """Something of all that a queue may hold, numbers and texts as they were written."""
    service = PendingQueueService(store=store)
    payload = {
        "name": "m",
        "size": 1.50,
        "parameters": 2**70,
        "text": "\u00fc\u2028\U0001f916 \0",
        "tags": [True, None],
    }
    submit(service, "wants review", payload=payload, notes="two\nlines")
    approved(service, 3)
    service.seal_open_batch(in_image)
    in_pass(service).hold_batch(1, WAITS)
    approved(service, 2)
    review(service, reject=[submit(service, "not ours").change_id])
    with store.writing() as queue:
        queue.add_leftover({"odd": [1.0, "\u00e9"]}, "no change to us")
        queue.note_repository("image", {"last_error": "it's \u00fc", "last_pass_at": 1795718981.123456})
        queue.remove([2])


def everything(store: PendingQueueStore) -> list[Any]:
    with store.reading() as queue:
        changes = queue.rows_after(0, 1000)
        history = queue.history(range(100))
        return [changes, history, queue.batches(), queue.leftovers(), queue.repository_notes(), queue.last_ids()]


def test_a_queue_moves_whole_and_goes_on_counting(desk: Desk, elsewhere: str) -> None:
    with PendingQueueStore(root_path=desk.state) as store:
        fill(store)
        before = everything(store)
    moved = desk("store", "move", elsewhere, "--json").done.json
    assert moved["rows"]["changes"] == len(before[0])
    with PendingQueueStore(url=elsewhere) as store:
        assert everything(store) == before
        assert submit(PendingQueueService(store=store), "next").change_id == before[-1][0] + 1
        assert store.examine() == (len(before[0]) + 1, len(before[2]))


def test_a_queue_that_moved_there_and_back_is_what_it_was(desk: Desk, elsewhere: str, tmp_path: Path) -> None:
    with PendingQueueStore(root_path=desk.state) as store:
        fill(store)
        before = everything(store)
    desk("store", "move", elsewhere).done  # noqa: B018
    desk.configure(f'[queue]\nurl = "{elsewhere}"')
    desk("store", "move", f"sqlite:///{tmp_path}/back.db").done  # noqa: B018
    assert "was moved to another database" in desk("queue", "list").refusal
    with PendingQueueStore(url=f"sqlite:///{tmp_path}/back.db") as store:
        assert everything(store) == before


def test_whoever_still_has_the_old_store_open_writes_no_more_into_it(desk: Desk, elsewhere: str) -> None:
    with PendingQueueStore(root_path=desk.state) as open_already:
        service = PendingQueueService(store=open_already)
        submit(service, "before")
        told = desk("store", "move", elsewhere).done
        with pytest.raises(StoreError, match=r"was moved to another database; set `queue\.url`"):
            submit(service, "after")
    assert str(desk.config) in told.err
    for words in (["queue", "list"], ["store", "check"], ["store", "upgrade"], ["sync"]):
        assert "was moved to another database" in desk(*words).refusal


def test_a_queue_moves_into_no_other(desk: Desk, elsewhere: str) -> None:
    desk.add("create", "new", {"name": "new"})
    with PendingQueueStore(url=elsewhere) as other:
        submit(PendingQueueService(store=other), "theirs")
    assert "holds a queue already; name a database that holds none" in desk("store", "move", elsewhere).refusal
    assert "1 change" in desk("queue", "list").done.out


def test_a_queue_does_not_move_to_where_it_is(desk: Desk) -> None:
    desk.add("create", "new", {"name": "new"})
    assert "holds the queue already" in desk("store", "move", f"sqlite:///{desk.state}/queue.db").refusal


def test_a_queue_does_not_move_while_a_daemon_serves_it(desk: Desk, tmp_path: Path) -> None:
    desk.add("create", "new", {"name": "new"})
    with desk.served():
        assert "serves this state directory already" in desk("store", "move", f"sqlite:///{tmp_path}/x.db").refusal


def test_what_does_not_arrive_as_it_was_is_not_moved(
    desk: Desk, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from refsync.pending_queue.store import moving

    desk.add("create", "new", {"name": "new"})
    with_rows = moving._Content.with_rows

    def lossy(content: moving._Content, rows: list[Any]) -> moving._Content:
        return with_rows(content, rows if content.rows else rows[1:])

    changes_come = iter([with_rows, lossy])
    monkeypatch.setattr(moving._Content, "with_rows", lambda *given: next(changes_come, with_rows)(*given))
    assert "did not arrive as it was" in desk("store", "move", elsewhere).refusal
    assert "1 change" in desk("queue", "list").done.out
    with PendingQueueStore(url=elsewhere) as store:
        assert store.list_changes() == ([], 0)


def test_a_store_is_looked_through_row_by_row(desk: Desk) -> None:
    assert "there is no store there yet" in desk("store", "check").refusal
    desk.add("create", "new", {"name": "new"})
    assert "is whole: version " in desk("store", "check").done.out
    run_sql(desk.state / "queue.db", "UPDATE changes SET status = 'gone'")
    assert "change 1 cannot be read: status is 'gone'" in desk("store", "check").refusal


def test_a_counter_that_is_behind_is_found(desk: Desk) -> None:
    desk.add("create", "new", {"name": "new"})
    run_sql(desk.state / "queue.db", "UPDATE counters SET value = 0")
    assert "the counter of change numbers stands at 0, and change 1 is there already" in desk("store", "check").refusal


def run_sql(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)
