"""Where the items of an object or a list stand in JSON text that is known to be valid."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from json.scanner import make_scanner
from typing import Any, NamedTuple

from refsync.numbers import exact_float

Path = tuple[str | None, ...]
"""Where a value stands in a record: the keys on the way to it, ``None`` for any element of a list."""

_read = make_scanner(json.JSONDecoder(parse_float=exact_float))  # type: ignore[arg-type]  # mistyped in typeshed
_SPACES = " \t\r\n"
_SPACE = re.compile(rf"[{_SPACES}]*")
_COLON = re.compile(rf"[{_SPACES}]*:[{_SPACES}]*")
_MARK = re.compile(rf"[{_SPACES}]*([,\]}}])[{_SPACES}]*")
_BLANKS = re.compile(r"[ \t]*")
_BREAKS = ("\r", "\n")
_LAST_LINE = re.compile(r"(?:\r\n|\r|\n)[ \t]*\Z")


class Item(NamedTuple):
    """A member of an object or, with ``key`` as ``None``, an element of a list; positions in the text."""

    separator_end: int
    start: int
    key: str | None
    key_end: int
    value_start: int
    end: int
    value: Any


class Container(NamedTuple):
    """An object or a list: from its opening bracket to and with its closing one."""

    start: int
    items: list[Item]
    end: int


class Slot(NamedTuple):
    """The white space that belongs to an item.

    ``before``: the line break and indentation in front of it, or the blanks if it shares a line; ``trail``: up to its
    comma; ``rest``: the blanks after the comma that end its line.
    """

    before: str
    trail: str
    rest: str


class Spacing(NamedTuple):
    """The white space of a whole container: after its opening bracket, of its items, before its closing bracket."""

    head: str
    slots: list[Slot]
    closing: str


def scan(text: str, start: int, known: Any = None) -> Container:
    """The items of the object or list that starts here; what is inside of them is not looked at.

    They have the values of the ``known`` object or list, where it is given, which tells what stays by its identity.
    """
    items = list(_items(text, start, known))
    end = _past(_MARK, text, items[-1].end).end(1) if items else _skip(text, start + 1) + 1
    return Container(start, items, end)


def scan_first(text: str, item: Item, count: int) -> Container:
    """The same of an item's value that is an object or a list, with no more than its first items."""
    return Container(item.value_start, list(islice(_items(text, item.value_start, item.value), count)), item.end)


def _items(text: str, start: int, known: Any) -> Iterator[Item]:
    values = iter(() if known is None else known.values() if isinstance(known, dict) else known)
    is_keyed = text[start] == "{"
    separator_end, at = start + 1, _skip(text, start + 1)
    is_open = text[at] not in "}]"
    while is_open:
        key, key_end, value_start = None, at, at
        if is_keyed:
            key, key_end = _read(text, at)
            value_start = _past(_COLON, text, key_end).end()
        value, end = _read(text, value_start)
        yield Item(separator_end, at, key, key_end, value_start, end, next(values, value))
        mark = _past(_MARK, text, end)
        is_open = mark[1] == ","
        separator_end, at = mark.end(1), mark.end()


def scan_unproven(text: str, decode: Callable[[str, int], tuple[Any, int]]) -> Container:
    """The members of a text that may be anything, each value and key as ``decode`` reads it from its position.

    Raises:
        ValueError: it is no JSON object.
        Exception: what ``decode`` raises.
    """
    start = _skip(text, 0)
    if not text.startswith("{", start):
        raise ValueError("no object")
    items: list[Item] = []
    separator_end, at = start + 1, _skip(text, start + 1)
    mark = "}" if text.startswith("}", at) else "{"
    while mark != "}":
        if mark != ("," if items else "{") or text[at : at + 1] != '"':
            raise ValueError("no member")
        key, key_end = decode(text, at)
        colon = _skip(text, key_end)
        if text[colon : colon + 1] != ":":
            raise ValueError("no colon")
        value_start = _skip(text, colon + 1)
        value, end = decode(text, value_start)
        items.append(Item(separator_end, at, key, key_end, value_start, end, value))
        at = _skip(text, end)
        mark = text[at : at + 1]
        if mark == ",":
            separator_end, at = at + 1, _skip(text, at + 1)
    if text[at + 1 :].strip(_SPACES):
        raise ValueError("something behind the object")
    return Container(start, items, at + 1)


def scan_document(text: str) -> Container:
    """The members of the text's one object, or the elements of its list."""
    return scan(text, _skip(text, 0))


def scan_whole(text: str, key: str | None) -> Container:
    """The text's one value as the only item of a container that has no brackets of its own."""
    start = _skip(text, 0)
    value, end = _read(text, start)
    return Container(start, [Item(start, start, key, start, start, end, value)], end)


def scan_value(text: str, item: Item) -> Container:
    """The items of an item whose value is an object or a list."""
    return scan(text, item.value_start)


def indentation(text: str, at: int) -> str:
    """The blanks that the line of a position begins with."""
    start = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
    blanks = _BLANKS.match(text, start, at)
    return blanks.group() if blanks else ""


def every_container(text: str, start: int, path: Path = ()) -> Iterator[tuple[Path, Container]]:
    """The container that starts here and all within it, each with its path, outer ones first."""
    container = scan(text, start)
    yield path, container
    for item in container.items:
        if isinstance(item.value, dict | list):
            yield from every_container(text, item.value_start, (*path, item.key))


def shadowing(container: Container) -> Iterator[Item]:
    """The members whose key their object has already: of the two, readers take the later one."""
    seen: set[str | None] = set()
    for item in container.items:
        if item.key is not None and item.key in seen:
            yield item
        seen.add(item.key)


def spacing(text: str, container: Container) -> Spacing:
    """The white space of a container, parted so that whole lines belong to whole items."""
    items = container.items
    if not items:
        return Spacing("", [], text[container.start + 1 : container.end - 1])
    gaps = [_part(text[item.separator_end : item.start]) for item in items]
    gaps.append(_part(text[items[-1].end : container.end - 1]))
    # an item's comma is the separator in front of the next one; the last item has none
    trails = [text[item.end : after.separator_end - 1] for item, after in pairwise(items)] + [""]
    slots = [Slot(gap[1], trail, after[0]) for gap, trail, after in zip(gaps, trails, gaps[1:], strict=False)]
    return Spacing(gaps[0][0], slots, gaps[-1][1])


def breaks(gap: str) -> bool:
    """Whether the white space in front of an item starts a new line."""
    return gap.startswith(_BREAKS)


def last_line(gap: str) -> str | None:
    """The last line break of the white space with the indentation after it; ``None`` if there is no line break."""
    found = _LAST_LINE.search(gap)
    return found.group() if found else None


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None  # it matches nothing at all, too
    return match.end()


def _past(mark: re.Pattern[str], text: str, at: int) -> re.Match[str]:
    found = mark.match(text, at)
    assert found is not None  # the text is valid
    return found


def _part(gap: str) -> tuple[str, str]:
    """Blanks that end the line before, and the rest; all is rest where no line ends."""
    rest = gap.lstrip(" \t")
    return (gap[: len(gap) - len(rest)], rest) if breaks(rest) else ("", gap)
