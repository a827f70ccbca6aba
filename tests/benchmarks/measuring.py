"""Timing two ways of doing the same work, in turn, in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Work = Callable[[], object]

MOST_ROUNDS = 15
QUICK_ROUNDS = 2
BUDGET_SECONDS = 12.0
"""A figure that has taken this long gets no more rounds than it needs for a median."""
_FEWEST_ROUNDS = 3


@dataclass(frozen=True)
class Times:
    """How long one piece of work took, in seconds."""

    median: float
    p99: float
    rounds: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Times:
        """Of the single rounds; with less than a hundred of them ``p99`` is the longest."""
        ordered = sorted(seconds)
        return cls(statistics.median(ordered), ordered[int(0.99 * (len(ordered) - 1) + 0.5)], len(ordered))

    def less(self, other: Times) -> Times:
        """What is left without what the other took; at least a microsecond."""
        return Times(max(1e-6, self.median - other.median), max(1e-6, self.p99 - other.median), self.rounds)


@dataclass(frozen=True)
class Figure:
    """One line of the report: our work beside the least that any program must do for it."""

    row: str
    """What it is selected by."""
    work: str
    ours: Times
    floor: Times | None = None
    floor_name: str = ""
    goal: float | None = None
    """Our median as a multiple of the floor's; in seconds where there is no floor."""
    goal_p99: float | None = None
    note: str = ""
    series: str = ""
    """What grows, for the chart."""
    size: int | None = None

    @property
    def ratio(self) -> float | None:
        """Our median as a multiple of the floor's."""
        return self.ours.median / self.floor.median if self.floor else None

    @property
    def ratio_p99(self) -> float | None:
        """Our slowest as a multiple of the floor's median."""
        return self.ours.p99 / self.floor.median if self.floor else None

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; ``None`` where none is set."""
        if self.goal is None:
            return None
        slowest = self.goal_p99 is None or self.ratio_p99 is None or self.ratio_p99 <= self.goal_p99
        return (self.ours.median if self.ratio is None else self.ratio) <= self.goal and slowest


def in_turn(
    works: Sequence[Work], before: Sequence[Work | None], *, rounds: int, each: int = 1, warm: bool = True
) -> list[Times]:
    """Time each of the works once a round, the first one first in every other round.

    Args:
        works: what is timed.
        before: for each of the works what has to be done untimed before each of its rounds.
        rounds: how often; less often where that takes too long.
        each: how many times each work does its thing in a round: the times are of one.
        warm: whether each is done once untimed at the beginning.
    """
    taken: list[list[float]] = [[] for _ in works]
    for at in range(len(works)) if warm else ():
        _seconds(works[at], before[at])
    ends = time.monotonic() + BUDGET_SECONDS
    for done in range(rounds):
        order = range(len(works)) if done % 2 == 0 else reversed(range(len(works)))
        for at in order:
            taken[at].append(_seconds(works[at], before[at]) / each)
        if done + 1 >= _FEWEST_ROUNDS and time.monotonic() > ends:
            break
    return [Times.of(seconds) for seconds in taken]


def _seconds(work: Work, before: Work | None) -> float:
    if before is not None:
        before()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
