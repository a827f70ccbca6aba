"""Numbers of changes as people and commit messages have them: ``3-5, 9``."""

from __future__ import annotations

from collections.abc import Iterable

MAX_NUMBERS = 1_000_000
"""More than any batch has; a forged range must not fill the memory."""


def render_ranges(numbers: Iterable[int]) -> str:
    """Numbers as ascending ranges: ``3-5, 9``."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def parse_ranges(text: str) -> tuple[int, ...]:
    """What :func:`render_ranges` wrote.

    Raises:
        ValueError: it is something else.
    """
    numbers: list[int] = []
    for part in filter(None, text.split(", ")):
        first, _, last = part.partition("-")
        start, end = int(first), int(last or first)
        if len(numbers) + end - start >= MAX_NUMBERS:
            raise ValueError(f"more than {MAX_NUMBERS} numbers")
        numbers.extend(range(start, end + 1))
    return tuple(numbers)
