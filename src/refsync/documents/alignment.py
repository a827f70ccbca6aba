"""Which elements of a list are which of a later version of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

from refsync.documents.values import same_value

LIST_KEYS: Mapping[str, str] = MappingProxyType({"config.files": "path", "config.download": "file_name"})
"""The lists whose elements have a name: path of the list to the key that holds it."""

Pair = tuple[int | None, int | None]
"""The places of an element in the old and in the new list; ``None`` where it is not."""

_LIST_LIMIT = 250_000  # pairs of elements: beyond, looking for the least difference takes too long


def aligned(old: Sequence[Any], new: Sequence[Any], key: str | None = None) -> list[Pair]:
    """Every element of both lists once, in the new list's order, what went where it stood.

    Elements with a name belong together whatever else they hold. Others do if they are the same; between two that
    stay, those that do not are taken in pairs, as changed, as far as there are as many on both sides.

    Args:
        old: a list.
        new: a later version of it.
        key: what holds the name of an element; it counts if all have one, each another.

    >>> aligned(["a", "b"], ["new", "a", "b"])
    [(None, 0), (0, 1), (1, 2)]
    """
    names = named(old, key), named(new, key)
    if names[0] is not None and names[1] is not None:
        return _by_name(names[0], names[1])
    head = _same_ahead(old, new)
    tail = _same_ahead(old[head:][::-1], new[head:][::-1])
    inner = _by_value(old[head : len(old) - tail], new[head : len(new) - tail])
    return [
        *((place, place) for place in range(head)),
        *((None if a is None else a + head, None if b is None else b + head) for a, b in inner),
        *((len(old) - place, len(new) - place) for place in range(tail, 0, -1)),
    ]


def named(items: Sequence[Any], key: str | None) -> dict[str, Any] | None:
    """The elements by name; ``None`` if one has none, or two have the same."""
    if key is None:
        return None
    names = [item.get(key) if isinstance(item, dict) else None for item in items]
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        return None
    return {str(name): item for name, item in zip(names, items, strict=True)}


def _by_name(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Pair]:
    places = [{name: place for place, name in enumerate(each)} for each in (old, new)]
    return [(places[0].get(name), places[1].get(name)) for name in dict.fromkeys((*old, *new))]


def _same_ahead(old: Sequence[Any], new: Sequence[Any]) -> int:
    """How many elements at the beginning are the same."""
    pairs = zip(old, new, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if not same_value(a, b)), min(len(old), len(new)))


def _by_value(old: Sequence[Any], new: Sequence[Any]) -> list[Pair]:
    if len(old) * len(new) > _LIST_LIMIT:
        return list(zip_longest(range(len(old)), range(len(new))))
    a, b = ([json.dumps(element, sort_keys=True) for element in each] for each in (old, new))
    if a <= b:
        return _matched(a, b)
    # The matcher breaks ties by which list is the first one; the way back has to be the same way.
    return [(before, after) for after, before in _matched(b, a)]


def _matched(a: Sequence[str], b: Sequence[str]) -> list[Pair]:
    return [
        pair
        for _, a_start, a_end, b_start, b_end in SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
        for pair in zip_longest(range(a_start, a_end), range(b_start, b_end))
    ]
