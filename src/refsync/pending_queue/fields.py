"""The fields of a record as plain values: as JSON, and as a database takes them."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel

from refsync.dumping import has_spelt, respelt


def as_json(record: BaseModel, *, exclude: Collection[str] = ()) -> dict[str, Any]:
    """The fields as plain JSON, the numbers in records with the text that was written for them."""
    plain: dict[str, Any] = record.model_dump(mode="json", exclude=set(exclude))
    if has_spelt(vars(record)):
        plain = respelt(plain, vars(record))
    return plain


def as_row(record: BaseModel, *, exclude: Collection[str] = ()) -> dict[str, Any]:
    """The fields as a database takes them, of a record that holds plain JSON for sure."""
    row = dict(vars(record))
    for name in exclude:
        del row[name]
    for name in fields_of(type(record), Enum):
        if row.get(name) is not None:
            row[name] = row[name]._value_
    return row


@cache
def fields_of(model: type[BaseModel], *kinds: type) -> tuple[str, ...]:
    """The fields of a model that hold a value of one of these kinds, or none."""
    annotations = ((name, field.annotation) for name, field in model.model_fields.items())
    return tuple(name for name, annotation in annotations if any(_is_of(each, kinds) for each in _parts(annotation)))


def _parts(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)


def _is_of(kind: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(kind, type) and issubclass(kind, kinds)
