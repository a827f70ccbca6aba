"""Read a version of a JSON document by what differs from the version before it: the rest need not be parsed again."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from refsync.documents.encoding import decode
from refsync.documents.json_decoders import READER, NotFiniteError
from refsync.documents.json_document import Document, Record, read_records
from refsync.documents.json_text import Container
from refsync.documents.nesting import is_too_deep
from refsync.documents.shape import ROOT, RecordShape, Shape

_SPACE = re.compile(r"[ \t\r\n]*")
_STEPS = (4096, 64, 1)


@dataclass(frozen=True)
class JsonVersion:
    """A document's members in their order, and where each begins and ends in its text.

    ``opening`` is where the bracket around them stands, ``closing`` where its counterpart does; of an element of a list
    that has no name the key is ``None``.
    """

    shape: Shape
    text: str
    opening: int
    closing: int
    keys: list[str | None]
    values: list[Any]
    starts: list[int]
    ends: list[int]

    @cached_property
    def records(self) -> Mapping[str, Record]:
        """The models, as ``read_records`` gives them; what is alike in the version before is the same object."""
        members = dict(zip(self.keys, self.values, strict=True))
        return {name: value for name, value in members.items() if name is not None and self.shape.is_model(name, value)}


def read_version(data: bytes, before: JsonVersion | None = None, shape: Shape = ROOT) -> JsonVersion:
    """A version of a document of a shape, of which a version before it, of the same shape, is known.

    Raises:
        DocumentError: see ``read_records``.
    """
    _, text = decode(data)
    return (before and _followed(before, text)) or _read_whole(data, text, shape)


def version_of(document: Document) -> JsonVersion | None:
    """A document as a version that others follow; ``None`` of one that has to be read as a whole each time."""
    text = document.whole_text
    if isinstance(document.shape, RecordShape):
        return None
    return None if text is None else _of_container(text, document.container, document.shape)


def follow_version(data: bytes, before: JsonVersion) -> JsonVersion | None:
    """The version that was made from the one before; ``None`` where it has to be read as a whole."""
    _, text = decode(data)
    return _followed(before, text)


def _read_whole(data: bytes, text: str, shape: Shape) -> JsonVersion:
    read_records(data, shape=shape)  # which says what is wrong with it
    return _of_container(text, shape.locate(text), shape)


def _of_container(text: str, container: Container, shape: Shape) -> JsonVersion:
    items = container.items
    return JsonVersion(
        shape,
        text,
        container.start,
        container.end - 1,
        [shape.name_of(item.key, item.value) for item in items],
        [item.value for item in items],
        [item.start for item in items],
        [item.end for item in items],
    )


def _followed(before: JsonVersion, text: str) -> JsonVersion | None:
    """The version with this text; ``None`` where it has to be read as a whole, for its faults or its shape.

    Members are kept that end within the common head of both texts, and those that begin within the common tail. Between
    them the text is read as a parser would that had come there from the beginning: where it expects a key and stands at
    the first of the kept ones, it would go on as it did in the version before.
    """
    head = _common_head(before.text, text)
    if before.opening >= head:
        return None
    kept = bisect_left(before.ends, head)
    tail = len(before.text) - _common_tail(before.text, text, min(len(before.text), len(text)) - head)
    shift = len(text) - len(before.text)
    try:
        between = _Between(before, text, before.ends[kept - 1] if kept else before.opening + 1, is_first=not kept)
        resumed = between.read_up_to(before.starts, bisect_left(before.starts, tail), shift)
    except (ValueError, NotFiniteError, RecursionError):
        return None
    if is_too_deep(between.values):
        return None
    return JsonVersion(
        before.shape,
        text,
        before.opening,
        between.closing if resumed == len(before.starts) else before.closing + shift,
        before.keys[:kept] + between.keys + before.keys[resumed:],
        before.values[:kept] + between.values + before.values[resumed:],
        before.starts[:kept] + between.starts + [start + shift for start in before.starts[resumed:]],
        before.ends[:kept] + between.ends + [end + shift for end in before.ends[resumed:]],
    )


class _Between:
    """The members from a position on, which is behind another member or, if ``is_first``, behind the bracket."""

    def __init__(self, before: JsonVersion, text: str, at: int, *, is_first: bool) -> None:
        self._before, self._shape = before, before.shape
        self._text, self._at, self._is_first = text, at, is_first
        self._closing = "}" if self._shape.field is None else "]"
        self.closing = at
        self.keys: list[str | None] = []
        self.values: list[Any] = []
        self.starts: list[int] = []
        self.ends: list[int] = []

    def read_up_to(self, known: list[int], first: int, shift: int) -> int:
        """Read until one of the known starts behind ``first`` is met, or the end; the place of the known one.

        Raises:
            ValueError: here is no member, or one that cannot be read.
        """
        while not self._ends():
            place = bisect_left(known, self._at - shift, first)
            if place < len(known) and known[place] == self._at - shift:
                return place
            self._read_member()
        return len(known)

    def _ends(self) -> bool:
        """Go to the next member; or be at the end of them, with the text behind it as it was."""
        self._skip()
        if self._is_at(self._closing):
            self.closing = self._at
            if not self._ends_as_before(self._text[self._at + 1 :]):
                raise ValueError("something else behind the members")
            return True
        if not self._is_first:
            self._take(",")
        self._is_first = False
        return False

    def _ends_as_before(self, rest: str) -> bool:
        if not self._shape.path:
            return not rest.strip(" \t\r\n")
        return rest == self._before.text[self._before.closing + 1 :]

    def _read_member(self) -> None:
        start = self._at
        key = self._read_key() if self._shape.field is None else None
        value, self._at = READER.raw_decode(self._text, self._at)
        self.keys.append(self._shape.name_of(key, value))
        self.values.append(value)
        self.starts.append(start)
        self.ends.append(self._at)

    def _read_key(self) -> str:
        if not self._is_at('"'):
            raise ValueError("no key")
        key: str
        key, self._at = READER.raw_decode(self._text, self._at)
        self._skip()
        self._take(":")
        return key

    def _is_at(self, mark: str) -> bool:
        return self._text.startswith(mark, self._at)

    def _take(self, mark: str) -> None:
        if not self._is_at(mark):
            raise ValueError(f"no {mark}")
        self._at += 1
        self._skip()

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        assert match is not None  # it matches nothing at all, too
        self._at = match.end()


def _common_head(a: str, b: str) -> int:
    at, most = 0, min(len(a), len(b))
    for step in _STEPS:
        while at + step <= most and a[at : at + step] == b[at : at + step]:
            at += step
    return at


def _common_tail(a: str, b: str, most: int) -> int:
    """How many of at most so many characters at their ends are the same."""
    length = 0
    for step in _STEPS:
        while length + step <= most and _before_end(a, length, step) == _before_end(b, length, step):
            length += step
    return length


def _before_end(text: str, length: int, step: int) -> str:
    end = len(text) - length
    return text[end - step : end]
