"""The queue as one transaction sees it: rows in, records out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, RowMapping, Select, delete, func, insert, select, update

from refsync.categories import Catalogue, CategoryName
from refsync.dumping import dump
from refsync.pending_queue.events import Event
from refsync.pending_queue.fields import as_row
from refsync.pending_queue.lifecycle import OPEN_STATUSES
from refsync.pending_queue.models import (
    ChangeEvent,
    Member,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueueFilter,
    RepositoryNote,
)
from refsync.pending_queue.store import filters, schema, statements
from refsync.pending_queue.store.batch_transaction import BatchTransaction
from refsync.pending_queue.store.change_rows import change_of, row_of
from refsync.pending_queue.store.endings import Endings, endings
from refsync.pending_queue.store.filters import MAX_INTEGER, fitting, looked_at
from refsync.pending_queue.store.leases import Leases
from refsync.pending_queue.store.link_checks import LinkChecks
from refsync.pending_queue.store.outbox import Outbox
from refsync.pending_queue.store.rows import as_stored, json_column, understood
from refsync.pending_queue.store.statements import chunks

_changes = schema.changes.c

ModelKey = tuple[CategoryName, str]
_Change = TypeVar("_Change", PendingChangeRecord, Member)


class QueueTransaction(BatchTransaction):
    """The queue as one transaction sees it. Records go in and come out as copies."""

    def __init__(self, connection: Connection, catalogue: Catalogue) -> None:
        super().__init__(connection)
        self._catalogue = catalogue
        self.events: list[Event] = []
        """What was done, in order."""
        self.tells_each = False
        """Whether somebody is told of each change that is moved."""
        self.links = LinkChecks(connection)
        """What hosts said of links."""
        self._holds_unknown: bool | None = None

    # changes

    def change(self, change_id: int) -> PendingChangeRecord | None:
        """One change.

        Raises:
            StoreError: it is stored, but of a category this refsync does not know.
        """
        row = self._row(change_id)
        return None if row is None else change_of(dict(row), self._catalogue)

    def changes(
        self,
        queue_filter: PendingQueueFilter | None = None,
        *,
        after: int = 0,
        offset: int = 0,
        limit: int | None = None,
    ) -> list[PendingChangeRecord]:
        """The hits with ids behind ``after``, ascending, cut to the page; those of unknown categories are left out."""
        if limit == 0:  # who counts
            return []
        behind = {"after": min(after, MAX_INTEGER)} if after else {}
        if offset == 0 and limit is None:
            return self._records(self._asked(statements.hits, queue_filter, **behind))
        part = {"offset": min(offset, MAX_INTEGER), "limit": MAX_INTEGER if limit is None else min(limit, MAX_INTEGER)}
        return self._records(self._asked(statements.page, queue_filter, **behind, **part))

    def count(self, queue_filter: PendingQueueFilter | None = None) -> int:
        """How many hits there are."""
        found: int = self._asked(statements.count, queue_filter).scalar_one()
        return found

    def count_open(self, provider: str, requested_by: str) -> tuple[int, int]:
        """How many changes are open, in all and of one person."""
        is_open = _changes.status.in_(sorted(OPEN_STATUSES))
        theirs = (_changes.requested_by == requested_by, _changes.requested_provider == provider)
        every = select(func.count()).select_from(schema.changes).where(is_open)
        in_all, by_person = (self._connection.execute(query).scalar_one() for query in (every, every.where(*theirs)))
        return in_all, by_person

    def unknown_changes(self) -> list[tuple[int, str]]:
        """Id and category of the changes whose category this refsync does not know."""
        query = filters.unknown(self._catalogue.plain_names).order_by(_changes.change_id)
        return [(row.change_id, row.category) for row in self._connection.execute(query)]

    def add(self, records: Iterable[PendingChangeRecord]) -> list[PendingChangeRecord]:
        """Store new changes under the next free ids, which replace the ids they have."""
        added = list(records)
        last = self._advance("change", len(added))
        numbered = [
            record.model_copy(update={"change_id": number})
            for number, record in enumerate(added, start=last - len(added) + 1)
        ]
        self.add_rows([row_of(record) for record in numbered])
        return numbered

    def save(self, records: Iterable[PendingChangeRecord]) -> None:
        """Replace stored changes."""
        for record in records:
            values = row_of(record)
            self._connection.execute(
                update(schema.changes).where(_changes.change_id == values.pop("change_id")).values(values)
            )

    def update(self, changes: Iterable[_Change], values: Mapping[str, str | int | None]) -> list[_Change]:
        """Set these fields of stored changes, of all to the same; returns the changes as they are then."""
        before = list(changes)
        for chunk in chunks(change.change_id for change in before):
            self._connection.execute(statements.UPDATE_CHANGES, {"ids": chunk, **values})
        return [change.model_copy(update=values) for change in before]

    def remove(self, change_ids: Iterable[int]) -> None:
        """Remove changes; their ids stay taken and their history stays."""
        for chunk in chunks(change_ids):
            self._connection.execute(delete(schema.changes).where(_changes.change_id.in_(chunk)))

    def changes_of_batch(
        self, number: int, statuses: Collection[PendingChangeStatus] | None = None
    ) -> list[PendingChangeRecord]:
        """The changes of a batch by ascending id."""
        wanted = None if statuses is None else set(statuses)
        return self.changes(PendingQueueFilter(batch_id=fitting(number), statuses=wanted))

    def told_of_batch(self, number: int, statuses: Collection[PendingChangeStatus]) -> list[PendingChangeRecord]:
        """Those of a batch in these statuses by ascending id, without ``payload`` and ``base``."""
        return self._records(self._asked(statements.told, _of_batch(number, statuses)))

    def members_of_batch(self, number: int, statuses: Collection[PendingChangeStatus]) -> list[Member]:
        """The same for who moves them."""
        if self.tells_each:
            return [Member.of(change) for change in self.told_of_batch(number, statuses)]
        found = self._asked(statements.members, _of_batch(number, statuses))
        return [Member(row[0], PendingChangeStatus(row[1]), *row[2:]) for row in found]

    def ids_of_batch(self, number: int, statuses: Collection[PendingChangeStatus]) -> list[int]:
        """The ids of a batch's changes in these statuses, ascending."""
        return list(self._asked(statements.ids, _of_batch(number, statuses)).scalars())

    def models_of_batch(self, number: int, statuses: Collection[PendingChangeStatus]) -> list[ModelKey]:
        """What a batch's changes in these statuses are about, by ascending id."""
        found = self._asked(statements.models, _of_batch(number, statuses))
        return [(CategoryName(category), name) for category, name in found]

    def statuses_of_batch(self, number: int) -> Mapping[PendingChangeStatus, int]:
        """How many changes of a batch are in each status."""
        wanted = PendingQueueFilter(batch_id=fitting(number))
        rows = self._asked(statements.count_by_status, wanted).mappings()
        return Counter({PendingChangeStatus(row["status"]): row["changes"] for row in rows})

    def categories_of_batch(self, number: int) -> list[tuple[int, str]]:
        """Id and category, known or not, of the approved changes of a batch by ascending id."""
        query = select(_changes.change_id, _changes.category).where(
            _changes.batch_id == fitting(number), looked_at(_changes.status) == PendingChangeStatus.APPROVED
        )
        return [(row.change_id, row.category) for row in self._connection.execute(query.order_by(_changes.change_id))]

    def reserved_batches(self) -> frozenset[int]:
        """The numbers of the batches of which a job holds changes."""
        reserved = self._connection.scalars(statements.RESERVED_BATCHES)
        return frozenset(number for number in reserved if number is not None)

    def is_referred_to(self, number: int) -> bool:
        """Whether any change, of whatever status and category, names the batch."""
        query = select(_changes.change_id).where(_changes.batch_id == fitting(number)).limit(1)
        return self._connection.execute(query).first() is not None

    def open_proposals(self, models: Iterable[ModelKey]) -> dict[ModelKey, list[int]]:
        """For each of the models that has any, the ids of its open changes, ascending."""
        wanted = set(models)
        found: dict[ModelKey, list[int]] = {}
        categories = sorted({str(category) for category, _ in wanted})
        for chunk in chunks({name for _, name in wanted}):
            for row in self._connection.execute(statements.OPEN_PROPOSALS, {"names": chunk, "categories": categories}):
                key = (CategoryName(row.category), row.model_name)
                if key in wanted:
                    found.setdefault(key, []).append(row.change_id)
        return found

    def other_proposals(self, change_ids: Iterable[int]) -> dict[int, list[int]]:
        """For each of the stored changes that has any, the ids of the other open changes of its model, ascending."""
        found: dict[int, list[int]] = {}
        for chunk in chunks(change_ids):
            for change_id, other in self._connection.execute(statements.OTHER_PROPOSALS, {"ids": chunk}):
                found.setdefault(change_id, []).append(other)
        return found

    # history, and what this transaction did

    def tell(self, events: Iterable[Event]) -> None:
        """Keep what was done for those who are told of it."""
        self.events += events

    def add_event(self, change_ids: Iterable[int], event: ChangeEvent) -> None:
        """Append one move to the histories of stored changes."""
        for chunk in chunks(change_ids):
            self._connection.execute(statements.ADD_EVENT, {"ids": chunk, **as_row(event, exclude={"event_id"})})

    def add_events(self, events: Iterable[tuple[int, ChangeEvent]]) -> None:
        """Append moves of changes, each with the change's id."""
        rows = [{"change_id": change_id, **as_row(event, exclude={"event_id"})} for change_id, event in events]
        if rows:
            self._connection.execute(statements.ADD_EVENTS, rows)

    def history(self, change_ids: Iterable[int]) -> dict[int, list[ChangeEvent]]:
        """For each of the changes that has any, its moves, oldest first; purged changes included."""
        found: dict[int, list[ChangeEvent]] = {}
        column = schema.events.c
        for chunk in chunks(fitting(change_id) for change_id in change_ids):
            query = select(schema.events).where(column.change_id.in_(chunk)).order_by(column.event_id)
            for row in self._connection.execute(query).mappings():
                found.setdefault(row["change_id"], []).append(_event(row))
        return found

    def endings(self, after: int | None) -> Endings:
        """Which changes were applied or rejected behind an event."""
        return endings(self._connection, after)

    # repositories

    def repository_notes(self) -> list[RepositoryNote]:
        """What is noted of each repository, by name."""
        return [_note(row) for row in self._connection.execute(statements.REPOSITORIES).mappings()]

    def note_repository(self, name: str, values: Mapping[str, Any]) -> None:
        """Set these fields of a repository's note."""
        given = {"name": name, **values}
        if not self._connection.execute(statements.NOTE_REPOSITORY, {"noted": name, **given}).rowcount:
            self._connection.execute(insert(schema.repositories), given)

    @property
    def leases(self) -> Leases:
        """Who shares the queue, and works on what."""
        return Leases(self._connection)

    @property
    def outbox(self) -> Outbox:
        """What is to be told to the targets of the config."""
        return Outbox(self._connection)

    # whole rows, for moving a queue from one machine to another

    def rows_after(self, change_id: int, limit: int) -> list[dict[str, Any]]:
        """The next stored changes by ascending id, understood or not."""
        query = select(schema.changes).where(_changes.change_id > change_id).order_by(_changes.change_id).limit(limit)
        return [as_stored(row, f"change {row['change_id']}") for row in self._connection.execute(query).mappings()]

    def add_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store changes as they are, ids included."""
        self._holds_unknown = None
        if rows:
            self._connection.execute(statements.ADD_CHANGES, [dict(row) for row in rows])

    def add_leftover(self, content: object, problem: str) -> None:
        """Keep an entry of an import that is no change to us."""
        self._connection.execute(insert(schema.leftovers).values(content=dump(content), problem=problem))

    def leftovers(self) -> list[tuple[Any, str]]:
        """The kept entries, each with what is wrong with it."""
        rows = self._connection.execute(select(schema.leftovers).order_by(schema.leftovers.c.leftover_id))
        return [(json_column(row.content), row.problem) for row in rows]

    def _asked(
        self,
        statement: Callable[[frozenset[str], str], Select[Any]],
        queue_filter: PendingQueueFilter | None,
        **more: int,
    ) -> CursorResult[*tuple[Any, ...]]:
        """What the database says to a statement about the changes of a filter; ``more`` are parameters beside it."""
        asked = filters.asked_of(queue_filter, self._catalogue.plain_names, self._may_hold_unknown) | more
        return self._connection.execute(statement(frozenset(asked), self._connection.dialect.name), asked)

    def _may_hold_unknown(self) -> bool:
        if self._holds_unknown is None:
            self._holds_unknown = (
                self._connection.execute(filters.first_unknown(self._catalogue.plain_names)).first() is not None
            )
        return self._holds_unknown

    def _records(self, found: CursorResult[*tuple[Any, ...]]) -> list[PendingChangeRecord]:
        names = tuple(found.keys())
        return [change_of(dict(zip(names, row, strict=True)), self._catalogue) for row in found]

    def _row(self, change_id: int) -> RowMapping | None:
        query = select(schema.changes).where(_changes.change_id == fitting(change_id))
        return self._connection.execute(query).mappings().first()


def _of_batch(number: int, statuses: Collection[PendingChangeStatus]) -> PendingQueueFilter:
    return PendingQueueFilter(batch_id=fitting(number), statuses=set(statuses))


def _event(row: RowMapping) -> ChangeEvent:
    return understood(ChangeEvent, row, f"the history of change {row['change_id']}")


def _note(row: RowMapping) -> RepositoryNote:
    return understood(RepositoryNote, row, f"the note of repository {row['name']}")
