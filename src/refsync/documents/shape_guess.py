"""Which shape a file of records has that nobody has described yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from refsync.documents.shape import Shape

_LEAST = 2  # with fewer records anything looks like a registry
_DEEPEST = 2  # levels below the root at which records are looked for
_NAMING = ("id", "name", "key", "slug", "model")


def guess_shape(root: Any) -> Shape | None:
    """Where the most values that look alike stand in a file; ``None`` where it holds no records.

    >>> str(guess_shape({"vendor": "x", "models": [{"id": "a", "n": 1}, {"id": "b", "n": 2}]}))
    'models[id]'
    """
    found = [(shape, alike) for path, holder in _holders(root, ()) for shape, alike in _shapes(path, holder)]
    return max(found, key=lambda each: (each[1], -len(each[0].path)), default=(None, 0))[0]


def are_records(values: Sequence[Any]) -> bool:
    """Whether values, each the whole of a file, look like one record each.

    >>> are_records([{"cost": 1, "mode": "chat"}, {"cost": 2}]), are_records([{"a": 1}, {"b": 1}])
    (True, False)
    """
    records = [value for value in values if isinstance(value, dict)]
    return len(records) == len(values) >= _LEAST and _alike(records) >= _LEAST


def _holders(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The objects and lists to a depth, with the keys on the way that a config can name."""
    yield path, value
    if isinstance(value, dict) and len(path) < _DEEPEST:
        for key, inner in value.items():
            if isinstance(inner, dict | list) and key and not set(key) & set(".[]"):
                yield from _holders(inner, (*path, key))


def _shapes(path: tuple[str, ...], holder: Any) -> Iterator[tuple[Shape, int]]:
    if isinstance(holder, dict):
        records = [value for value in holder.values() if isinstance(value, dict)]
        if (alike := _alike(records)) >= _LEAST:
            yield Shape(path), alike
    elif isinstance(holder, list) and all(isinstance(value, dict) for value in holder):
        field = next((field for field in _NAMING if _names(holder, field)), None)
        if field is not None and (alike := _alike(holder)) >= _LEAST:
            yield Shape(path, field), alike


def _alike(records: Sequence[dict[str, Any]]) -> int:
    """How many records have the field that most have, if it is at least every other one."""
    counted = Counter(field for record in records for field in record)
    most = max(counted.values(), default=0)
    return most if 2 * most >= len(records) else 0


def _names(records: Sequence[dict[str, Any]], field: str) -> bool:
    names = [record.get(field) for record in records]
    return all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names)
