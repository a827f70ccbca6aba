"""How deep a record may be nested: one limit for whatever reads, compares or writes one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

MAX_DEPTH = 100
"""Objects and lists within each other, the record itself among them.

No record of a registry has a tenth of that, and with four calls for each level all that walks a record stays well
within the 1000 that Python allows.
"""

TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"

_NESTS = frozenset({dict, list})
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]')


class Outline(NamedTuple):
    """A member of a document's one object as its brackets show it: its positions, and how deep its value is."""

    start: int
    key_end: int
    end: int
    depth: int


def is_too_deep(values: Iterable[Any]) -> bool:
    """Whether one of these values, as JSON is read, is nested deeper than the limit; a cycle is."""
    level, depth = [each for each in values if type(each) in _NESTS], 0
    while level and depth <= MAX_DEPTH:
        parts = chain.from_iterable([each.values() if type(each) is dict else each for each in level])
        level = [each for each in parts if type(each) in _NESTS]
        depth += 1
    return depth > MAX_DEPTH


def is_surely_shallow(text: str, start: int, end: int) -> bool:
    """Whether a value's text, from and to these positions, has too few brackets to be nested deeper than the limit."""
    return text.count("{", start, end) + text.count("[", start, end) <= MAX_DEPTH


def outlines(text: str) -> Iterator[Outline]:
    """The members of a text that is taken for one JSON object, however deep they are and whatever is in them."""
    depth = deepest = 0
    key: re.Match[str] | None = None
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if key is None and depth == 1 and mark[0] == '"':
            key, deepest = token, 1
        if mark in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "}]":
            depth -= 1
        if key is not None and ((mark == "," and depth == 1) or depth == 0):
            yield Outline(key.start(), key.end(), token.start(), deepest - 1)
            key = None
