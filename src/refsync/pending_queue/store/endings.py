"""How changes came to their end, read from the history: whoever ended them, in whichever process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, func, select

from refsync.pending_queue.models import AuditOperation, PendingChangeStatus
from refsync.pending_queue.store.schema import changes, events

_ENDS = (PendingChangeStatus.APPLIED.value, PendingChangeStatus.REJECTED.value)


@dataclass(frozen=True)
class Ending:
    """A change that was applied or rejected; times are whole Unix seconds."""

    category: str
    operation: AuditOperation
    status: PendingChangeStatus
    approved_at: int | None
    at: int


@dataclass(frozen=True)
class Endings:
    """What ended, oldest first, up to the event ``newest``, behind which to go on."""

    newest: int
    items: Sequence[Ending] = ()


def endings(connection: Connection, after: int | None) -> Endings:
    """What ended behind an event, of changes that were not purged; nothing, where to begin is asked with ``None``."""
    newest: int = connection.execute(select(func.coalesce(func.max(events.c.event_id), 0))).scalar_one()
    if after is None or newest <= after:
        return Endings(newest)
    query = (
        select(changes.c.category, changes.c.operation, events.c.to_status, changes.c.approved_at, events.c.at)
        .join(changes, changes.c.change_id == events.c.change_id)
        .where(events.c.event_id > after, events.c.event_id <= newest, events.c.to_status.in_(_ENDS))
        .where(events.c.from_status != events.c.to_status)
        .order_by(events.c.event_id)
    )
    return Endings(newest, [_ending(row) for row in connection.execute(query)])


def _ending(row: Row[str, str, str, int | None, int]) -> Ending:
    category, operation, ended, approved_at, at = row
    return Ending(category, AuditOperation(operation), PendingChangeStatus(ended), approved_at, at)
