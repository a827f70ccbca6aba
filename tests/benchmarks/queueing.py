"""The queue: submitting, importing, and looking through it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from refsync.categories import MODEL_REFERENCE_CATEGORY
from refsync.pending_queue.models import AuditOperation, PendingChangeStatus, PendingQueueFilter, Submission
from refsync.pending_queue.service import PendingQueueService
from refsync.pending_queue.store import PendingQueueStore
from tests.benchmarks import floors
from tests.benchmarks.ground import IMAGE, Bench, generated_records
from tests.benchmarks.measuring import Figure, Times

_PAGE = 50
_CLIP = MODEL_REFERENCE_CATEGORY.clip


class _Queue:
    """A queue with so many changes."""

    def __init__(self, folder: Path, size: int) -> None:
        self.store = PendingQueueStore(root_path=folder / "state")
        self.service = PendingQueueService(store=self.store)
        self.file = floors.store_file(folder / "state")
        self._records = list(generated_records(100).values())
        self._numbers = count(size)
        self.service.import_changes(exported(self._records, size))

    def submission(self) -> Submission:
        """A change of a model of its own."""
        number = next(self._numbers)
        record = self._records[number % 100]
        return Submission(IMAGE, f"New {number}", AuditOperation.CREATE, record, "1", "Ada", base_known=True)

    def submit(self, asked: Submission) -> int:
        """Propose it; its id."""
        return self.service.enqueue_many([asked])[0].change_id


def exported(records: list[dict[str, Any]], size: int) -> Iterator[str]:
    """So many changes as ``queue export`` gives them; one in ten is of another category."""
    yield json.dumps({"refsync_queue": 1, "last_change_id": size, "last_batch_id": 0})
    for number in range(1, size + 1):
        at = 1_700_000_000 + number
        change = {
            "change_id": number,
            "category": (_CLIP if number % 10 == 0 else IMAGE).value,
            "model_name": f"Model {number}",
            "operation": "create",
            "payload": records[number % len(records)],
            "requested_by": str(number % 20),
            "requested_username": f"User {number % 20}",
            "requested_at": at,
            "updated_at": at,
            "status": "pending",
            "base_known": True,
        }
        event = {"at": at, "from_status": None, "to_status": "pending", "by": str(number % 20), "username": "Ada"}
        yield json.dumps({"change": change, "history": [event], "batch": None})


def submit(bench: Bench) -> Iterator[Figure]:
    """One change, in a queue that grows."""
    for size in bench.sizes(1, 1_000, 10_000, 100_000):
        with bench.room() as room:
            times = _submit(bench, room, size)
        work, series = f"submit one change, {size:,} queued", "queue: submit one change"
        yield Figure("submit", work, *times, "one transaction of the same rows", 1.5, series=series, size=size)


def _submit(bench: Bench, room: Path, size: int) -> tuple[Times, Times]:
    queue, floor = _Queue(room, size), floors.Store(room / "floor.db")
    asked: list[Submission] = []
    rows: list[floors.Rows] = []

    def ask() -> None:
        asked[:] = [queue.submission()]

    def write() -> None:
        rows[:] = [floors.rows_of(queue.file, [queue.submit(queue.submission())])]

    times = bench.beside(
        lambda: queue.submit(asked[0]),
        lambda: floor.insert(rows[0]),
        before=ask,
        before_floor=write,
        rounds=60,
    )
    queue.store.close()
    floor.close()
    return times


def imports(bench: Bench) -> Iterator[Figure]:
    """A whole queue at once."""
    records = list(generated_records(100).values())
    for size in (100, 1_000) if bench.quick else (10_000, 90_000):
        with bench.room() as room:
            times = _import(bench, room, list(exported(records, size)))
        work, series = f"import {size:,} changes", "queue: import"
        yield Figure("import", work, *times, "one bulk insert of the same rows", 2.0, series=series, size=size)


def _import(bench: Bench, room: Path, lines: list[str]) -> tuple[Times, Times]:
    number = count()
    stores: list[PendingQueueStore] = []
    by_hand: list[floors.Store] = []
    rows: list[floors.Rows] = []

    def fresh() -> None:
        stores[:] = [PendingQueueStore(root_path=room / f"ours-{next(number)}")]

    def fresh_by_hand() -> None:
        rows[:] = rows or [floors.rows_of(room / "ours-0" / "queue.db")]
        by_hand[:] = [floors.Store(room / f"floor-{next(number)}.db")]

    return bench.beside(
        lambda: PendingQueueService(store=stores[0]).import_changes(lines),
        lambda: by_hand[0].insert(rows[0]),
        before=fresh,
        before_floor=fresh_by_hand,
        rounds=3,
        warm=False,
    )


def pages(bench: Bench) -> Iterator[Figure]:
    """Pages of a long queue."""
    size = 1_000 if bench.quick else 100_000
    last = size * 9 // 10
    of_clip = PendingQueueFilter(statuses={PendingChangeStatus.PENDING}, categories={_CLIP})
    with bench.room() as room:
        queue = _Queue(room, size)
        for name, hits, where, offset in (
            ("first", None, "1", 0),
            ("filtered", of_clip, "status = 'pending' AND category = 'clip'", 0),
            ("by name", PendingQueueFilter(model_name="l 77"), "lower(model_name) LIKE '%l 77%'", 0),
            (f"offset {last:,}", None, "1", last),
        ):
            times = _page(bench, queue, hits, where, offset)
            work = f"a page of {_PAGE} at {size:,}: {name}"
            yield Figure("page", work, *times, "the same SQL by hand, rows decoded", 1.5)
        queue.store.close()


def page_growth(bench: Bench) -> Iterator[Figure]:
    """The first page of a queue that grows."""
    for size in bench.sizes(1, 1_000, 10_000, 100_000):
        with bench.room() as room:
            queue = _Queue(room, size)
            times = _page(bench, queue)
            queue.store.close()
        work = f"the first page, {size:,} queued"
        yield Figure("growth-queue", work, *times, "the same SQL by hand", series="queue: the first page", size=size)


def _page(
    bench: Bench, queue: _Queue, hits: PendingQueueFilter | None = None, where: str = "1", offset: int = 0
) -> tuple[Times, Times]:
    return bench.beside(
        lambda: queue.service.list_changes(queue_filter=hits, offset=offset, limit=_PAGE),
        _by_hand(queue.file, where, offset),
        rounds=10,
    )


def _by_hand(file: Path, where: str, offset: int) -> Callable[[], object]:
    connection = floors.connect(file)
    connection.row_factory = sqlite3.Row

    def page() -> object:
        query = f"SELECT * FROM changes WHERE {where} ORDER BY change_id LIMIT ? OFFSET ?"
        found = [_decoded(row) for row in connection.execute(query, (_PAGE, offset))]
        [total] = connection.execute(f"SELECT count(*) FROM changes WHERE {where}").fetchone()
        return found, total

    return page


def _decoded(row: sqlite3.Row) -> dict[str, Any]:
    plain = dict(row)
    for name in ("payload", "base", "request_metadata", "related_models", "unknown_fields"):
        plain[name] = None if plain[name] is None else json.loads(plain[name])
    return plain
