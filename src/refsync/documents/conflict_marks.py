"""Texts that differ in places, put into one with git's conflict markers around each place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

_OURS, _PARTING, _THEIRS = b"<<<<<<< ours", b"=======", b">>>>>>> theirs"


class _Place(NamedTuple):
    """Lines ``start`` to ``end`` of our text, the places of the conflicts in them, and what their side has there."""

    start: int
    end: int
    conflicts: tuple[int, ...]
    theirs: list[bytes]


def marked(ours: bytes, conflicts: int, as_theirs: Callable[[Sequence[int]], bytes]) -> bytes:
    """Our text with markers around each conflict, so that taking one side or the other makes a whole file of it.

    Args:
        ours: the whole file, as it is when each conflict ends in our favour.
        conflicts: how many there are.
        as_theirs: the whole file as it is when these ones, by their number from 0 on, end in theirs.
    """
    lines = _lines(ours)
    places: list[_Place] = []
    for found in sorted(_place(lines, (number,), as_theirs) for number in range(conflicts)):
        # two that share a line, of which one has the comma that the other needs, are one
        while places and found.start < max(places[-1].end, places[-1].start + 1):
            found = _place(lines, (*places.pop().conflicts, *found.conflicts), as_theirs)
        places.append(found)
    return b"".join(_with_marks(lines, places))


def _place(ours: Sequence[bytes], conflicts: tuple[int, ...], as_theirs: Callable[[Sequence[int]], bytes]) -> _Place:
    theirs = _lines(as_theirs(conflicts))
    shorter = min(len(ours), len(theirs))
    head = next((place for place in range(shorter) if ours[place] != theirs[place]), shorter)
    rest = shorter - head
    tail = next((place for place in range(rest) if ours[-1 - place] != theirs[-1 - place]), rest)
    return _Place(head, len(ours) - tail, conflicts, theirs[head : len(theirs) - tail])


def _lines(text: bytes) -> list[bytes]:
    return [line + b"\n" for line in text.split(b"\n")[:-1]] + [line for line in text.split(b"\n")[-1:] if line]


def _with_marks(lines: Sequence[bytes], places: Sequence[_Place]) -> list[bytes]:
    end = b"\r\n" if lines and lines[0].endswith(b"\r\n") else b"\n"
    marked: list[bytes] = []
    at = 0
    for place in places:
        mine = lines[place.start : place.end]
        marked += [*lines[at : place.start], _OURS + end, *_ended(mine, end), _PARTING + end]
        marked += [*_ended(place.theirs, end), _THEIRS + end]
        at = place.end
    return [*marked, *lines[at:]]


def _ended(lines: Sequence[bytes], end: bytes) -> list[bytes]:
    """The lines, the last one ended, so that a marker can stand below it."""
    return [*lines[:-1], lines[-1] if lines[-1].endswith(b"\n") else lines[-1] + end] if lines else []
