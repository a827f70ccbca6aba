"""Read a version of a JSON document by what differs from the version before it: the rest need not be parsed again."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from refsync.documents.encoding import decode
from refsync.documents.json_decoders import STRICT_READER, DuplicateKeyError, NotFiniteError
from refsync.documents.json_document import Document, Record, document_of_members, read_records
from refsync.documents.json_text import Container, Item
from refsync.documents.nesting import is_too_deep
from refsync.documents.shape import ROOT, RecordShape, Shape

_SPACE = re.compile(r"[ \t\r\n]*")
_STEPS = (4096, 64, 1)


class Member(NamedTuple):
    """A member of a document, its positions told from where it begins: they stay when others grow.

    Attributes:
        key: what stands ahead of the value; ``None`` for an element of a list.
        value: what it says.
        gap: how far ahead of it the separator ends that parts it from the member before, or the bracket.
        key_end: where its key ends.
        value_start: where its value begins.
        length: how long it is.
    """

    key: str | None
    value: Any
    gap: int
    key_end: int
    value_start: int
    length: int

    @classmethod
    def of(cls, item: Item) -> Member:
        """A member that was found in a text."""
        separator_end, start, key, key_end, value_start, end, value = item
        return cls(key, value, start - separator_end, key_end - start, value_start - start, end - start)

    def at(self, start: int) -> Item:
        """The member as it stands in a text."""
        key, value, gap, key_end, value_start, length = self
        return Item(start - gap, start, key, start + key_end, start + value_start, start + length, value)


@dataclass(frozen=True)
class JsonVersion:
    """A document's members in their order, and where each begins in its text.

    ``opening`` is where the bracket around them stands, ``closing`` where its counterpart does; ``around`` is what else
    the file holds, ``None`` where nobody has looked.
    """

    shape: Shape
    text: str
    opening: int
    closing: int
    members: list[Member]
    starts: list[int]
    around: Mapping[str, Any] | None = None

    @cached_property
    def records(self) -> Mapping[str, Record]:
        """The models, as ``read_records`` gives them; what is alike in the version before is the same object."""
        named = {self.shape.name_of(each.key, each.value): each.value for each in self.members}
        return {name: value for name, value in named.items() if name is not None and self.shape.is_model(name, value)}

    def end(self, place: int) -> int:
        """Where the member at a place ends in the text."""
        return self.starts[place] + self.members[place].length

    @property
    def container(self) -> Container:
        """Where the members stand in the text."""
        items = [member.at(start) for member, start in zip(self.members, self.starts, strict=True)]
        return Container(self.opening, items, self.closing + 1)


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
    if text is None or isinstance(document.shape, RecordShape):
        return None
    return _of_container(text, document.container, document.shape, document.around)


def follow_version(data: bytes, before: JsonVersion) -> JsonVersion | None:
    """The version that was made from the one before; ``None`` where it has to be read as a whole."""
    _, text = decode(data)
    return _followed(before, text)


def document_of(version: JsonVersion, data: bytes) -> Document | None:
    """A version of these bytes as it can be edited; ``None`` where it has to be read as a whole."""
    if version.around is None:
        return None
    mark, _ = decode(data)
    return document_of_members(version.text, version.container, version.shape, version.around, mark)


def _read_whole(data: bytes, text: str, shape: Shape) -> JsonVersion:
    read_records(data, shape=shape)  # which says what is wrong with it
    return _of_container(text, shape.locate(text), shape)


def _of_container(
    text: str, container: Container, shape: Shape, around: Mapping[str, Any] | None = None
) -> JsonVersion:
    members, starts = [Member.of(item) for item in container.items], [item.start for item in container.items]
    return JsonVersion(shape, text, container.start, container.end - 1, members, starts, around)


def _followed(before: JsonVersion, text: str) -> JsonVersion | None:
    """The version with this text; ``None`` where it has to be read as a whole, for its faults or its shape.

    Members are kept that end within the common head of both texts, and those that begin within the common tail. Between
    them the text is read as a parser would that had come there from the beginning: where it expects a key and stands at
    the first of the kept ones, it would go on as it did in the version before.
    """
    head = _common_head(before.text, text)
    if before.opening >= head:
        return None
    kept = bisect_left(before.starts, head)
    if kept and before.end(kept - 1) >= head:
        kept -= 1
    tail = len(before.text) - _common_tail(before.text, text, min(len(before.text), len(text)) - head)
    shift = len(text) - len(before.text)
    try:
        between = _Between(before, text, before.end(kept - 1) if kept else before.opening + 1, is_first=not kept)
        resumed = between.read_up_to(before.starts, bisect_left(before.starts, tail), shift)
    except (ValueError, NotFiniteError, DuplicateKeyError, RecursionError):
        return None
    if is_too_deep(member.value for member in between.members):
        return None
    after = before.members[resumed:]
    if after:
        after[0] = after[0]._replace(gap=between.gap)
    return JsonVersion(
        before.shape,
        text,
        before.opening,
        before.closing + shift if after else between.closing,
        before.members[:kept] + between.members + after,
        before.starts[:kept] + between.starts + [start + shift for start in before.starts[resumed:]],
        before.around,
    )


class _Between:
    """The members from a position on, which is behind another member or, if ``is_first``, behind the bracket."""

    def __init__(self, before: JsonVersion, text: str, at: int, *, is_first: bool) -> None:
        self._before, self._shape = before, before.shape
        self._text, self._at, self._is_first = text, at, is_first
        self._closing = "}" if self._shape.field is None else "]"
        self.closing = at
        self.gap = 0
        self.members: list[Member] = []
        self.starts: list[int] = []

    def read_up_to(self, known: list[int], first: int, shift: int) -> int:
        """Read until one of the known starts behind ``first`` is met, or the end; the place of the known one.

        Raises:
            ValueError: here is no member, or one that cannot be read.
            NotFiniteError, DuplicateKeyError, RecursionError: neither is that.
        """
        while not self._ends():
            place = bisect_left(known, self._at - shift, first)
            if place < len(known) and known[place] == self._at - shift:
                return place
            self._read_member()
        return len(known)

    def _ends(self) -> bool:
        """Go to the next member; or be at the end of them, with the text behind it as it was."""
        separator_end = self._at
        self._skip()
        if self._is_at(self._closing):
            self.closing = self._at
            if not self._ends_as_before(self._text[self._at + 1 :]):
                raise ValueError("something else behind the members")
            return True
        if not self._is_first:
            self._take(",")
            separator_end = self._at
            self._skip()
        self._is_first = False
        self.gap = self._at - separator_end
        return False

    def _ends_as_before(self, rest: str) -> bool:
        if not self._shape.path:
            return not rest.strip(" \t\r\n")
        return rest == self._before.text[self._before.closing + 1 :]

    def _read_member(self) -> None:
        start = self._at
        key, key_end = self._read_key() if self._shape.field is None else (None, start)
        value_start = self._at
        value, self._at = STRICT_READER.raw_decode(self._text, value_start)
        self.members.append(Member.of(Item(start - self.gap, start, key, key_end, value_start, self._at, value)))
        self.starts.append(start)

    def _read_key(self) -> tuple[str, int]:
        """A member's key and where it ends; what is behind it is its value."""
        if not self._is_at('"'):
            raise ValueError("no key")
        key: str
        key, key_end = STRICT_READER.raw_decode(self._text, self._at)
        self._at = key_end
        self._skip()
        self._take(":")
        self._skip()
        return key, key_end

    def _is_at(self, mark: str) -> bool:
        return self._text.startswith(mark, self._at)

    def _take(self, mark: str) -> None:
        if not self._is_at(mark):
            raise ValueError(f"no {mark}")
        self._at += 1

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
