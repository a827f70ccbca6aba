"""Merge two edits of one record, field by field."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from refsync.documents.field_order import interleaved
from refsync.documents.values import same_value
from refsync.dumping import dump
from refsync.plain_text import cut, json_escaped

_LONGEST = 60  # characters of a key or value in a sentence
Record = dict[str, Any]
FieldPath = tuple[str, ...]


class Missing(Enum):
    """The type of ``MISSING``."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
"""Stands for a field that is not there."""

Stamps = Mapping[str, Collection[str]]
"""Top-level field -> the keys in it that a program writes and nobody compares."""

NO_STAMPS: Final[Stamps] = {}
"""Where no program writes into records, every field is one like any other."""


@dataclass(frozen=True)
class FieldConflict:
    """One field that both sides changed differently; ``MISSING`` where a side has no such field."""

    path: FieldPath
    base: Any
    current: Any
    wanted: Any


@dataclass(frozen=True)
class MergeConflict:
    """Every field that stands in the way of a merge, in the order of the current record."""

    fields: tuple[FieldConflict, ...]


def same_record(a: Record, b: Record, *, stamps: Stamps = NO_STAMPS) -> bool:
    """Whether two records are the same apart from their stamps and the order of keys."""
    return same_value(unstamped(a, stamps), unstamped(b, stamps))


def merge_record(
    base: Record, current: Record, wanted: Record, *, stamps: Stamps = NO_STAMPS
) -> Record | MergeConflict:
    """Apply what ``wanted`` changes in ``base`` to ``current``.

    Objects are merged field by field, at every depth; a list or a scalar is one value. The same edit on both sides is
    no conflict.

    Args:
        base: the record that the change was made from.
        current: the record as it is now.
        wanted: the record that the change asks for.
        stamps: what takes no part; the result has those of ``current``.

    Returns:
        The merged record, its keys in the order of ``current``, new ones where ``wanted`` has them; or
        every field in conflict.
    """
    merged, conflicts = _merged(base, current, wanted, stamps)
    return MergeConflict(tuple(conflicts)) if conflicts else merged


def merge_leaning(base: Record, current: Record, wanted: Record, *, stamps: Stamps = NO_STAMPS) -> Record:
    """As ``merge_record``; where both sides changed a field it keeps the value of ``current``."""
    return _merged(base, current, wanted, stamps)[0]


def _merged(base: Record, current: Record, wanted: Record, stamps: Stamps) -> tuple[Record, list[FieldConflict]]:
    conflicts: list[FieldConflict] = []
    base, wanted = (_stamped_as(current, record, stamps) for record in (base, wanted))
    return _merge_objects(base, current, wanted, (), conflicts), conflicts


def describe_conflict(
    conflict: MergeConflict, *, words: tuple[str, str, str] = ("was", "is now", "wanted"), limit: int = 8
) -> str:
    """One line for a person: each field with its three values, at most ``limit`` fields and then how many more."""
    fields = ((each.path, (each.base, each.current, each.wanted)) for each in conflict.fields)
    return _enumerated([_describe_values(path, words, values) for path, values in fields], limit)


def describe_difference(
    one: Record,
    other: Record,
    *,
    words: tuple[str, str] = ("was", "is now"),
    limit: int = 8,
    stamps: Stamps = NO_STAMPS,
) -> str:
    """One line for a person: each field in which two records differ, with its two values behind the two words."""
    differing = _differences(unstamped(one, stamps), unstamped(other, stamps), ())
    return _enumerated([_describe_values(path, words, values) for path, *values in differing], limit)


def _differences(one: Record, other: Record, path: FieldPath) -> Iterator[tuple[FieldPath, Any, Any]]:
    for key in [*one, *(key for key in other if key not in one)]:
        here, there = one.get(key, MISSING), other.get(key, MISSING)
        if isinstance(here, dict) and isinstance(there, dict):
            yield from _differences(here, there, (*path, key))
        elif not same_value(here, there):
            yield (*path, key), here, there


def _enumerated(fields: Sequence[str], limit: int) -> str:
    more = len(fields) - limit
    return "; ".join([*fields[:limit], f"and {more} more"] if more > 0 else fields)


def unstamped(record: Record, stamps: Stamps) -> Record:
    """The record without its stamps, and without a field that held nothing else."""
    if not stamps:
        return record
    return {key: rest for key, value in record.items() if (rest := _rest(key, value, stamps)) is not MISSING}


def _rest(key: str, value: Any, stamps: Stamps) -> Any:
    if key not in stamps or not isinstance(value, dict):
        return value
    return {name: each for name, each in value.items() if name not in stamps[key]} or MISSING


def _stamped_as(current: Record, record: Record, stamps: Stamps) -> Record:
    """The record with the stamps of ``current`` in place of its own."""
    stamped = unstamped(record, stamps)
    for key, names in stamps.items():
        here, own = current.get(key), stamped.get(key, {})
        if isinstance(here, dict) and isinstance(own, dict) and key in current:
            taken = {name: here[name] for name in here if name in names}
            if taken or not (here or own):
                stamped[key] = own | taken
    return stamped


def _merge_objects(
    base: Record, current: Record, wanted: Record, path: FieldPath, conflicts: list[FieldConflict]
) -> Record:
    merged: Record = {}
    for key in interleaved(current, list(wanted)):
        values = base.get(key, MISSING), current.get(key, MISSING), wanted.get(key, MISSING)
        value = _merge_field(*values, path, key, conflicts)
        if value is not MISSING:
            merged[key] = value
    return merged


def _merge_field(
    base: Any, current: Any, wanted: Any, path: FieldPath, key: str, conflicts: list[FieldConflict]
) -> Any:
    if same_value(base, wanted) or same_value(current, wanted):
        return current
    if same_value(base, current):
        return wanted
    if isinstance(current, dict) and isinstance(wanted, dict) and (base is MISSING or isinstance(base, dict)):
        return _merge_objects({} if base is MISSING else base, current, wanted, (*path, key), conflicts)
    conflicts.append(FieldConflict((*path, key), base, current, wanted))
    return current


def _describe_values(path: FieldPath, words: Sequence[str], values: Sequence[Any]) -> str:
    name = ".".join(_describe_key(key) for key in path)
    return f"{name}: " + ", ".join(
        f"{word} {_describe_value(value)}" for word, value in zip(words, values, strict=True)
    )


def _describe_key(key: str) -> str:
    plain = key.replace("_", "").replace("-", "").isalnum()
    return cut(key if plain else json_escaped(json.dumps(key, ensure_ascii=False)), _LONGEST)


def _describe_value(value: Any) -> str:
    return "absent" if value is MISSING else cut(json_escaped(dump(value)), _LONGEST)
