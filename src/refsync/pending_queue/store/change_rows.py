"""A change as the row that keeps it, and back."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from refsync.categories import Catalogue
from refsync.errors import StoreError
from refsync.pending_queue.models import PendingChangeRecord, as_json

_COMPUTED = frozenset({"conflicts_with", "history"})


def change_of(row: dict[str, Any], catalogue: Catalogue) -> PendingChangeRecord:
    """The change that a row keeps.

    Raises:
        StoreError: a newer refsync wrote it: a category, a status or another value is unknown to this one.
    """
    try:
        return PendingChangeRecord.model_validate(row, context={"catalogue": catalogue})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise StoreError(
            f"change {row['change_id']} cannot be read: {field} is {first['input']!r}; it is kept, upgrade refsync"
        ) from None


def row_of(record: PendingChangeRecord) -> dict[str, Any]:
    """What is kept of a change."""
    return as_json(record, exclude=_COMPUTED)
