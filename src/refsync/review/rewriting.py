"""What changed in the text of a category file and is explained by no model that changed.

A model that came, went or got other values explains the lines of those values. What is left is told here, at every
depth: records that moved, keys in another order, keys that stand twice, values spelt in another way, white space, line
ends, the final newline.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from refsync.documents.encoding import decode
from refsync.documents.json_text import Container, Item, Path, Slot, last_line, scan, spacing
from refsync.documents.shape import ROOT, Shape
from refsync.documents.values import same_value
from refsync.review.same_items import effective, same_items, unexplained

Kind = Literal[
    "moved", "key order", "duplicate keys", "spelling", "white space", "line ends", "final newline", "byte order mark"
]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]+')


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
    """The same item in both texts; ``told`` if a change of its value is told with the models."""

    old: Item
    new: Item
    told: bool


class _Both(NamedTuple):
    """The same object or list in the old and in the new text: in which model, and where in it."""

    old: Container
    new: Container
    model: str | None
    path: Path


def rewritings_between(old: bytes, new: bytes, shape: Shape = ROOT) -> list[Rewriting]:
    """What no model explains, by kind.

    Args:
        old: a category file that can be read.
        new: a later version of it that can be read, too.
        shape: where in both the records are.
    """
    (old_mark, old_text), (new_mark, new_text) = decode(old), decode(new)
    notes = list(_whole(_Texts(old_text, new_text), shape))
    if old_mark != new_mark:
        notes.append(_Note("byte order mark", None, 1, 0))
    return _gathered(notes, new_text)


def _whole(texts: _Texts, shape: Shape) -> Iterator[_Note]:
    old, new = (_named(shape.locate(text), shape) for text in texts)
    around = [(text[: each.start], text[each.end :]) for text, each in zip(texts, (old, new), strict=True)]
    if not shape.path or same_value(*(json.loads(f"{ahead}null{behind}") for ahead, behind in around)):
        yield from _gap(around[0][0], around[1][0], None, 0)
        yield from _tail(around[0][1], around[1][1], len(texts.new))
    waiting = deque([_Both(old, new, None, ())])
    while waiting:
        yield from _container(texts, waiting.popleft(), waiting)


def _named(container: Container, shape: Shape) -> Container:
    """The items under the names that they are known by, in a list, too."""
    if shape.field is None:
        return container
    items = [item._replace(key=shape.name(item, place)) for place, item in enumerate(container.items)]
    return container._replace(items=items)


def _tail(old: str, new: str, position: int) -> Iterator[_Note]:
    if bool(old.strip(" \t")) != bool(new.strip(" \t")):
        yield _Note("final newline", None, 1, position)
    else:
        yield from _gap(old, new, None, position)


def _container(texts: _Texts, both: _Both, waiting: deque[_Both]) -> Iterator[_Note]:
    """Compare what both have; what is within goes to what waits."""
    items = old, new = both.old.items, both.new.items
    pairs = same_items(texts, items, both.path[1:])
    for item, is_new in unexplained(items, pairs):
        lines = texts[is_new].count("\n", item.start, item.end) + 1
        yield _Note("duplicate keys", _model(both, item), lines, item.start if is_new else both.new.start)
    yield from _moves(texts, both, pairs)
    yield from _spaces(texts, both, pairs)
    seen = effective(old), effective(new)
    for before, after in pairs.items():
        explained = before in seen[0] and after in seen[1]
        yield from _item(texts, both, _Pair(old[before], new[after], explained), waiting)


def _model(both: _Both, item: Item) -> str | None:
    return both.model if both.path else item.key


def _moves(texts: _Texts, both: _Both, pairs: dict[int, int]) -> Iterator[_Note]:
    """The fewest members that have to move to give the new order; a list's elements are told as they went and came."""
    order = [before for before, _ in sorted(pairs.items(), key=lambda pair: pair[1])]
    staying = _longest_rise(order)
    for place, before in enumerate(order):
        item = both.new.items[pairs[before]]
        if place not in staying and item.key is not None:
            lines = texts.new.count("\n", item.start, item.end) + 1
            yield _Note("key order" if both.path else "moved", _model(both, item), lines, item.start)


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


# White space


def _spaces(texts: _Texts, both: _Both, pairs: dict[int, int]) -> Iterator[_Note]:
    """Compare white space: all of it between the same neighbours, else what belongs to each item alone."""
    old, new = spacing(texts.old, both.old), spacing(texts.new, both.new)
    if not old.slots or not new.slots:  # a first member brings the lines with it, the last one takes them away
        if not old.slots and not new.slots:
            yield from _gap(old.closing, new.closing, both.model, both.new.end - 1)
        return
    yield from _gap(old.head, new.head, both.model, both.new.start)
    follows = pairs | {-1: -1}  # both begin
    for before, after in pairs.items():
        item = both.new.items[after]
        alike = follows.get(before - 1) == after - 1
        gaps = _comparable(old.slots[before].before, new.slots[after].before, alike)
        yield from _gap(*gaps, _model(both, item), item.start)
        commas = before + 1 < len(old.slots) and after + 1 < len(new.slots)
        trails = _behind(old.slots[before], commas), _behind(new.slots[after], commas)
        yield from _gap(*trails, _model(both, item), item.end)
    alike = pairs.get(len(old.slots) - 1) == len(new.slots) - 1
    yield from _gap(*_comparable(old.closing, new.closing, alike), both.model, both.new.end - 1)


def _comparable(old: str, new: str, alike: bool) -> tuple[str, str]:
    """What of two gaps can be compared: ``alike`` neighbours or not, the same item begins its line as it did."""
    if alike:
        return old, new
    lines = last_line(old), last_line(new)
    return (lines[0], lines[1]) if lines[0] is not None and lines[1] is not None else ("", "")


def _behind(slot: Slot, comma: bool) -> str:
    """What stands behind an item on its line; whether there is a comma, its neighbours say."""
    return f"{slot.trail}{',' if comma else ''}{slot.rest}"


# Values


def _item(texts: _Texts, both: _Both, pair: _Pair, waiting: deque[_Both]) -> Iterator[_Note]:
    old, new, told = pair
    model = _model(both, new)
    yield from _gap(texts.old[old.start : old.value_start], texts.new[new.start : new.value_start], model, new.start)
    values = texts.old[old.value_start : old.end], texts.new[new.value_start : new.end]
    if values[0] == values[1]:
        return
    same = same_value(old.value, new.value)
    if isinstance(new.value, dict | list) and type(old.value) is type(new.value) and (same or told):
        inner = scan(texts.old, old.value_start), scan(texts.new, new.value_start)
        waiting.append(_Both(*inner, model, (*both.path, new.key)))
    elif same:
        yield _Note("spelling", model, 1, new.value_start)
    elif not told:
        yield _Note("duplicate keys", model, _changed_lines(*values), new.value_start)


def _gap(old: str, new: str, model: str | None, position: int) -> Iterator[_Note]:
    if old != new:
        yield _Note(_kind(old, new), model, _changed_lines(old, new), position)


def _kind(old: str, new: str) -> Kind:
    """How two texts differ that mean the same."""
    if _unix(old) == _unix(new):
        return "line ends"
    return "white space" if _dense(old) == _dense(new) else "spelling"


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _dense(text: str) -> str:
    return "".join(_TOKEN.findall(text))


def _changed_lines(old: str, new: str) -> int:
    gone, come = (Counter(re.split(r"(?<=\n)", text)) for text in (old, new))
    return max((gone - come).total(), (come - gone).total())


def _gathered(notes: Iterable[_Note], new_text: str) -> list[Rewriting]:
    """One entry for each kind, in the order in which they are listed above."""
    breaks = [found.start() for found in re.finditer("\n", new_text)]
    by_kind: dict[Kind, list[_Note]] = {}
    for note in sorted(notes, key=lambda note: note.position):
        by_kind.setdefault(note.kind, []).append(note)
    return [_rewriting(kind, by_kind[kind], breaks) for kind in get_args(Kind) if kind in by_kind]


def _rewriting(kind: Kind, notes: Sequence[_Note], breaks: Sequence[int]) -> Rewriting:
    """Lines that several notes are about count once."""
    starts = [(bisect_left(breaks, note.position) + 1, note.lines) for note in notes]
    lines = {line for start, count in starts for line in range(start, start + count)}
    return Rewriting(
        kind, len(lines), starts[0][0], list(dict.fromkeys(note.model for note in notes if note.model is not None))
    )
