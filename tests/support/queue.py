"""A queue in a temporary folder, with a small vocabulary."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from refsync.categories import MODEL_REFERENCE_CATEGORY, CategoryName
from refsync.pending_queue.daemon_door import DaemonDoor
from refsync.pending_queue.holds import Hold, HoldKind
from refsync.pending_queue.models import AuditOperation, PendingBatchResult, PendingChangeRecord
from refsync.pending_queue.service import PendingQueueService
from refsync.state_directory import FileLease

CLIP = MODEL_REFERENCE_CATEGORY.clip
LORA = MODEL_REFERENCE_CATEGORY.lora
TEXT = MODEL_REFERENCE_CATEGORY.text_generation


def submit(
    service: PendingQueueService,
    name: str = "ViT-L/14",
    *,
    category: MODEL_REFERENCE_CATEGORY = CLIP,
    operation: AuditOperation = AuditOperation.CREATE,
    payload: dict[str, Any] | None = None,
    by: str = "1",
    **more: Any,
) -> PendingChangeRecord:
    record = {"name": name} if payload is None and operation is not AuditOperation.DELETE else payload
    return service.enqueue_change(
        category=category,
        model_name=name,
        operation=operation,
        payload=record,
        requestor_id=by,
        requestor_username="Ada",
        **more,
    )


def review(
    service: PendingQueueService,
    approve: Iterable[int] = (),
    reject: Iterable[int] = (),
    *,
    title: str = "New models",
    reason: str | None = "not ours",
    by: str = "2",
) -> PendingBatchResult:
    return service.process_batch(
        approver_id=by,
        approver_username="Bob",
        batch_title=title,
        approved_ids=list(approve),
        rejected_ids=list(reject),
        reject_reason=reason,
    )


def approved(service: PendingQueueService, count: int, **more: Any) -> list[int]:
    """Ids of this many approved changes of different models."""
    ids = [submit(service, f"model {number}", **more).change_id for number in range(count)]
    review(service, ids)
    return ids


def in_image(category: CategoryName) -> str | None:
    """Where categories are held: clip in one repository, text in another, all else in none."""
    return {str(CLIP): "image", str(TEXT): "text"}.get(category)


def in_pass(service: PendingQueueService, attempt: str = "an attempt") -> DaemonDoor:
    """The queue as a pass may change it."""
    return service.under(FileLease(attempt))


def waits_for(reason: str) -> Hold:
    """A hold that only its reason tells."""
    return Hold(kind=HoldKind.other, reason=reason)


WAITS = waits_for("waits")
