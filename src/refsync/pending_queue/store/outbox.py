"""The outbox: news for the targets of the config, kept in the transaction of what it tells of, until each has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, func, insert, select, update

from refsync.pending_queue.store.schema import notify_targets, outbox, repositories

KEPT_SECONDS = 30 * 24 * 3600.0
"""What happened so long ago goes, sent or not."""
MOST_DEAD = 1000
"""Of a target; older ones go."""

_waits = outbox.c.died_at.is_(None)
_is_told = repositories.c.told_commit.is_not(None)


@dataclass(frozen=True)
class Delivery:
    """News on its way to one target, and how often in a row that has failed since when; times in Unix seconds."""

    delivery_id: int
    target: str
    message_id: str
    news: Mapping[str, Any]
    at: float
    failures: int
    failing_since: float | None


@dataclass(frozen=True)
class TargetState:
    """How it stands with a target: what waits and since when, what is dead, and why the last try failed."""

    name: str
    waiting: int
    oldest_at: float | None
    dead: int
    failing_since: float | None
    problem: str | None


class Outbox:
    """The outbox as one transaction sees it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep news, a row for each target that it is for, in the order of the rows."""
        if rows:
            self._connection.execute(insert(outbox), [dict(row) for row in rows])

    def keep_to(self, targets: Collection[str], *, tells_commits: bool, now: float) -> None:
        """Forget what is for other targets, and what is too old; a target that is new has nothing yet.

        Where nobody is told of foreign commits, also up to which that was done: who wants it later begins then.
        """
        self._connection.execute(delete(outbox).where(_is_gone(targets, now)))
        self._connection.execute(delete(notify_targets).where(notify_targets.c.name.not_in(targets)))
        known = self._known()
        if new := [{"name": name, "due_at": 0.0, "failures": 0} for name in targets if name not in known]:
            self._connection.execute(insert(notify_targets), new)
        if not tells_commits:
            self._connection.execute(update(repositories).where(_is_told).values(told_commit=None))

    def is_kept_to(self, targets: Collection[str], *, tells_commits: bool, now: float) -> bool:
        """Whether :meth:`keep_to` would change nothing."""
        gone = select(outbox.c.delivery_id).where(_is_gone(targets, now))
        told = select(repositories.c.name).where(_is_told)
        stale = [gone] if tells_commits else [gone, told]
        some = any(self._connection.execute(query.limit(1)).first() is not None for query in stale)
        return not some and self._known() == set(targets)

    def due_at(self, target: str) -> float | None:
        """When something may be sent to a target; ``None`` where nothing waits for it."""
        waiting = exists().where(outbox.c.target == target, _waits)
        query = select(notify_targets.c.due_at).where(notify_targets.c.name == target, waiting)
        return self._connection.execute(query).scalar_one_or_none()

    def claim(self, target: str, *, due_until: float, claimed_until: float) -> Delivery | None:
        """The oldest news that waits for a target, which nobody else sends before ``claimed_until``.

        ``None`` where nothing waits, or the target is not due by ``due_until``: somebody else was faster.
        """
        here = notify_targets.c.name == target
        claiming = update(notify_targets).where(here, notify_targets.c.due_at <= due_until)
        if self._connection.execute(claiming.values(due_at=claimed_until)).rowcount == 0:
            return None
        state = notify_targets.c
        query = (
            select(outbox.c.delivery_id, outbox.c.target, outbox.c.message_id, outbox.c.news, outbox.c.at)
            .add_columns(state.failures, state.failing_since)
            .join(notify_targets, state.name == outbox.c.target)
            .where(outbox.c.target == target, _waits)
            .order_by(outbox.c.delivery_id)
            .limit(1)
        )
        row = self._connection.execute(query).mappings().first()
        return None if row is None else Delivery(**row)

    def delivered(self, delivery: Delivery) -> None:
        """The target has taken it."""
        here = (outbox.c.delivery_id == delivery.delivery_id) & (outbox.c.message_id == delivery.message_id)
        self._connection.execute(delete(outbox).where(here))
        self._set_target(delivery.target, due_at=0.0, failures=0, failing_since=None, problem=None)

    def failed(self, delivery: Delivery, problem: str, *, failing_since: float, due_at: float) -> None:
        """The target has not taken it, and is not asked again before ``due_at``."""
        failures = delivery.failures + 1
        self._set_target(
            delivery.target, due_at=due_at, failures=failures, failing_since=failing_since, problem=problem
        )

    def let_die(self, target: str, *, older_than: float, now: float) -> int:
        """Give up what has waited for a target since a time, or longer; how much that is."""
        dying = update(outbox).where(outbox.c.target == target, _waits, outbox.c.at <= older_than).values(died_at=now)
        died = self._connection.execute(dying).rowcount
        dead = select(outbox.c.delivery_id).where(*_dead(target))
        first_too_many = dead.order_by(outbox.c.delivery_id.desc()).offset(MOST_DEAD).limit(1)
        if (last := self._connection.execute(first_too_many).scalar_one_or_none()) is not None:
            self._connection.execute(delete(outbox).where(*_dead(target), outbox.c.delivery_id <= last))
        return died

    def revive(self, target: str) -> int:
        """Let what is dead be sent again, at once, ahead of what waits; how much that is."""
        revived = update(outbox).where(*_dead(target)).values(died_at=None)
        self._set_target(target, due_at=0.0, failures=0, failing_since=None, problem=None)
        return self._connection.execute(revived).rowcount

    def discard(self, target: str) -> int:
        """Forget what is dead; how much that is."""
        return self._connection.execute(delete(outbox).where(*_dead(target))).rowcount

    def states(self) -> list[TargetState]:
        """How it stands with each target, by name."""
        counted = select(outbox.c.target, outbox.c.died_at.is_(None), func.count(), func.min(outbox.c.at)).group_by(
            outbox.c.target, outbox.c.died_at.is_(None)
        )
        counts = {(row[0], bool(row[1])): (row[2], row[3]) for row in self._connection.execute(counted)}
        targets = self._connection.execute(select(notify_targets).order_by(notify_targets.c.name)).mappings()
        return [
            TargetState(
                name=row["name"],
                waiting=counts.get((row["name"], True), (0, None))[0],
                oldest_at=counts.get((row["name"], True), (0, None))[1],
                dead=counts.get((row["name"], False), (0, None))[0],
                failing_since=row["failing_since"],
                problem=row["problem"],
            )
            for row in targets
        ]

    def _known(self) -> set[str]:
        return set(self._connection.scalars(select(notify_targets.c.name)))

    def _set_target(self, name: str, **values: Any) -> None:
        self._connection.execute(update(notify_targets).where(notify_targets.c.name == name).values(values))


def _dead(target: str) -> tuple[ColumnElement[bool], ...]:
    return outbox.c.target == target, outbox.c.died_at.is_not(None)


def _is_gone(targets: Collection[str], now: float) -> ColumnElement[bool]:
    return outbox.c.target.not_in(targets) | (outbox.c.at < now - KEPT_SECONDS)
