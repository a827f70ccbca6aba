"""Which changes a filter means, as conditions that an index can answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    LargeBinary,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    collate,
    func,
    or_,
    select,
)

from refsync.errors import RequestError
from refsync.pending_queue.models import PendingQueueFilter
from refsync.pending_queue.payloads import check_number
from refsync.pending_queue.store import schema

MAX_INTEGER = 2**63 - 1
EVERY_SCRIPT = "und-x-icu"
"""PostgreSQL's collation by which lower case is what Python makes of it."""

_changes = schema.changes.c
_BROAD = (_changes.category, _changes.status)
_ESCAPED = re.compile("[/%_]")  # in a pattern of LIKE


def looked_at(column: ColumnElement[str]) -> ColumnElement[str]:
    """A column's text, for a condition on what another one has found by an index.

    Without statistics SQLite can only guess which of two indices finds less, and of two alike it takes the one that was
    made later: the status of every change rather than the ten of one model.
    """
    return column.concat("")


def asked_of(
    queue_filter: PendingQueueFilter | None, known: Sequence[str], may_hold_unknown: Callable[[], bool]
) -> dict[str, Any]:
    """What holds for the changes of a filter, all of them without one: by the names of :func:`conditions` their values.

    Args:
        queue_filter: the filter.
        known: the names of the categories; never is a change of another one meant.
        may_hold_unknown: whether there are such changes; asked only where it matters.

    Raises:
        RequestError: it is no filter.
    """
    wanted = PendingQueueFilter() if queue_filter is None else queue_filter
    if not isinstance(wanted, PendingQueueFilter):  # one that restricts nothing would purge everything
        raise RequestError(f"filter: expected a PendingQueueFilter, got {type(wanted).__name__}")
    asked = {name: value for name, value in dict(wanted).items() if value is not None}
    for name in asked.keys() & {"batch_id", "reverts"}:
        asked[name] = fitting(asked[name])
    for name in asked.keys() & {"categories", "statuses", "requested_by"}:
        asked[name] = sorted(map(str, asked[name]))
    if wanted.model_name is not None:
        asked["model_name"] = _ESCAPED.sub(r"/\g<0>", wanted.model_name.lower())
    if wanted.categories is None and (wanted.batch_id is not None or may_hold_unknown()):
        asked["categories"] = list(known)  # of a batch there are few to look at
    return asked


@cache
def conditions(asked: frozenset[str], dialect: str) -> list[ColumnElement[bool]]:
    """What is asked by these names, of the database of this dialect, in parameters of the same names."""
    # Of what is found best, the best alone is asked of an index.
    is_narrow = not asked.isdisjoint(("batch_id", "reverts", "requested_by"))
    category, status = map(looked_at, _BROAD) if is_narrow else _BROAD
    every = {
        "after": _changes.change_id > bindparam("after"),
        "categories": category.in_(bindparam("categories", expanding=True)),
        "statuses": status.in_(bindparam("statuses", expanding=True)),
        "batch_id": _changes.batch_id == bindparam("batch_id"),
        "model_name": _is_called(bindparam("model_name", type_=Text), dialect),
        "requested_by": _changes.requested_by.in_(bindparam("requested_by", expanding=True)),
        "requested_provider": _changes.requested_provider == bindparam("requested_provider"),
        "reverts": _changes.reverts == bindparam("reverts"),
    }
    return [every[name] for name in every if name in asked]


@cache
def unknown(known: tuple[str, ...]) -> Select[tuple[int, str]]:
    """Id and category of the changes whose category this refsync does not know.

    Asked of each gap between those that it knows, for an index finds what lies in a gap; ``NOT IN`` alone would have
    every change looked at.
    """
    category, known = _changes.category, tuple(sorted(known))
    gaps = [and_(category > low, category < high) for low, high in pairwise(known)]
    outside = or_(category < known[0], *gaps, category > known[-1])
    # In the order that a database has for text, a known one may lie in a gap.
    return select(_changes.change_id, category).where(outside, category.not_in(known))


@cache
def first_unknown(known: tuple[str, ...]) -> Select[tuple[int, str]]:
    """One of those."""
    return unknown(known).limit(1)


def fitting(number: int) -> int:
    """The number, or one that matches nothing where no database integer can hold it."""
    return number if -1 <= check_number("id", number) <= MAX_INTEGER else -1


def _is_called(text: BindParameter[str], dialect: str) -> ColumnElement[bool]:
    """Whether the model's name has this text in it, upper and lower case alike: every name of an index is looked at.

    SQLite compares ASCII so by itself; our function, which knows every script, is called for other names only. Of
    PostgreSQL the database's locale is not asked, but Unicode's own order.
    """
    name = _changes.model_name
    if dialect == "postgresql":
        return func.lower(collate(name, EVERY_SCRIPT)).contains(text, escape="/")
    called = func.lower(name).contains(text, escape="/")
    is_ascii = func.length(name) == func.length(cast(name, LargeBinary))
    return case((is_ascii, name.contains(text, escape="/")), else_=called)
