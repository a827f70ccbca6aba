"""Which changes a filter means, as conditions that an index can answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

from sqlalchemy import ColumnElement, LargeBinary, Select, and_, case, cast, collate, func, or_, select

from refsync.errors import RequestError
from refsync.pending_queue.models import PendingQueueFilter
from refsync.pending_queue.payloads import check_number
from refsync.pending_queue.store import schema

MAX_INTEGER = 2**63 - 1
EVERY_SCRIPT = "und-x-icu"
"""PostgreSQL's collation by which lower case is what Python makes of it."""

_changes = schema.changes.c
_BROAD = (_changes.category, _changes.status)


def looked_at(column: ColumnElement[str]) -> ColumnElement[str]:
    """A column's text, for a condition on what another one has found by an index.

    Without statistics SQLite can only guess which of two indices finds less, and of two alike it takes the one that was
    made later: the status of every change rather than the ten of one model.
    """
    return column.concat("")


def conditions(
    queue_filter: PendingQueueFilter | None, known: Sequence[str], dialect: str, may_hold_unknown: Callable[[], bool]
) -> list[ColumnElement[bool]]:
    """What holds for the changes of a filter, all of them without one; never of one of an unknown category.

    Args:
        queue_filter: the filter.
        known: the names of the categories.
        dialect: of the database, as SQLAlchemy calls it.
        may_hold_unknown: whether there are changes of unknown categories; asked only where it matters.

    Raises:
        RequestError: it is no filter.
    """
    wanted = PendingQueueFilter() if queue_filter is None else queue_filter
    if not isinstance(wanted, PendingQueueFilter):  # one that restricts nothing would purge everything
        raise RequestError(f"filter: expected a PendingQueueFilter, got {type(wanted).__name__}")
    found: list[ColumnElement[bool]] = []
    # Of what is found best, the best alone is asked of an index.
    is_narrow = (wanted.batch_id, wanted.reverts, wanted.requested_by) != (None, None, None)
    category, status = map(looked_at, (_changes.category, _changes.status)) if is_narrow else _BROAD
    if wanted.categories is not None:
        found.append(category.in_(sorted(map(str, wanted.categories))))
    elif wanted.batch_id is not None or may_hold_unknown():  # of a batch there are few to look at
        found.append(category.in_(known))
    if wanted.statuses is not None:
        found.append(status.in_(sorted(wanted.statuses)))
    if wanted.batch_id is not None:
        found.append(_changes.batch_id == fitting(wanted.batch_id))
    if wanted.model_name is not None:
        found.append(_is_called(wanted.model_name, dialect))
    if wanted.requested_by is not None:
        found.append(_changes.requested_by.in_(sorted(wanted.requested_by)))
    if wanted.requested_provider is not None:
        found.append(_changes.requested_provider == wanted.requested_provider)
    if wanted.reverts is not None:
        found.append(_changes.reverts == fitting(wanted.reverts))
    return found


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


def _is_called(text: str, dialect: str) -> ColumnElement[bool]:
    """Whether the model's name has this text in it, upper and lower case alike: every name of an index is looked at.

    SQLite compares ASCII so by itself; our function, which knows every script, is called for other names only. Of
    PostgreSQL the database's locale is not asked, but Unicode's own order.
    """
    name, lowered = _changes.model_name, text.lower()
    if dialect == "postgresql":
        return func.lower(collate(name, EVERY_SCRIPT)).contains(lowered, autoescape=True)
    called = func.lower(name).contains(lowered, autoescape=True)
    is_ascii = func.length(name) == func.length(cast(name, LargeBinary))
    return case((is_ascii, name.contains(lowered, autoescape=True)), else_=called)
