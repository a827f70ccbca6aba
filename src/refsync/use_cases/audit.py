"""What was done in the queue, change by change and batch by batch, as the ecosystem's programs read it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from refsync.application import Application
from refsync.categories import canonical_format
from refsync.pending_queue.models import (
    Batch,
    ChangeEvent,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueueFilter,
)
from refsync.use_cases.answer import Sparse

_S = PendingChangeStatus
BATCHES = 50
"""How many batches a page has where nobody says how many."""


class AuditEvent(Sparse):
    """One move of a change; ``timestamp`` in Unix seconds, ``payload`` what else is known of it."""

    event_id: int
    timestamp: int
    action: str
    logical_user_id: str | None
    payload: dict[str, Any]


class AuditChange(Sparse):
    """A change with everything that was done to it, oldest first."""

    change_id: int
    status: PendingChangeStatus
    operation: str | None
    category: str | None
    model_name: str | None
    requested_by: str | None
    requested_at: int | None
    approved_by: str | None
    approved_at: int | None
    rejected_by: str | None
    rejected_at: int | None
    reject_reason: str | None
    applied_by: str | None
    applied_at: int | None
    applied_job_id: str | None
    batch_id: int | None
    batch_title: str | None
    events: list[AuditEvent]


class CurrentAudit(Sparse):
    """The changes that wait for review now."""

    domain: str
    pending_changes: list[AuditChange]
    total_pending: int
    generated_at: int


class AuditBatch(Sparse):
    """A batch in figures; ``approved_change_count`` counts what was approved, whether it is applied by now or not."""

    batch_id: int
    batch_title: str | None
    approved_by: str | None
    approved_at: int | None
    applied_at: int | None
    approved_change_count: int
    rejected_change_count: int
    applied_change_count: int
    total_change_count: int
    last_event_id: int | None


class AuditBatchWithChanges(AuditBatch):
    """A batch, and all that was done to its changes."""

    changes: list[AuditChange]


class AuditBatches(Sparse):
    """A page of batches, the newest first; ``next_cursor`` asks for the page behind it."""

    domain: str
    batches: list[AuditBatch]
    next_cursor: int | None


def domain(application: Application) -> str:
    """The format that changes are written in."""
    return canonical_format(application.config.repositories[0].layout).value


def current_audit(application: Application) -> CurrentAudit:
    """The changes that wait for review, with everything that was done to them."""
    pending = application.queue.list_changes(queue_filter=PendingQueueFilter(statuses={_S.PENDING})).items
    changes = _audited(application, pending)
    return CurrentAudit(
        domain=domain(application),
        pending_changes=changes,
        total_pending=len(changes),
        generated_at=int(time.time()),
    )


def audit_batches(application: Application, *, cursor: int | None = None, limit: int = BATCHES) -> AuditBatches:
    """A page of batches, the newest first.

    Args:
        application: the parts.
        cursor: only batches of smaller numbers.
        limit: how many at most.
    """
    known = [each for each in application.queue.list_batches() if cursor is None or each.number < cursor][::-1]
    shown = known[:limit]
    return AuditBatches(
        domain=domain(application),
        batches=[AuditBatch(**_figures(application, each)[0]) for each in shown],
        next_cursor=shown[-1].number if shown and len(known) > len(shown) else None,
    )


def audit_batch(application: Application, number: int) -> AuditBatchWithChanges:
    """One batch with its changes.

    Raises:
        BatchNotFoundError: there is none with this number.
    """
    figures, changes = _figures(application, application.queue.get_batch(number))
    return AuditBatchWithChanges(**figures, changes=changes)


def _figures(application: Application, batch: Batch) -> tuple[dict[str, Any], list[AuditChange]]:
    changes = application.queue.changes_of_batch(batch.number)
    audited = _audited(application, changes)
    approved = [change for change in changes if change.approved_at is not None]
    first = min(approved, key=lambda change: change.approved_at or 0, default=None)
    figures = {
        "batch_id": batch.number,
        "batch_title": batch.title or None,
        "approved_by": first and first.approved_by,
        "approved_at": first and first.approved_at,
        "applied_at": None if batch.landed_at is None else int(batch.landed_at),
        "approved_change_count": len(approved),
        "rejected_change_count": sum(change.status is _S.REJECTED for change in changes),
        "applied_change_count": sum(change.status is _S.APPLIED for change in changes),
        "total_change_count": len(changes),
        "last_event_id": max((event.event_id for change in audited for event in change.events), default=None),
    }
    return figures, audited


def _audited(application: Application, changes: Sequence[PendingChangeRecord]) -> list[AuditChange]:
    histories = application.queue.histories([change.change_id for change in changes])
    shown = set(AuditChange.model_fields) - {"events"}
    return [
        AuditChange(
            **change.model_dump(include=shown),
            events=[_event(event) for event in histories.get(change.change_id, ())],
        )
        for change in changes
    ]


_ACTIONS: Mapping[tuple[PendingChangeStatus | None, PendingChangeStatus | None], str] = {
    (None, _S.PENDING): "enqueue",
    (_S.PENDING, _S.APPROVED): "approve",
    (_S.APPROVED, _S.PENDING): "withdraw",
    (_S.APPROVED, _S.APPLYING): "reserve",
    (_S.APPLYING, _S.APPROVED): "release",
}
_ENDS = {_S.REJECTED: "reject", _S.APPLIED: "apply", None: "purge"}


def _event(event: ChangeEvent) -> AuditEvent:
    """A move that leaves the status as it is went to another batch, or is a note."""
    moved = (event.from_status, event.to_status)
    stays = "note" if event.batch_id is None else "batch_split"
    action = (
        stays if event.from_status is event.to_status else _ACTIONS.get(moved) or _ENDS.get(event.to_status, "note")
    )
    assert event.event_id is not None  # it comes from the store
    told = event.model_dump(mode="json", exclude_none=True, exclude={"at", "by"})
    return AuditEvent(
        event_id=event.event_id, timestamp=event.at, action=action, logical_user_id=event.by, payload=told
    )
