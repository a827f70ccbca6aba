"""The queue as reviewers use it: approve, reject, take back, purge, and decide on held batches."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from refsync.durable_steps import durable_step
from refsync.errors import BatchStateError, RequestError
from refsync.pending_queue import batch_moves, batch_sealing, change_moves, payloads, renames
from refsync.pending_queue.holds import HoldKind
from refsync.pending_queue.lifecycle import check_change_status
from refsync.pending_queue.models import (
    REFSYNC,
    SYSTEM,
    Actor,
    Batch,
    BatchSplitInfo,
    PendingBatchResult,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueueFilter,
)
from refsync.pending_queue.people import ReviewRules, Role
from refsync.pending_queue.queue_door import QueueDoor
from refsync.pending_queue.racing import done_again
from refsync.pending_queue.routing import RepositoryOf

if TYPE_CHECKING:
    from refsync.pending_queue.events import Listeners
    from refsync.pending_queue.store import PendingQueueStore
    from refsync.pending_queue.store.transaction import QueueTransaction

_S = PendingChangeStatus


@done_again
class ReviewDoor(QueueDoor):
    """What reviewers do with the queue; each call is checked as a whole and done in one transaction."""

    def __init__(
        self, store: PendingQueueStore, listeners: Listeners, rules: ReviewRules, process_user: str | None
    ) -> None:
        """Open the door of a store, which the caller closes, by these rules, in a process of this user."""
        super().__init__(store, listeners, rules)
        self._process_user = process_user

    def process_batch(
        self,
        *,
        approver_id: str,
        approver_username: str,
        batch_title: str,
        approved_ids: Collection[int] | None,
        rejected_ids: Collection[int] | None,
        reject_reason: str | None = None,
        os_user: str | None = None,
        provider: str = SYSTEM,
    ) -> PendingBatchResult:
        """Approve changes into the open batch, and reject others, in one step.

        Args:
            approver_id: who reviews.
            approver_username: their display name.
            batch_title: of the batch, if this call opens one; not needed to reject only.
            approved_ids: changes to approve.
            rejected_ids: changes to reject.
            reject_reason: why; needed to reject.
            os_user: the person of the operating system.
            provider: who vouches for ``approver_id``.

        Raises:
            NotAllowedError: the reviewer may not review one of the changes.
            RequestError: no id, a blank title or reason, an id both approved and rejected, a proposer who approves
                their own change where two persons are needed.
            ChangeNotFoundError: an id is unknown.
            ChangeStateError: a change is not pending.
        """
        actor = self._actor(approver_id, approver_username, os_user, provider)
        approved, rejected = _review_ids(approved_ids, rejected_ids)
        title = payloads.check_line("batch title", batch_title) if approved else ""
        reason = payloads.check_reason("reject reason", reject_reason) if rejected else ""
        with self._writing() as queue:
            to_approve, to_reject = (_pending(queue, ids) for ids in (approved, rejected))
            _refuse_both({change.change_id for change in to_approve} & {change.change_id for change in to_reject})
            self._check_reviewing(actor, (*to_approve, *to_reject))
            for change in to_approve:
                self._rules.check_two_persons(change.change_id, change.requester, actor)
            batch = batch_sealing.accepting(queue, title) if approved else None
            return PendingBatchResult(
                batch_id=None if batch is None else batch.number,
                batch_title="" if batch is None else batch.title,
                approved=[] if batch is None else change_moves.approve(queue, to_approve, batch, actor=actor),
                rejected=change_moves.reject(queue, to_reject, reason, actor=actor, batch=batch),
            )

    def withdraw(self, change_ids: Collection[int], *, actor: Actor) -> list[PendingChangeRecord]:
        """Take approvals back while their batch is open; the changes wait for review again.

        Raises:
            NotAllowedError: the actor may not review one of the changes.
            RequestError: no id.
            ChangeNotFoundError: an id is unknown.
            ChangeStateError: a change is not approved.
            BatchStateError: its batch is not open any more.
        """
        actor = self._with_user(actor)
        ids = payloads.check_ids("withdrawn ids", change_ids)
        if not ids:
            raise RequestError("name the changes whose approval is withdrawn")
        with self._writing() as queue:
            named = [change_moves.stored_change(queue, change_id) for change_id in ids]
            changes = [change_moves.withdrawable_change(queue, change) for change in renames.together(queue, named)]
            self._check_reviewing(actor, changes)
            withdrawn = change_moves.withdraw(queue, changes, actor=actor)
            batch_moves.close_left(queue, changes)
        return withdrawn

    def purge_changes(
        self,
        *,
        queue_filter: PendingQueueFilter | None,
        purged_by: str,
        purged_username: str,
        os_user: str | None = None,
        provider: str = SYSTEM,
    ) -> list[PendingChangeRecord]:
        """Remove and return the hits, all without a filter; never a change that is being applied.

        Raises:
            NotAllowedError: the actor may not review one of them.
        """
        actor = self._actor(purged_by, purged_username, os_user, provider)
        with self._writing() as queue:
            hits = renames.together(queue, queue.changes(queue_filter))
            purged = [change for change in hits if change.status is not _S.APPLYING]
            self._check_reviewing(actor, purged)
            change_moves.purge(queue, purged, actor=actor)
            batch_moves.close_left(queue, purged)
        return purged

    @durable_step("seal the open batch by hand")
    def seal_open_batch(self, repository_of: RepositoryOf, *, actor: Actor = REFSYNC) -> list[Batch]:
        """Fix the set of the open batch, one batch a repository; ``[]`` if it has no approved change.

        Args:
            repository_of: name of the repository that holds a category. The first repository's part keeps the
                number; changes that no repository holds wait in a held batch that says so.
            actor: who seals; told in the audit of a split.

        Raises:
            NotAllowedError: the actor may not review one of its changes.
        """
        with self._writing() as queue:
            if actor is not REFSYNC and (openly := queue.open_batch()):
                self._check_batch(queue, openly.number, self._with_user(actor))
            return batch_sealing.seal_open(queue, repository_of, by=actor)

    def seal_changes(
        self, change_ids: Collection[int], repository_of: RepositoryOf, *, actor: Actor
    ) -> tuple[list[Batch], BatchSplitInfo | None]:
        """Fix these changes of the open batch as its set, one batch a repository; the rest stays open.

        Raises:
            NotAllowedError: the actor may not review one of them.
            ChangeNotFoundError: an id is unknown.
            BatchStateError: none of them is in the open batch.
        """
        actor = self._with_user(actor)
        with self._writing() as queue:
            self._check_reviewing(actor, [change_moves.stored_change(queue, change_id) for change_id in change_ids])
            return batch_sealing.seal_part(queue, change_ids, repository_of, by=actor)

    def retry_batch(self, number: int, *, actor: Actor, confirmed: bool = False) -> Batch:
        """Let a held batch be worked on again, because a person says so.

        Args:
            number: of the batch.
            actor: who says so.
            confirmed: that it may delete as much as it does; needed where it is held for that, and nowhere else.

        Raises:
            NotAllowedError: the actor may not review one of its changes.
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not held, or is to be confirmed, or not.
        """
        actor = self._with_user(actor)
        with self._writing() as queue:
            batch = batch_moves.stored_batch(queue, number)
            self._check_batch(queue, number, actor)
            is_asked = batch.hold is not None and batch.hold.kind is HoldKind.mass_deletion
            if is_asked and not confirmed:
                raise BatchStateError(f"batch {number} is held: {batch.reason}")
            if confirmed and not is_asked:
                raise BatchStateError(f"batch {number} is not held for what it deletes; leave the confirmation out")
            return batch_moves.reseal(queue, number, by=actor, confirmed=confirmed)

    def abandon_batch(self, number: int, *, reason: str, actor: Actor) -> Batch:
        """Give a held or proposed batch up; its open changes are rejected with the reason.

        Raises:
            NotAllowedError: the actor may not review one of its changes.
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is neither.
            RequestError: the reason is blank.
        """
        actor, why = self._with_user(actor), payloads.check_reason("reason", reason)
        with self._writing() as queue:
            self._check_batch(queue, number, actor)
            return batch_moves.abandon(queue, number, why, by=actor)

    def _with_user(self, actor: Actor) -> Actor:
        """Who acts, with whose process this is where the caller has not said so."""
        is_told = actor.os_user is not None or actor.provider != SYSTEM
        return actor if is_told or actor is REFSYNC else replace(actor, os_user=self._process_user)

    def _check_batch(self, queue: QueueTransaction, number: int, actor: Actor) -> None:
        categories = {category for _, category in queue.categories_of_batch(number)}
        self._rules.check(actor, Role.approver, categories)

    def _check_reviewing(self, actor: Actor, changes: Iterable[PendingChangeRecord]) -> None:
        if categories := {change.category for change in changes}:
            self._rules.check(actor, Role.approver, categories)

    def _actor(self, actor_id: str, username: str, os_user: str | None, provider: str) -> Actor:
        return self._with_user(
            Actor(
                payloads.check_line("acting id", actor_id),
                payloads.check_line("acting name", username),
                payloads.check_text("operating system user", os_user),
                payloads.check_line("provider", provider),
            )
        )


def _review_ids(approved: Collection[int] | None, rejected: Collection[int] | None) -> tuple[list[int], list[int]]:
    """Both lists with each id once, in the order given."""
    approving = [] if approved is None else payloads.check_ids("approved ids", approved)
    rejecting = [] if rejected is None else payloads.check_ids("rejected ids", rejected)
    if not approving and not rejecting:
        raise RequestError("name the changes to approve or reject")
    _refuse_both(set(approving) & set(rejecting))
    return approving, rejecting


def _refuse_both(change_ids: Collection[int]) -> None:
    for change_id in sorted(change_ids):
        raise RequestError(f"change {change_id} is both approved and rejected; decide for one")


def _pending(queue: QueueTransaction, change_ids: Iterable[int]) -> list[PendingChangeRecord]:
    """The pending changes with these ids, with what lands together with them."""
    named = [change_moves.stored_change(queue, change_id) for change_id in change_ids]
    changes = renames.together(queue, named)
    for change in changes:
        check_change_status(change, _S.PENDING)
    return changes
