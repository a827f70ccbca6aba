"""What changed in the text of a category file and is explained by no model that changed.

A model that came, went or got other values explains the lines of those values. What is left is told here: records that
moved, keys in another order, values spelt in another way, white space, line ends, the final newline.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from refsync.documents.encoding import decode
from refsync.documents.json_text import Container, Item, scan, scan_document
from refsync.documents.values import same_value

Kind = Literal[
    "moved", "key order", "duplicate keys", "spelling", "white space", "line ends", "final newline", "byte order mark"
]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]+')
_MAX_DEPTH = 64


@dataclass(frozen=True)
class Rewriting:
    """Lines that no model explains: how many, the first of them in the new file, and in which models they stand."""

    kind: Kind
    lines: int
    first_line: int
    models: list[str]

    def __str__(self) -> str:
        """What it is and where, without the models."""
        if self.kind in ("byte order mark", "final newline"):
            return self.kind
        return f"{self.kind}: {self.lines} line{'' if self.lines == 1 else 's'}, the first is {self.first_line}"


class _Note(NamedTuple):
    kind: Kind
    model: str | None
    lines: int
    position: int


class _Texts(NamedTuple):
    old: str
    new: str


class _Pair(NamedTuple):
    """The same member in the old and in the new text."""

    old: Item
    new: Item


def rewritings_between(old: bytes, new: bytes) -> list[Rewriting]:
    """What no model explains, by kind.

    Args:
        old: a category file that can be read.
        new: a later version of it that can be read, too.
    """
    (old_mark, old_text), (new_mark, new_text) = decode(old), decode(new)
    texts = _Texts(old_text, new_text)
    notes = list(_whole(texts))
    if old_mark != new_mark:
        notes.append(_Note("byte order mark", None, 1, 0))
    return _gathered(notes, new_text)


def _whole(texts: _Texts) -> Iterator[_Note]:
    old, new = (scan_document(text) for text in texts)
    yield from _gap(texts.old[: old.start], texts.new[: new.start], None, 0)
    yield from _containers(texts, old, new, None, 0)
    yield from _tail(texts.old[old.end :], texts.new[new.end :], len(texts.new))


def _tail(old: str, new: str, position: int) -> Iterator[_Note]:
    if bool(old.strip(" \t")) != bool(new.strip(" \t")):
        yield _Note("final newline", None, 1, position)
    else:
        yield from _gap(old, new, None, position)


def _containers(texts: _Texts, old: Container, new: Container, model: str | None, depth: int) -> Iterator[_Note]:
    """Compare the members that both objects have; those of only one of them are a change of value."""
    before, after = ({item.key: item for item in each.items} for each in (old, new))
    pairs = {key: _Pair(before[key], item) for key, item in after.items() if key in before}
    if len(old.items) - len(before) != len(new.items) - len(after):
        yield _Note("duplicate keys", model, 1, new.start)
    yield from _moves(texts, pairs, model, depth)
    yield from _gaps(texts, old, new, pairs, model)
    for key, pair in pairs.items():
        yield from _member(texts, pair, model if depth else key, depth)


def _moves(texts: _Texts, pairs: dict[str | None, _Pair], model: str | None, depth: int) -> Iterator[_Note]:
    """The fewest members that have to move to give the new order."""
    by_old_place = sorted(pairs.values(), key=lambda pair: pair.old.start)
    places = {pair.new.key: place for place, pair in enumerate(by_old_place)}
    order = list(pairs)
    staying = _longest_rise([places[key] for key in order])
    for place, key in enumerate(order):
        if place not in staying:
            item = pairs[key].new
            lines = texts.new.count("\n", item.start, item.end) + 1
            yield _Note("key order" if depth else "moved", model if depth else key, lines, item.start)


def _longest_rise(numbers: Sequence[int]) -> set[int]:
    """The places of a longest rising series among different numbers."""
    ends: list[int] = []  # the least number that ends a series of each length
    places: list[int] = []
    previous: list[int | None] = []
    for place, number in enumerate(numbers):
        length = bisect_left(ends, number)
        previous.append(places[length - 1] if length else None)
        ends[length : length + 1] = [number]
        places[length : length + 1] = [place]
    found: set[int] = set()
    last = places[-1] if places else None
    while last is not None:
        found.add(last)
        last = previous[last]
    return found


def _gaps(
    texts: _Texts, old: Container, new: Container, pairs: dict[str | None, _Pair], model: str | None
) -> Iterator[_Note]:
    """Compare white space: all of it between the same neighbours, else the indentation alone."""
    old_ahead, new_ahead = (_ahead(each) for each in (old, new))
    for key, pair in pairs.items():
        (old_key, old_from), (new_key, new_from) = old_ahead[key], new_ahead[key]
        gaps = texts.old[old_from : pair.old.start], texts.new[new_from : pair.new.start]
        yield from _gap(*_comparable(gaps, old_key == new_key), model or key, pair.new.start)
    (old_key, old_from), (new_key, new_from) = old_ahead[None], new_ahead[None]
    gaps = texts.old[old_from : old.end - 1], texts.new[new_from : new.end - 1]
    if old.items and new.items:  # a first member brings the lines with it, the last one takes them away
        yield from _gap(*_comparable(gaps, old_key == new_key), model, new.end - 1)


def _ahead(container: Container) -> dict[str | None, tuple[str | None, int]]:
    """For each key, and for the closing bracket (``None``), the key ahead of it and where that one ends."""
    found: dict[str | None, tuple[str | None, int]] = {}
    key, end = None, container.start + 1
    for item in container.items:
        found[item.key] = key, end
        key, end = item.key, item.end
    found[None] = key, end
    return found


def _comparable(gaps: tuple[str, str], same_neighbours: bool) -> tuple[str, str]:
    if same_neighbours:
        return gaps
    if not all("\n" in gap for gap in gaps):
        return "", ""
    old, new = (gap.rpartition("\n")[2] for gap in gaps)
    return old, new


def _member(texts: _Texts, pair: _Pair, model: str | None, depth: int) -> Iterator[_Note]:
    old, new = pair
    texts_of_both = texts.old[old.start : old.end], texts.new[new.start : new.end]
    if texts_of_both[0] == texts_of_both[1]:
        return
    if same_value(old.value, new.value):
        reordered = json.dumps(old.value) != json.dumps(new.value)
        kind: Kind = "key order" if reordered else _kind(*texts_of_both)
        yield _Note(kind, model, _changed_lines(*texts_of_both), new.start + _first_difference(*texts_of_both))
        return
    yield from _gap(texts.old[old.start : old.value_start], texts.new[new.start : new.value_start], model, new.start)
    if isinstance(old.value, dict) and isinstance(new.value, dict) and depth < _MAX_DEPTH:
        inner = scan(texts.old, old.value_start), scan(texts.new, new.value_start)
        yield from _containers(texts, *inner, model, depth + 1)


def _gap(old: str, new: str, model: str | None, position: int) -> Iterator[_Note]:
    if old != new:
        yield _Note(_kind(old, new), model, _changed_lines(old, new), position)


def _kind(old: str, new: str) -> Kind:
    """How two texts of the same value differ."""
    if _unix(old) == _unix(new):
        return "line ends"
    return "white space" if _dense(old) == _dense(new) else "spelling"


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _dense(text: str) -> str:
    return "".join(_TOKEN.findall(text))


def _first_difference(old: str, new: str) -> int:
    return next((place for place, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), len(new))


def _changed_lines(old: str, new: str) -> int:
    gone, come = (Counter(re.split(r"(?<=\n)", text)) for text in (old, new))
    return max((gone - come).total(), (come - gone).total())


def _gathered(notes: Iterable[_Note], new_text: str) -> list[Rewriting]:
    """One entry for each kind, in the order in which they are listed above."""
    breaks = [found.start() for found in re.finditer("\n", new_text)]
    by_kind: dict[Kind, list[_Note]] = {}
    for note in notes:
        by_kind.setdefault(note.kind, []).append(note)
    return [
        Rewriting(
            kind=kind,
            lines=sum(note.lines for note in by_kind[kind]),
            first_line=bisect_left(breaks, min(note.position for note in by_kind[kind])) + 1,
            models=list(dict.fromkeys(note.model for note in by_kind[kind] if note.model is not None)),
        )
        for kind in get_args(Kind)
        if kind in by_kind
    ]
