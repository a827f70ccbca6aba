"""What is cached of one format, and the rules by which an entry is still good.

Everything here is told the time, and is called with the owner's lock held where nothing else is said.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from refsync.backends.file_state import FileState, Observed, facts_of, observe
from refsync.backends.single_flight import SingleFlight
from refsync.categories import CategoryName

Row = tuple[Any, ...]
"""One value for each column of the cache; no data where all are ``None``."""


class Verdict(StrEnum):
    """What the first check that decides says of an entry; the text is the reason for people."""

    VALID = "valid"
    MARKED = "marked stale"
    EMPTY = "nothing is cached"
    UNTIMED = "no time of loading is known"
    EXPIRED = "its time to live is over"
    CHANGED = "the file has changed"
    GONE = "the file is gone"
    UNREADABLE = "the file's state cannot be read"

    @property
    def turns_stale(self) -> bool:
        """Whether the entry is to be marked stale, so that the callbacks hear of it."""
        return self in (Verdict.EXPIRED, Verdict.CHANGED, Verdict.GONE)


@dataclass(frozen=True)
class Staleness:
    """Since when (Unix seconds) data is outdated, and why."""

    since: float
    reason: str


@dataclass(frozen=True)
class Loaded:
    """What a load brought: the values, and the state of the file before it was read (``None``: no file).

    ``gone`` says that there is certainly nothing to be had, which alone clears data that was good.
    """

    row: Row
    file_state: Observed = None
    gone: bool = False


def has_data(row: Row) -> bool:
    """Whether any value of the row is there."""
    return row.count(None) < len(row)


class FormatCache:
    """The entries of one format, in the columns handed in."""

    def __init__(self, path_of: Callable[[CategoryName], Path | None], *columns: dict[CategoryName, Any]) -> None:
        """Cache nothing yet; ``path_of`` gives the file whose change makes an entry outdated, if there is one."""
        self.path_of = path_of
        self.columns = columns
        self.nothing: Row = (None,) * len(columns)
        """The row without data."""
        self.timestamps: dict[CategoryName, float] = {}
        self.mtimes: dict[CategoryName, float] = {}
        self.file_states: dict[CategoryName, FileState] = {}
        self.stale: set[CategoryName] = set()
        self.staleness: dict[CategoryName, Staleness] = {}
        self.found_nothing_at: dict[CategoryName, float] = {}
        self.puts: dict[CategoryName, int] = {}
        self.generations: Counter[CategoryName] = Counter()
        self.logged_failures: dict[CategoryName, object] = {}
        self.flights: SingleFlight[CategoryName] = SingleFlight()
        self.hits = 0  # counted without the lock: it would cost more than a count that is lost is worth
        self.counts: Counter[str] = Counter()
        self.invalidations: Counter[str] = Counter()

    def row(self, category: CategoryName) -> Row:
        """The values, whether they are still good or not."""
        row: Row = ()
        for column in self.columns:
            row += (column.get(category),)
        return row

    def holds_data(self, category: CategoryName) -> bool:
        """Whether there is anything to serve, still good or not."""
        return has_data(self.row(category))

    def plain_row(self, category: CategoryName, ttl: int | None, now: float) -> Row | None:
        """The values if no check of ``judge`` finds a fault, asked without the lock; ``None`` says nothing.

        That nothing was put meanwhile makes sure that the checks were of these values.
        """
        puts = self.puts.get(category)
        loaded_at = self.timestamps.get(category)
        if category in self.stale or loaded_at is None or (ttl is not None and not 0 <= now - loaded_at <= ttl):
            return None
        if (path := self.path_of(category)) is not None:
            try:
                present = facts_of(os.stat(path))
            except OSError:
                return None
            if present != self.file_states.get(category) or present[-1] != self.mtimes.get(category):
                return None
        row = self.row(category)
        return None if row == self.nothing or puts != self.puts.get(category) else row

    def judge(self, category: CategoryName, ttl: int | None, now: float) -> Verdict:
        """The checks in their order."""
        if category in self.stale:
            return Verdict.MARKED
        loaded_at = self.timestamps.get(category)
        if loaded_at is None:
            return Verdict.UNTIMED
        # A negative age means that the clock stepped back: nobody knows how old the entry is.
        if ttl is not None and not 0 <= now - loaded_at <= ttl:
            return Verdict.EXPIRED
        path = self.path_of(category)
        return Verdict.VALID if path is None else self._compare(category, path)

    def _compare(self, category: CategoryName, path: Path) -> Verdict:
        present = observe(path)
        if isinstance(present, OSError):
            return Verdict.UNREADABLE
        if present is None:
            return Verdict.GONE if category in self.mtimes else Verdict.VALID
        if present.mtime != self.mtimes.get(category, 0.0):
            return Verdict.CHANGED
        # A rewrite can keep the mtime.
        return Verdict.VALID if self.file_states.get(category, present) == present else Verdict.CHANGED

    def mark(self, category: CategoryName, cause: str, reason: str, now: float) -> bool:
        """Outdated from now on; whether it was not so before."""
        self.generations[category] += 1
        newly = category not in self.stale
        self.stale.add(category)
        self.found_nothing_at.pop(category, None)
        since = now if newly or category not in self.staleness else self.staleness[category].since
        self.staleness[category] = Staleness(since, reason)
        if newly:
            self.invalidations[cause] += 1
        return newly

    def put(self, category: CategoryName, row: Row) -> None:
        """Keep the values; the rest is for ``refresh``."""
        self.puts[category] = self.puts.get(category, 0) + 1
        for column, value in zip(self.columns, row, strict=True):
            column[category] = value

    def mark_overtaken(self, category: CategoryName, now: float) -> None:
        """What is about to be kept is outdated already."""
        self.stale.add(category)
        self.staleness.setdefault(category, Staleness(now, Verdict.MARKED))

    def refresh(self, category: CategoryName, state: Observed, now: float, *, overtaken: bool = False) -> None:
        """The entry was read from a file in this state, and is good as of now, unless it was overtaken.

        The mark goes last: who asks without the lock finds the entry outdated or complete.
        """
        self.timestamps[category] = now
        for forgotten in (self.found_nothing_at, self.logged_failures, self.mtimes, self.file_states):
            forgotten.pop(category, None)
        if isinstance(state, FileState):
            self.mtimes[category] = state.mtime
            self.file_states[category] = state
        elif state is not None:
            self.mtimes[category] = 0.0
        if not overtaken:
            self.staleness.pop(category, None)
            self.stale.discard(category)

    def forget(self, category: CategoryName) -> None:
        """As if it had never been loaded."""
        for kept in (*self.columns, self.timestamps, self.mtimes, self.file_states, self.staleness):
            kept.pop(category, None)
        self.stale.discard(category)

    def statistics(self, now: float, order: Iterable[CategoryName]) -> dict[str, Any]:
        """Counters, and for each loaded category, in this order, its age in seconds, its bytes, and why it is stale."""
        loaded = [category for category in order if self.holds_data(category)]
        return {
            "hits": self.hits,
            **{name: self.counts[name] for name in ("misses", "loads", "failed_loads")},
            "invalidations": dict(self.invalidations),
            "bytes": sum(state.size for state in self.file_states.values()),
            "categories": {category: self._entry_statistics(category, now) for category in loaded},
        }

    def _entry_statistics(self, category: CategoryName, now: float) -> dict[str, Any]:
        loaded_at, state = self.timestamps.get(category), self.file_states.get(category)
        stale = self.staleness.get(category)
        return {
            "age_seconds": None if loaded_at is None else max(0.0, now - loaded_at),
            "bytes": None if state is None else state.size,
            "stale_since": None if stale is None else stale.since,
            "stale_reason": None if stale is None else stale.reason,
        }
