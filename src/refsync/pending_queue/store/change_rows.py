"""A change as the row that keeps it, and back."""

from __future__ import annotations

from typing import Any

from refsync.categories import Catalogue
from refsync.pending_queue.fields import as_json
from refsync.pending_queue.models import PendingChangeRecord
from refsync.pending_queue.store.rows import understood

_COMPUTED = frozenset({"conflicts_with", "history"})


def change_of(row: dict[str, Any], catalogue: Catalogue) -> PendingChangeRecord:
    """The change that a row keeps.

    Raises:
        StoreError: a newer refsync wrote it: a category, a status or another value is unknown to this one.
    """
    return understood(PendingChangeRecord, row, f"change {row['change_id']}", {"catalogue": catalogue})


def row_of(record: PendingChangeRecord) -> dict[str, Any]:
    """What is kept of a change."""
    return as_json(record, exclude=_COMPUTED)
