"""The batches as one transaction sees them, and the numbers that are given to batches and changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, RowMapping, delete, insert, select

from refsync.pending_queue.models import Batch, BatchState
from refsync.pending_queue.store import schema, statements
from refsync.pending_queue.store.filters import fitting
from refsync.pending_queue.store.rows import understood
from refsync.pending_queue.store.statements import chunks


class BatchTransaction:
    """Batches go in and come out; each that was read is kept as it is in this transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._batches: dict[int, Batch] = {}

    def batch(self, number: int) -> Batch | None:
        """One batch."""
        wanted = fitting(number)
        if wanted not in self._batches:
            row = self._connection.execute(statements.BATCH, {"wanted": wanted}).mappings().first()
            if row is None:
                return None
            self._batches[wanted] = _batch(row)
        return self._batches[wanted]

    def batches(self, states: Collection[BatchState] | None = None) -> list[Batch]:
        """The batches in these states, or all, by ascending number."""
        of_states = {} if states is None else {"states": sorted(states)}
        rows = self._connection.execute(statements.BATCHES_IN if of_states else statements.BATCHES, of_states)
        found = {row["number"]: _batch(row) for row in rows.mappings()}
        self._batches |= found
        return list(found.values())

    def batches_without_merger(self, repository: str) -> list[Batch]:
        """The landed batches of a repository of which only the forge knows who merged them."""
        column = schema.batches.c
        query = select(schema.batches).where(
            column.state == BatchState.landed,
            column.repository == repository,
            column.proposal["merger_is_due"].as_boolean().is_(True),
        )
        return [_batch(row) for row in self._connection.execute(query).mappings()]

    def batches_landed_in(self, commits: Iterable[str]) -> dict[str, int]:
        """For each of the commits by which a batch landed, its number."""
        column = schema.batches.c
        found: dict[str, int] = {}
        for chunk in chunks(commits):
            query = select(column.commit, column.number).where(
                column.state == BatchState.landed, column.commit.in_(chunk)
            )
            found |= {row.commit: row.number for row in self._connection.execute(query)}
        return found

    def open_batch(self) -> Batch | None:
        """The batch that accepts approvals."""
        return next(iter(self.batches({BatchState.open})), None)

    def add_batch(self, batch: Batch) -> Batch:
        """Store a new batch under the next free number, which replaces the one it has."""
        numbered = batch.model_copy(update={"number": self._advance("batch", 1)})
        self._connection.execute(insert(schema.batches), numbered.model_dump(mode="json"))
        return numbered

    def save_batch(self, batch: Batch) -> Batch:
        """Replace a stored batch."""
        values = batch.model_dump(mode="json", exclude={"number"})
        self._connection.execute(statements.SAVE_BATCH, {"wanted": batch.number, **values})
        self._batches[batch.number] = batch
        return batch

    def remove_batch(self, number: int) -> None:
        """Remove a batch that no change names; its number stays taken."""
        self._batches.pop(number, None)
        self._connection.execute(delete(schema.batches).where(schema.batches.c.number == number))

    def add_batch_as_is(self, batch: Batch) -> None:
        """Store a batch under the number it has."""
        self._connection.execute(insert(schema.batches).values(batch.model_dump(mode="json")))

    def is_empty(self) -> bool:
        """Whether nothing was ever stored here."""
        return not any(self._connection.execute(select(schema.counters.c.value)).scalars())

    def last_ids(self) -> tuple[int, int]:
        """The last change id and the last batch number given."""
        values = {row.name: row.value for row in self._connection.execute(select(schema.counters))}
        return values["change"], values["batch"]

    def raise_last_ids(self, *, change: int, batch: int) -> None:
        """Let the counters go on after these numbers, if they are not beyond them."""
        for name, value, present in zip(("change", "batch"), (change, batch), self.last_ids(), strict=True):
            self._advance(name, max(0, value - present))

    def _advance(self, counter: str, by: int) -> int:
        self._connection.execute(statements.ADVANCE, {"counter": counter, "by": by})
        value: int = self._connection.execute(statements.LAST, {"counter": counter}).scalar_one()
        return value


def _batch(row: RowMapping) -> Batch:
    return understood(Batch, row, f"batch {row['number']}")
