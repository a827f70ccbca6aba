"""Rows of the store as what they say, or a refusal that names the row: another program may have written it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import RowMapping

from refsync.dumping import load
from refsync.errors import StoreError
from refsync.plain_text import shortened

_Model = TypeVar("_Model", bound=BaseModel)
_MEND = "it is kept; upgrade refsync, or take the store back from a backup"


def understood(model: type[_Model], row: Mapping[str, Any] | RowMapping, what: str, context: Any = None) -> _Model:
    """What a row says, ``what`` being its name for a person.

    Raises:
        StoreError: a column of it holds what it cannot.
    """
    try:
        return model.model_validate(dict(row), context=context)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise StoreError(
            f"{shortened(what)} cannot be read: {field} is {shortened(repr(first['input']))}; {_MEND}"
        ) from None


def as_stored(row: Mapping[str, Any] | RowMapping, what: str) -> dict[str, Any]:
    """A row as plain JSON, whether or not it makes sense.

    Raises:
        StoreError: a column of it holds bytes, which no program of ours stores.
    """
    for field, value in row.items():
        if isinstance(value, bytes):
            raise StoreError(f"{shortened(what)} cannot be read: {field} is {shortened(repr(value))}; {_MEND}")
    return dict(row)


def json_column(text: Any) -> Any:
    """What a column of JSON holds.

    Raises:
        StoreError: it is none.
    """
    try:
        return load(str(text))  # SQLite gives a number where one stands there
    except (ValueError, RecursionError):
        raise StoreError(f"the queue store has a column that is no JSON: {shortened(repr(text))}; {_MEND}") from None
