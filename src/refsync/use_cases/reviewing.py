"""Changes reviewed: approved, rejected, withdrawn, purged."""

from __future__ import annotations

from collections.abc import Collection

from refsync.application import Application
from refsync.errors import RequestError
from refsync.pending_queue.models import (
    Actor,
    BatchState,
    PendingBatchResult,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueueFilter,
)
from refsync.use_cases.answer import AnswerOf


class ReviewedChanges(AnswerOf[list[PendingChangeRecord]]):
    """The changes that something was done to."""


def review_changes(
    application: Application,
    *,
    title: str,
    approved: Collection[int],
    rejected: Collection[int],
    reason: str | None,
    actor: Actor,
) -> PendingBatchResult:
    """Approve changes into the open batch and reject others, in one step.

    Raises:
        RequestError: no change is named, or the review is refused.
        ChangeNotFoundError: an id is unknown.
        ChangeStateError: a change is not pending; told who was first.
    """
    return _review(application, actor, title=title, approved=approved, rejected=rejected, reason=reason)


def approve_changes(
    application: Application, change_ids: Collection[int] | None, *, title: str, actor: Actor
) -> PendingBatchResult:
    """Approve changes into the open batch.

    Args:
        application: the parts.
        change_ids: which ones; ``None`` for every pending one.
        title: of the batch; may be blank where one is open already.
        actor: who approves.

    Raises:
        RequestError: there is nothing to approve, a new batch has no title, or the approval is refused.
    """
    approved = _pending_ids(application) if change_ids is None else change_ids
    return _review(application, actor, title=_title(application, title), approved=approved)


def reject_changes(
    application: Application, change_ids: Collection[int], *, reason: str, actor: Actor
) -> PendingBatchResult:
    """Reject pending changes.

    Raises:
        RequestError: no change is named, or the reason is blank.
        ChangeNotFoundError: an id is unknown.
        ChangeStateError: a change is not pending.
    """
    return _review(application, actor, rejected=change_ids, reason=reason)


def withdraw_changes(application: Application, change_ids: Collection[int], *, actor: Actor) -> ReviewedChanges:
    """Take approvals back while their batch is open; the changes wait for review again.

    Raises:
        ChangeNotFoundError: an id is unknown.
        ChangeStateError: a change is not approved.
        BatchStateError: its batch is not open any more.
    """
    return ReviewedChanges(application.queue.withdraw(change_ids, actor=actor))


def purge_changes(
    application: Application, queue_filter: PendingQueueFilter | None, *, actor: Actor
) -> ReviewedChanges:
    """Remove the hits for good, all without a filter; never a change that is being applied."""
    purged = application.queue.purge_changes(
        queue_filter=queue_filter,
        purged_by=actor.id,
        purged_username=actor.username,
        os_user=actor.os_user,
        provider=actor.provider,
    )
    return ReviewedChanges(purged)


def purgeable_changes(application: Application, queue_filter: PendingQueueFilter) -> ReviewedChanges:
    """What a purge would remove: the hits, and what goes together with them."""
    hits = {change.change_id: change for change in application.queue.list_changes(queue_filter=queue_filter).items}
    for other in [change.lands_with for change in hits.values() if change.lands_with not in (None, *hits)]:
        if other is not None and (change := application.queue.get_change(other)):
            hits[other] = change
    applying = PendingChangeStatus.APPLYING
    return ReviewedChanges([hits[number] for number in sorted(hits) if hits[number].status is not applying])


def _review(
    application: Application,
    actor: Actor,
    *,
    title: str = "",
    approved: Collection[int] | None = None,
    rejected: Collection[int] | None = None,
    reason: str | None = None,
) -> PendingBatchResult:
    return application.queue.process_batch(
        approver_id=actor.id,
        approver_username=actor.username,
        batch_title=title,
        approved_ids=approved,
        rejected_ids=rejected,
        reject_reason=reason,
        os_user=actor.os_user,
        provider=actor.provider,
    )


def _pending_ids(application: Application) -> list[int]:
    pending = PendingQueueFilter(statuses={PendingChangeStatus.PENDING})
    ids = [change.change_id for change in application.queue.list_changes(queue_filter=pending).items]
    if not ids:
        raise RequestError("no change is pending, so there is nothing to approve")
    return ids


def _title(application: Application, title: str) -> str:
    """The title given; a call that joins an open batch needs none, for the batch has its own."""
    openly = application.queue.list_batches((BatchState.open,))
    if not title.strip() and not openly:
        raise RequestError("no batch is open, and a new one needs a title: --title TEXT")
    return title if title.strip() else openly[0].title
