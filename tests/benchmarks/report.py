"""The report: a table for people, and JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from tests.benchmarks.measuring import Figure

TIMES = "\N{MULTIPLICATION SIGN}"
_HEAD = ("work", "refsync", "times the floor", "floor", "goal")


def as_markdown(figures: Iterable[Figure], machine: Mapping[str, str]) -> str:
    """A table in Markdown, with the machine in a line below it."""
    rows = [_HEAD, tuple("---" for _ in _HEAD), *map(_cells, figures)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", "; ".join(f"{name} {what}" for name, what in machine.items()), ""])


def as_line(figure: Figure) -> str:
    """One figure on a line of a terminal, as soon as it is known."""
    work, ours, ratio, floor, goal = _cells(figure)
    return f"{work:<72} {ours:>9}  {ratio:>16}  {goal:>12}  {floor}"


def as_json(figures: Iterable[Figure], machine: Mapping[str, str]) -> dict[str, Any]:
    """Everything, in seconds."""
    return {
        "machine": dict(machine),
        "figures": [
            {**asdict(each), "ratio": each.ratio, "ratio_p99": each.ratio_p99, "reached": each.reached}
            for each in figures
        ],
    }


def shown_time(seconds: float) -> str:
    """A duration with as many digits as mean something."""
    unit, size = next((each for each in (("s", 1.0), ("ms", 1e-3)) if seconds >= 0.9995 * each[1]), ("µs", 1e-6))
    number = seconds / size
    return f"{number:.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"


def _cells(figure: Figure) -> tuple[str, ...]:
    floor = f"{figure.floor_name}, {shown_time(figure.floor.median)}" if figure.floor else "-"
    work = f"{figure.work}: {figure.note}" if figure.note else figure.work
    return work, shown_time(figure.ours.median), _ratio(figure), floor, _goal(figure)


def _ratio(figure: Figure) -> str:
    if figure.ratio is None:
        return "-"
    slowest = f" (p99 {figure.ratio_p99:.1f}{TIMES})" if figure.goal_p99 else ""
    return f"{figure.ratio:.1f}{TIMES}{slowest}"


def _goal(figure: Figure) -> str:
    if figure.goal is None:
        return "-"
    slowest = f" (p99 {figure.goal_p99:g}{TIMES})" if figure.goal_p99 else ""
    wanted = f"{figure.goal:g}{TIMES}{slowest}" if figure.floor else shown_time(figure.goal)
    return f"{wanted}{'' if figure.reached else ', missed'}"
