"""Which processes share the queue, and which of them works on which repository; by the clock of the database alone.

A process is alive while the database has heard it within its lease: not longer ago than that, and no further in the
future. So a clock that is set by more than a lease, in either direction, ends all of them, and one that is set back by
less prolongs none by more than that. A lease's number only grows; who takes a lease over gets the next one, and what
was done by an earlier number is over.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, cast, delete, extract, func, insert, select, update

from refsync.pending_queue.daemon_note import DaemonNote
from refsync.pending_queue.store import schema
from refsync.pending_queue.store.rows import understood

_daemons = schema.daemons.c
_leases = schema.leases.c
_UNIX_EPOCH_AS_JULIAN_DAY = 2440587.5
_SECONDS_A_DAY = 86400.0
_FORGOTTEN_SECONDS = 24 * 3600.0
"""After how long a process that was not heard any more is forgotten."""


class Leases:
    """The leases as one transaction sees them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._now = _now_of(connection)

    def join(self, note: DaemonNote) -> None:
        """Be among the daemons from now on; what was here before, in the same place, and is gone, is forgotten."""
        is_gone = ~self._is_alive() & (_daemons.host == note.host) & (_daemons.state_directory == note.state_directory)
        is_old = func.abs(self._now - _daemons.heard_at) > _FORGOTTEN_SECONDS
        self._connection.execute(delete(schema.daemons).where(is_gone | is_old))
        values = note.model_dump(mode="json", exclude={"joined_at", "heard_at", "is_alive", "holds"})
        self._connection.execute(insert(schema.daemons).values(**values, joined_at=self._now, heard_at=self._now))

    def renew(self, daemon_id: str) -> bool:
        """Be heard, with all that is held; ``False`` where that comes too late."""
        heard = update(schema.daemons).where(_daemons.daemon_id == daemon_id, self._is_alive())
        return self._connection.execute(heard.values(heard_at=self._now)).rowcount > 0

    def leave(self, daemon_id: str) -> None:
        """Be no daemon any more, and hold nothing."""
        self._connection.execute(update(schema.leases).where(_leases.holder == daemon_id).values(holder=None))
        self._connection.execute(delete(schema.daemons).where(_daemons.daemon_id == daemon_id))

    def lives(self, daemon_id: str) -> bool:
        """Whether the process was heard within its lease."""
        found = select(_daemons.daemon_id).where(_daemons.daemon_id == daemon_id, self._is_alive())
        return self._connection.execute(found).first() is not None

    def daemons(self) -> list[DaemonNote]:
        """All that are known, those that are gone for less than a day included, in the order in which they came."""
        held = defaultdict(list)
        for name, holder in self._connection.execute(select(_leases.name, _leases.holder).order_by(_leases.name)):
            held[holder].append(name)
        query = select(schema.daemons, self._is_alive().label("is_alive")).order_by(_daemons.joined_at)
        return [
            understood(
                DaemonNote,
                {**row, "holds": held[row["daemon_id"]] if row["is_alive"] else []},
                f"daemon {row['daemon_id']}",
            )
            for row in self._connection.execute(query).mappings()
        ]

    def take(self, name: str, daemon_id: str) -> int | None:
        """Take a lease that no living process of another place holds, and tell its number; ``None`` where one does.

        Whoever takes one has the turn of its state directory, so that who held it there has ended, or given it up.
        """
        mine = schema.daemons.alias("mine")
        is_elsewhere = (_daemons.host != mine.c.host) | (_daemons.state_directory != mine.c.state_directory)
        others = select(_daemons.daemon_id).where(
            _daemons.daemon_id == _leases.holder, self._is_alive(), mine.c.daemon_id == daemon_id, is_elsewhere
        )
        is_free = _leases.holder.is_(None) | ~others.exists()
        taken = update(schema.leases).where(_leases.name == name, is_free)
        if self._connection.execute(taken.values(holder=daemon_id, number=_leases.number + 1)).rowcount:
            return self._number(name)
        if self._number(name) is not None:
            return None
        self._connection.execute(insert(schema.leases).values(name=name, holder=daemon_id, number=1))
        return 1

    def give_back(self, name: str, number: int) -> None:
        """Give a lease back, unless somebody else has taken it over."""
        mine = update(schema.leases).where(_leases.name == name, _leases.number == number)
        self._connection.execute(mine.values(holder=None))

    def holds(self, name: str, number: int, daemon_id: str) -> bool:
        """Whether the process is alive and its lease the newest; nobody takes it over before this transaction ends."""
        held = (
            select(_leases.number)
            .join(schema.daemons, _daemons.daemon_id == _leases.holder)
            .where(_leases.name == name, _leases.number == number, _leases.holder == daemon_id, self._is_alive())
            .with_for_update(read=True, of=schema.leases)
        )
        return self._connection.execute(held).first() is not None

    def _number(self, name: str) -> int | None:
        return self._connection.execute(select(_leases.number).where(_leases.name == name)).scalar()

    def _is_alive(self) -> ColumnElement[bool]:
        return func.abs(self._now - _daemons.heard_at) < _daemons.lease_seconds


def _now_of(connection: Connection) -> ColumnElement[Any]:
    """The clock of the database, in Unix seconds."""
    if connection.dialect.name == "sqlite":
        return (func.julianday("now") - _UNIX_EPOCH_AS_JULIAN_DAY) * _SECONDS_A_DAY
    return cast(extract("epoch", func.clock_timestamp()), Float(53))
