"""Checking what is submitted, before it is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refsync.categories import Catalogue, CategoryName
from refsync.errors import PayloadError, RequestError
from refsync.pending_queue import payloads
from refsync.pending_queue.lifecycle import OPEN_STATUSES
from refsync.pending_queue.models import (
    AuditOperation,
    PendingChangeRecord,
    PendingQueueFilter,
    Submission,
)

if TYPE_CHECKING:
    from refsync.pending_queue.store.transaction import QueueTransaction


def checked(submission: Submission, catalogue: Catalogue) -> PendingChangeRecord:
    """The change that is submitted, not stored yet.

    Raises:
        RequestError: a part of it cannot be used.
    """
    operation = _operation(submission.operation)
    payload = _optional_object("payload", submission.payload)
    if payload is None and operation is not AuditOperation.DELETE:
        raise PayloadError(f"payload: {operation} needs the full record")
    return PendingChangeRecord(
        change_id=0,
        category=catalogue.parse(submission.category),
        model_name=_name(operation, submission.model_name),
        operation=operation,
        payload=payload,
        requested_by=payloads.check_line("requestor id", submission.requestor_id),
        requested_username=payloads.check_line("requestor name", submission.requestor_username),
        notes=payloads.check_text("notes", submission.notes),
        request_metadata=_optional_object("request metadata", submission.request_metadata),
        related_models=_related(submission.related_models),
        base=_optional_object("base", submission.base),
        base_known=submission.base_known or submission.base is not None,
        os_user=payloads.check_text("operating system user", submission.os_user),
        requested_provider=payloads.check_line("provider", submission.provider),
        reverts=submission.reverts,
        after=None if submission.after is None else payloads.check_old_name(submission.after),
        before=None if submission.before is None else payloads.check_old_name(submission.before),
        remarks=list(submission.remarks) or None,
    )


@dataclass(frozen=True)
class OpenLimits:
    """How many changes may be open at a time, in all and of one person; ``None`` for any number."""

    in_all: int | None = None
    by_person: int | None = None


UNLIMITED = OpenLimits()


def refuse_too_many(queue: QueueTransaction, records: Sequence[PendingChangeRecord], limits: OpenLimits) -> None:
    """See that no more changes are open than may be, with these.

    Raises:
        RequestError: there would be.
    """
    if limits == UNLIMITED:
        return
    new = Counter((record.requested_provider, record.requested_by) for record in records)
    for (provider, who), count in new.items():
        in_all, by_person = queue.count_open(provider, who)
        _refuse_beyond(limits.in_all, in_all, len(records), "", "open_changes")
        _refuse_beyond(limits.by_person, by_person, count, f" of {who}", "open_changes_by_person")


def _refuse_beyond(limit: int | None, there: int, new: int, whose: str, key: str) -> None:
    if limit is not None and there + new > limit:
        raise RequestError(
            f"{there} changes{whose} are open and {new} more would come; at most {limit} may be open at a time "
            f"({key} in [guard]); have some reviewed first"
        )


def _name(operation: AuditOperation, name: object) -> str:
    """What is there may be deleted, whatever it is called."""
    if operation is AuditOperation.DELETE:
        return payloads.check_old_name(name)
    return payloads.check_model_name(name)


def refuse_second_proposals(queue: QueueTransaction, records: Iterable[PendingChangeRecord]) -> None:
    """Where a model may have one open proposal, see that it gets no second one.

    Raises:
        RequestError: it would.
    """
    wanted = [(record.category, record.model_name) for record in records]
    stored = queue.open_proposals(wanted)
    seen: set[tuple[CategoryName, str]] = set()
    for category, name in wanted:
        if (category, name) in stored:
            change_id = stored[category, name][0]
            raise RequestError(
                f"{category} {name!r} has an open proposal, change {change_id}; have that reviewed first"
            )
        if (category, name) in seen:
            raise RequestError(f"{category} {name!r} is proposed twice; one open proposal for a model is allowed")
        seen.add((category, name))


def refuse_second_reverts(queue: QueueTransaction, records: Iterable[PendingChangeRecord]) -> None:
    """See that no batch is reverted twice at a time.

    Raises:
        RequestError: it is being reverted.
    """
    for number in {record.reverts for record in records if record.reverts is not None}:
        waiting = queue.changes(PendingQueueFilter(reverts=number, statuses=set(OPEN_STATUSES)))
        if waiting:
            ids = ", ".join(f"{change.change_id} ({change.status})" for change in waiting)
            raise RequestError(f"batch {number} is being reverted already, by {ids}; have that reviewed first")


def _operation(operation: str) -> AuditOperation:
    try:
        return AuditOperation(operation)
    except ValueError:
        raise RequestError(f"unknown operation {operation!r}; known are {', '.join(AuditOperation)}") from None


def _optional_object(what: str, value: object) -> dict[str, Any] | None:
    return None if value is None else payloads.check_payload(value, what=what)


def _related(names: object) -> list[str] | None:
    if names is None:
        return None
    if not isinstance(names, list):
        raise RequestError(f"related models: expected a list of names, got {type(names).__name__}")
    return [payloads.check_model_name(name) for name in names]
