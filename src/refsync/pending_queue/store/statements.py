"""Statements that are built once: to build one takes SQLAlchemy longer than the database what it asks for.

``UPDATE`` sets the columns for which it is given parameters. What a filter means is asked by one statement for all
filters that have the same conditions, see :func:`filters.asked_of`; their values are parameters, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, func, insert, select, update

from refsync.pending_queue.lifecycle import OPEN_STATUSES
from refsync.pending_queue.models import Member
from refsync.pending_queue.states import PendingChangeStatus
from refsync.pending_queue.store import schema
from refsync.pending_queue.store.filters import conditions, looked_at

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
_others = schema.changes.alias()
OTHER_PROPOSALS = (
    select(_changes.change_id, _others.c.change_id)
    .where(
        _changes.change_id.in_(bindparam("ids", expanding=True)),
        _others.c.category == _changes.category,
        _others.c.model_name == _changes.model_name,
        _others.c.change_id != _changes.change_id,
        looked_at(_others.c.status).in_(sorted(OPEN_STATUSES)),
    )
    .order_by(_others.c.change_id)
)

BATCH = select(schema.batches).where(schema.batches.c.number == bindparam("wanted"))
BATCHES = select(schema.batches).order_by(schema.batches.c.number)
BATCHES_IN = BATCHES.where(schema.batches.c.state.in_(bindparam("states", expanding=True)))
SAVE_BATCH = update(schema.batches).where(schema.batches.c.number == bindparam("wanted"))
ADD_CHANGES = insert(schema.changes)
UPDATE_CHANGES = update(schema.changes).where(_changes.change_id.in_(bindparam("ids", expanding=True)))
ADD_EVENTS = insert(schema.events)
_MOVE = [column for column in schema.events.c if column.name not in ("event_id", "change_id")]
ADD_EVENT = insert(schema.events).from_select(
    ["change_id", *(column.name for column in _MOVE)],
    select(_changes.change_id, *(bindparam(column.name, type_=column.type) for column in _MOVE))
    .where(_changes.change_id.in_(bindparam("ids", expanding=True)))
    .order_by(_changes.change_id),
)
RESERVED_BATCHES = select(_changes.batch_id).where(_changes.status == PendingChangeStatus.APPLYING).distinct()
REPOSITORIES = select(schema.repositories).order_by(schema.repositories.c.name)
NOTE_REPOSITORY = update(schema.repositories).where(schema.repositories.c.name == bindparam("noted"))


@cache
def hits(asked: frozenset[str], dialect: str) -> Select[Any]:
    """The changes of a filter by ascending id."""
    return _by_id(*schema.changes.c).where(*conditions(asked, dialect))


@cache
def page(asked: frozenset[str], dialect: str) -> Select[Any]:
    """A part of them; the ids come from an index, so that what is passed over is never read."""
    part = ids(asked, dialect).offset(bindparam("offset", type_=BigInteger)).limit(bindparam("limit", type_=BigInteger))
    found = part.subquery()
    return _by_id(*schema.changes.c).join(found, found.c.change_id == _changes.change_id)


@cache
def told(asked: frozenset[str], dialect: str) -> Select[Any]:
    """The changes of a filter by ascending id, without ``payload`` and ``base``."""
    columns = (column for column in schema.changes.c if column.name not in ("payload", "base"))
    return _by_id(*columns).where(*conditions(asked, dialect))


@cache
def members(asked: frozenset[str], dialect: str) -> Select[Any]:
    """The same, as far as who moves them asks for them."""
    columns = (_changes[field] for field in Member._fields if field != "record")
    return _by_id(*columns).where(*conditions(asked, dialect))


@cache
def models(asked: frozenset[str], dialect: str) -> Select[Any]:
    """What the changes of a filter are about, by ascending id."""
    return _by_id(_changes.category, _changes.model_name).where(*conditions(asked, dialect))


@cache
def ids(asked: frozenset[str], dialect: str) -> Select[Any]:
    """The ids of the changes of a filter, ascending."""
    return _by_id(_changes.change_id).where(*conditions(asked, dialect))


@cache
def count(asked: frozenset[str], dialect: str) -> Select[Any]:
    """How many changes a filter means."""
    return select(func.count()).select_from(schema.changes).where(*conditions(asked, dialect))


@cache
def count_by_status(asked: frozenset[str], dialect: str) -> Select[Any]:
    """How many of them are in each status."""
    counted = select(_changes.status, func.count().label("changes")).where(*conditions(asked, dialect))
    return counted.group_by(_changes.status)


def _by_id(*columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).order_by(_changes.change_id)


_CHUNK = 500  # well under what any database takes as parameters of one statement
_Item = TypeVar("_Item")


def chunks(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """The items in parts, each of as many as one statement takes."""
    waiting = iter(items)
    while chunk := list(islice(waiting, _CHUNK)):
        yield chunk
