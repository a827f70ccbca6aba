"""Statements that are built once: to build one takes SQLAlchemy longer than the database what it asks for.

``UPDATE`` sets the columns for which it is given parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from sqlalchemy import bindparam, select, update

from refsync.pending_queue.lifecycle import OPEN_STATUSES
from refsync.pending_queue.store import schema
from refsync.pending_queue.store.filters import looked_at

_changes = schema.changes.c
_HERE = schema.counters.c.name == bindparam("counter")
ADVANCE = update(schema.counters).where(_HERE).values(value=schema.counters.c.value + bindparam("by"))
LAST = select(schema.counters.c.value).where(_HERE)
OPEN_PROPOSALS = (
    select(_changes.change_id, _changes.category, _changes.model_name)
    .where(
        _changes.model_name.in_(bindparam("names", expanding=True)),
        _changes.category.in_(bindparam("categories", expanding=True)),
        looked_at(_changes.status).in_(sorted(OPEN_STATUSES)),
    )
    .order_by(_changes.change_id)
)

BATCH = select(schema.batches).where(schema.batches.c.number == bindparam("wanted"))
BATCHES = select(schema.batches).order_by(schema.batches.c.number)
BATCHES_IN = BATCHES.where(schema.batches.c.state.in_(bindparam("states", expanding=True)))
SAVE_BATCH = update(schema.batches).where(schema.batches.c.number == bindparam("wanted"))
UPDATE_CHANGES = update(schema.changes).where(_changes.change_id.in_(bindparam("ids", expanding=True)))
NOTE_REPOSITORY = update(schema.repositories).where(schema.repositories.c.name == bindparam("noted"))

_CHUNK = 500  # well under what any database takes as parameters of one statement
_Item = TypeVar("_Item")


def chunks(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """The items in parts, each of as many as one statement takes."""
    waiting = iter(items)
    while chunk := list(islice(waiting, _CHUNK)):
        yield chunk
