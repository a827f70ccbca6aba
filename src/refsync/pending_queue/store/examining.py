"""Looking through a store: whether each of its rows makes sense, and its counters are not behind them."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from refsync.categories import Catalogue
from refsync.errors import StoreError
from refsync.pending_queue.store import schema
from refsync.pending_queue.store.change_rows import change_of
from refsync.pending_queue.store.transaction import QueueTransaction

_ROWS_AT_ONCE = 1000


def examine(connection: Connection, catalogue: Catalogue) -> tuple[int, int]:
    """How many changes and batches there are, each of which was looked at.

    Raises:
        StoreError: a row makes no sense, or a number that is taken would be given again.
    """
    queue = QueueTransaction(connection, catalogue)
    changes, batches = 0, len(queue.batches())
    last = 0
    while rows := queue.rows_after(last, _ROWS_AT_ONCE):
        for row in rows:
            if row["category"] in catalogue.plain_names:  # others are kept, for a refsync that knows them
                change_of(row, catalogue)
        changes, last = changes + len(rows), rows[-1]["change_id"]
    _check_counters(connection, queue)
    return changes, batches


def _check_counters(connection: Connection, queue: QueueTransaction) -> None:
    numbers = (schema.changes.c.change_id, schema.batches.c.number)
    for what, given, number in zip(("change", "batch"), queue.last_ids(), numbers, strict=True):
        taken = connection.execute(select(func.coalesce(func.max(number), 0))).scalar_one()
        if taken > given:
            raise StoreError(
                f"the counter of {what} numbers stands at {given}, and {what} {taken} is there already: "
                "take the store back from a backup"
            )
