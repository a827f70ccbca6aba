"""How a file writes JSON, learnt from the records nearby, and new values written that way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from refsync.documents.field_order import FieldOrder
from refsync.documents.json_text import (
    Container,
    Item,
    Path,
    Spacing,
    breaks,
    every_container,
    last_line,
    scan,
    spacing,
)
from refsync.numbers import Spelt, positional

_ESCAPE = re.compile(r"\\u(?!00[0-7])[0-9a-fA-F]{4}")
_TEXT_OR_EXPONENT = re.compile(r'"(?:[^"\\]|\\.)*"|(\d[eE])')
_LONGEST = 40  # characters of a number: a longer one is easier to read with an exponent
_ENOUGH = 200  # records that have something at a path
_SURROGATE = re.compile("[\ud800-\udfff]")


class Exponents:
    """Whether a text has numbers with an exponent; it is looked through when that is first asked."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def found(self) -> bool:
        """Whether it has; a text without any number says no."""
        return any(found[1] for found in _TEXT_OR_EXPONENT.finditer(self._text))


class PathStyles:
    """Whether a file's records have what stands at a path on one line; each path is looked for when first asked."""

    def __init__(self, text: str, members: Sequence[Item]) -> None:
        self._text = text
        self._members = members
        self._found: dict[Path, bool | None] = {}

    def is_flat(self, path: Path) -> bool | None:
        """Whether most have; ``None`` where none has anything there."""
        if path not in self._found:
            having = (item for item in self._members if path and any(_values_at(item.value, path)))
            samples = [
                _Sample.of(self._text, path, container).flat
                for item in islice(having, _ENOUGH)
                for container in _containers_at(self._text, item, path)
            ]
            self._found[path] = sum(samples) * 2 > len(samples) if samples else None
        return self._found[path]


def _values_at(value: Any, path: Path) -> list[Any]:
    """The objects and lists at a path of a record that are not empty."""
    found = [value]
    for step in path:
        if step is None:
            found = [element for each in found if isinstance(each, list) for element in each]
        else:
            found = [each[step] for each in found if isinstance(each, dict) and step in each]
    return [each for each in found if each and isinstance(each, dict | list)]


def _containers_at(text: str, item: Item, path: Path) -> Iterator[Container]:
    found = [item]
    for step in path:
        outer = [scan(text, each.value_start) for each in found if isinstance(each.value, dict | list)]
        found = [each for container in outer for each in container.items if each.key == step]
    return (scan(text, each.value_start) for each in found if each.value and isinstance(each.value, dict | list))


@dataclass(frozen=True)
class Style:
    """What is the file's own choice in writing a value.

    ``unit`` is one step of indentation, ``colon`` stands between key and value, ``gap`` between items on one line,
    ``pads`` inside the brackets on one line, by opening bracket. ``inline`` says for each known path whether it is
    written on one line in the records nearby, ``elsewhere`` in all others, ``lists_inline`` for lists at paths that no
    record has, ``exponents`` whether numbers may have one.
    """

    ascii: bool = True
    unit: str = "    "
    colon: str = ": "
    gap: str = " "
    pads: Mapping[str, str] = field(default_factory=dict)
    inline: Mapping[Path, bool] = field(default_factory=dict)
    lists_inline: bool = False
    elsewhere: PathStyles = field(default_factory=lambda: PathStyles("", ()), compare=False)
    exponents: Exponents = field(default_factory=lambda: Exponents(""), compare=False)

    def quote(self, value: Any) -> str:
        """A scalar, or anything without a style of its own, as JSON text."""
        if isinstance(value, Spelt):
            return value.text
        text = json.dumps(value, ensure_ascii=self.ascii, allow_nan=False)
        if isinstance(value, float) and "e" in text and not self.exponents.found:
            decimal = positional(value)
            return decimal if len(decimal) <= _LONGEST else text
        return _SURROGATE.sub(lambda half: f"\\u{ord(half.group()):04x}", text)

    def member(self, key: str, value: str) -> str:
        """A key with the text of its value."""
        return f"{self.quote(str(key))}{self.colon}{value}"

    def write(self, value: Any, path: Path, line: str | None, order: FieldOrder) -> str:
        """The text of a value.

        Args:
            value: any JSON value.
            path: where in a record it stands.
            line: the line break and indentation of the line that it starts on; ``None`` to stay on one line.
            order: gives the places of an object's fields.
        """
        if not value or not isinstance(value, dict | list):
            return self.quote(value)
        if line is not None and self._is_inline(value, path):
            line = None
        inner = None if line is None else line + self.unit
        if isinstance(value, list):
            return self._enclose("[", "]", [self.write(each, (*path, None), inner, order) for each in value], line)
        keys = order.with_new(path, (), list(value))
        members = [self.member(key, self.write(value[key], (*path, key), inner, order)) for key in keys]
        return self._enclose("{", "}", members, line)

    def _is_inline(self, value: Any, path: Path) -> bool:
        found = self.inline[path] if path in self.inline else self.elsewhere.is_flat(path)
        return isinstance(value, list) and self.lists_inline if found is None else found

    def _enclose(self, opening: str, closing: str, parts: list[str], line: str | None) -> str:
        if line is None:
            pad = self.pads.get(opening, "")
            return opening + pad + ("," + self.gap).join(parts) + pad + closing
        inner = line + self.unit
        return opening + inner + ("," + inner).join(parts) + line + closing


def style_of_scalars(text: str, document: Container) -> Style:
    """The style of a file as far as scalars need it; the rest is that of most files."""
    return Style(ascii=_prefers_ascii(text), elsewhere=PathStyles(text, document.items), exponents=Exponents(text))


def style_of_document(text: str, document: Container, otherwise: Style) -> Style:
    """The style of a file as far as its members show it, without looking into them; ``otherwise`` for the rest."""
    return _learn([_Sample.of(text, None, document)], text, otherwise) if document.items else otherwise


def style_near(text: str, samples: Iterable[Item], otherwise: Style) -> Style:
    """The style of some members of a file.

    Args:
        text: the whole file.
        samples: the members to learn from, the one that matters most first.
        otherwise: for what they do not show.
    """
    near = [
        _Sample.of(text, path, each)
        for item in samples
        for path, each in every_container(text, item.value_start)
        if each.items
    ]
    return _learn(near, text, otherwise)


def _learn(samples: Sequence[_Sample], text: str, otherwise: Style) -> Style:
    flat = [each for each in samples if each.flat]
    lists = [each.flat for each in samples if each.bracket == "["]
    colon = next((found for each in samples if (found := _colon(text, each))), otherwise.colon)
    gap = otherwise.gap if colon == otherwise.colon else colon.partition(":")[2]
    return Style(
        ascii=otherwise.ascii,
        elsewhere=otherwise.elsewhere,
        exponents=otherwise.exponents,
        unit=next((unit for each in samples if (unit := _unit(each.spacing)) is not None), otherwise.unit),
        colon=colon,
        gap=next((each.spacing.slots[1].before for each in flat if len(each.items) > 1), gap),
        pads={**otherwise.pads, **{each.bracket: each.spacing.slots[0].before for each in reversed(flat)}},
        inline={each.path: each.flat for each in reversed(samples) if each.path is not None},  # the nearest rules
        lists_inline=bool(lists) and all(lists),
    )


class _Sample(NamedTuple):
    """A container that is not empty, as an example of how such are written."""

    path: Path | None
    bracket: str
    items: list[Item]
    spacing: Spacing

    @classmethod
    def of(cls, text: str, path: Path | None, container: Container) -> _Sample:
        return cls(path, text[container.start], container.items, spacing(text, container))

    @property
    def flat(self) -> bool:
        """Whether it stands on one line."""
        return not any(breaks(slot.before) for slot in self.spacing.slots) and not breaks(self.spacing.closing)


def _prefers_ascii(text: str) -> bool:
    """Whether the file escapes what is not ASCII; also where it has nothing of the kind."""
    if text.isascii():
        return True
    return len(_ESCAPE.findall(text)) > len(text) - len(text.encode("ascii", "ignore"))


def _colon(text: str, sample: _Sample) -> str:
    """What stands between key and value; empty where that tells nothing."""
    first = sample.items[0]
    colon = text[first.key_end : first.value_start]
    return "" if "\n" in colon or "\r" in colon else colon


def _unit(around: Spacing) -> str | None:
    """What an item is indented more than the closing bracket; ``None`` where that tells nothing."""
    inner, outer = last_line(around.slots[0].before), last_line(around.closing)
    return inner[len(outer) :] if inner and outer and inner.startswith(outer) else None
