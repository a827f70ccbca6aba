"""Cost against size as an SVG: one panel for what grows, both axes in powers of ten, ours beside the floor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

from tests.benchmarks.measuring import Figure
from tests.benchmarks.report import shown_time

_COLUMNS, _WIDTH, _HEIGHT = 3, 300, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 30, 34
_OURS, _FLOOR, _GRID, _TEXT = "#1f6feb", "#8b949e", "#d0d7de", "#57606a"

Point = tuple[float, float]


def as_svg(figures: Iterable[Figure]) -> str:
    """The chart of every figure that has a size."""
    panels: dict[str, list[Figure]] = {}
    for figure in figures:
        if figure.series and figure.size:
            panels.setdefault(figure.series, []).append(figure)
    rows = max(1, math.ceil(len(panels) / _COLUMNS))
    width, height = _COLUMNS * _WIDTH, rows * _HEIGHT + 24
    drawn = [
        f'<g transform="translate({at % _COLUMNS * _WIDTH},{at // _COLUMNS * _HEIGHT})">{_panel(name, found)}</g>'
        for at, (name, found) in enumerate(panels.items())
    ]
    legend = _words(_LEFT, height - 8, "refsync", colour=_OURS) + _words(
        _LEFT + 60, height - 8, "the floor: the least that any program must do", colour=_FLOOR
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11"><rect width="{width}" height="{height}" fill="white"/>{"".join(drawn)}{legend}</svg>\n'
    )


class _Scale:
    """Where a value stands between two ends, in powers of ten."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self._low = math.floor(math.log10(min(values)))
        self._high = max(self._low + 1, math.ceil(math.log10(max(values))))
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        part = (math.log10(value) - self._low) / (self._high - self._low)
        return self._start + part * (self._end - self._start)

    @property
    def ticks(self) -> list[float]:
        """The powers of ten."""
        return [10.0**power for power in range(self._low, self._high + 1)]


def _panel(name: str, figures: Sequence[Figure]) -> str:
    ours = [(float(each.size or 1), each.ours.median) for each in figures]
    floor = [(float(each.size or 1), each.floor.median) for each in figures if each.floor]
    across = _Scale([size for size, _ in ours], _LEFT, _WIDTH - _RIGHT)
    up = _Scale([seconds for _, seconds in ours + floor], _HEIGHT - _BOTTOM, _TOP)
    return "".join(
        [
            _words(_LEFT, 18, name, weight="bold"),
            *(_tick_up(up(tick), shown_time(tick)) for tick in up.ticks),
            *(_tick_across(across(tick), f"{tick:,.0f}") for tick in across.ticks),
            _line([(across(size), up(seconds)) for size, seconds in floor], _FLOOR),
            _line([(across(size), up(seconds)) for size, seconds in ours], _OURS),
        ]
    )


def _tick_up(y: float, label: str) -> str:
    grid = f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{_GRID}"/>'
    return grid + _words(_LEFT - 6, y + 4, label, anchor="end")


def _tick_across(x: float, label: str) -> str:
    return _words(x, _HEIGHT - _BOTTOM + 16, label, anchor="middle")


def _line(points: Sequence[Point], colour: str) -> str:
    if not points:
        return ""
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
    return f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'


def _words(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", colour: str = _TEXT) -> str:
    style = f'text-anchor="{anchor}" font-weight="{weight}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
