"""Fields of a record by their dotted paths."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from refsync.documents.merge import MISSING

Place = tuple[str | int, ...]
"""The keys and list positions on the way to one value."""


def join_path(keys: Collection[str]) -> str:
    """The dotted path of these keys."""
    return ".".join(key.replace("\\", "\\\\").replace(".", "\\.") for key in keys)


def split_path(path: str) -> tuple[str, ...]:
    """The keys of a dotted path, as ``join_path`` joined them."""
    keys = [""]
    characters = iter(path)
    for character in characters:
        if character == ".":
            keys.append("")
        else:
            keys[-1] += next(characters, "") if character == "\\" else character
    return tuple(keys)


def values_at(record: Any, path: str) -> Iterator[tuple[Place, Any]]:
    """The values at a dotted path, each with its place; ``MISSING`` at the first key on the way that is not there.

    Lists on the way are gone through, and so is one at its end. ``[]`` may be written behind a key whose value is one.

    >>> list(values_at({"files": [{"url": "x"}, {}]}, "files[].url"))
    [(('files', 0, 'url'), 'x'), (('files', 1, 'url'), <Missing.MISSING: 'missing'>)]
    """
    return _values(record, tuple(key.removesuffix("[]") for key in split_path(path)), ())


def _values(value: Any, keys: tuple[str, ...], place: Place) -> Iterator[tuple[Place, Any]]:
    if isinstance(value, list):
        for position, element in enumerate(value):
            yield from _values(element, keys, (*place, position))
    elif not keys:
        yield place, value
    elif isinstance(value, dict) and keys[0] in value:
        yield from _values(value[keys[0]], keys[1:], (*place, keys[0]))
    else:
        yield (*place, keys[0]), MISSING


def every_text(value: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Every string in a record, at every depth, with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from every_text(inner, (*place, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from every_text(inner, (*place, position))
