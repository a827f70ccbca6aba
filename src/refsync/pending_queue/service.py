"""The queue as people and programs use it: submit, review, apply change by change, move to another machine.

Each call is checked as a whole and done in one transaction; what raises was not done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refsync.categories import CategoryName
from refsync.errors import RequestError
from refsync.pending_queue import batch_moves, change_moves, exchange, payloads, renames
from refsync.pending_queue.daemon_door import DaemonDoor
from refsync.pending_queue.events import AuditWriter, Listeners
from refsync.pending_queue.lifecycle import check_change_status
from refsync.pending_queue.models import (
    Actor,
    AuditOperation,
    Batch,
    MarkAppliedResult,
    PendingBatchResult,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueueFilter,
    Submission,
)
from refsync.pending_queue.submissions import checked, refuse_second_proposals, refuse_second_reverts

if TYPE_CHECKING:
    from refsync.pending_queue.store import PendingQueueStore
    from refsync.pending_queue.store.transaction import QueueTransaction

Completion = Callable[[Iterable[Submission]], Iterable[Submission]]
"""Gives submissions with what each is made from, and refuses at once what cannot work."""
_S = PendingChangeStatus


class PendingQueueService(DaemonDoor):
    """The queue's public door.

    Over a store alone, as here, it takes submissions as they are given: it knows no reference, so a change without a
    base is one of which nobody knows what it was made from. ``open_application`` gives one that looks it up.

    >>> import tempfile
    >>> from refsync import MODEL_REFERENCE_CATEGORY, PendingQueueStore
    >>> with tempfile.TemporaryDirectory() as folder, PendingQueueStore(root_path=Path(folder)) as store:
    ...     queue = PendingQueueService(store=store)
    ...     change = queue.enqueue_change(
    ...         category=MODEL_REFERENCE_CATEGORY.clip,
    ...         model_name="ViT-L/14",
    ...         operation=AuditOperation.CREATE,
    ...         payload={"nsfw": False},
    ...         requestor_id="1",
    ...         requestor_username="Ada",
    ...     )
    ...     reviewed = queue.process_batch(
    ...         approver_id="2",
    ...         approver_username="Bob",
    ...         batch_title="New models",
    ...         approved_ids=[change.change_id],
    ...         rejected_ids=None,
    ...     )
    >>> change.change_id, reviewed.batch_id, reviewed.approved[0].status.value
    (1, 1, 'approved')
    """

    def __init__(
        self,
        *,
        store: PendingQueueStore,
        audit_writer: AuditWriter | None = None,
        two_person_review: bool = False,
        one_proposal_per_model: bool = False,
        on_change: Callable[[], None] | None = None,
        complete: Completion | None = None,
    ) -> None:
        """Serve a store.

        Args:
            store: where the queue is kept; the caller closes it.
            audit_writer: is told of every action; its failure is logged, the action stands.
            two_person_review: refuse an approval by the proposer.
            one_proposal_per_model: refuse a proposal for a model that has an open one.
            on_change: called after every action, to wake who waits for one.
            complete: completes each submission, whatever door it comes by.
        """
        super().__init__(store, Listeners(audit_writer, on_change))
        self._two_person_review = two_person_review
        self._one_proposal_per_model = one_proposal_per_model
        self._complete = complete or iter

    def enqueue_change(
        self,
        *,
        category: CategoryName,
        model_name: str,
        operation: AuditOperation,
        payload: dict[str, Any] | None,
        requestor_id: str,
        requestor_username: str,
        notes: str | None = None,
        request_metadata: dict[str, Any] | None = None,
        related_models: list[str] | None = None,
        base: dict[str, Any] | None = None,
        base_known: bool = False,
        os_user: str | None = None,
    ) -> PendingChangeRecord:
        """Propose a change; it waits for review.

        Args:
            category: of the model.
            model_name: 1 to 255 characters on one line.
            operation: create, update or delete.
            payload: the full record to write; needed for create and update.
            requestor_id: who proposes it.
            requestor_username: their display name.
            notes: for the reviewer.
            request_metadata: kept with the change for later jobs.
            related_models: names of variants that are written in the same step.
            base: the record that the change was made from; looked up in the reference where it is not given.
            base_known: whether ``base`` is given, also as ``None`` for "there was none".
            os_user: the person of the operating system.

        Raises:
            ModelNameError: the name cannot be used.
            PayloadError: the payload, the base or the metadata cannot be used.
            UnknownCategoryError: there is no such category.
            RequestError: another argument cannot be used, or the model has an open proposal and may have one only.
        """
        submission = Submission(
            category,
            model_name,
            operation,
            payload,
            requestor_id,
            requestor_username,
            notes,
            request_metadata,
            related_models,
            base,
            base_known,
            os_user,
        )
        return self.enqueue_many([submission])[0]

    def enqueue_many(
        self, submissions: Iterable[Submission], progress: Callable[[int], None] | None = None
    ) -> list[PendingChangeRecord]:
        """Propose many changes, all or none.

        Args:
            submissions: the changes.
            progress: called with the number of changes checked so far.

        Raises:
            RequestError: one of them is refused, as ``enqueue_change`` does.
        """
        records: list[PendingChangeRecord] = []
        for submission in self._complete(submissions):
            records.append(checked(submission, self._store.catalogue))
            if progress is not None:
                progress(len(records))
        halves = list(renames.find_halves(records))
        with self._writing() as queue:
            if self._one_proposal_per_model:
                refuse_second_proposals(queue, records)
            refuse_second_reverts(queue, records)
            return renames.link(queue, change_moves.submit(queue, records), halves)

    def submit_sealed(
        self, submission: Submission, *, title: str, repository: str, actor: Actor
    ) -> PendingChangeRecord:
        """Propose a change that its proposer approves, in a batch of its own that is sealed at once.

        Raises:
            RequestError: it is refused, as ``enqueue_change`` does; or two persons are needed.
        """
        [record] = (checked(each, self._store.catalogue) for each in self._complete([submission]))
        list(renames.find_halves([record]))  # which refuses one without the other
        line = payloads.check_line("batch title", title)
        with self._writing() as queue:
            if self._one_proposal_per_model:
                refuse_second_proposals(queue, [record])
            submitted = change_moves.submit(queue, [record])
            self._check_two_persons(submitted, actor)
            [change] = submitted
            return batch_moves.sealed_for(queue, change, title=line, repository=repository, by=actor)

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

        Raises:
            RequestError: no id, a blank title or reason, an id both approved and rejected, a proposer who approves
                their own change where two persons are needed.
            ChangeNotFoundError: an id is unknown.
            ChangeStateError: a change is not pending.
        """
        actor = _actor(approver_id, approver_username, os_user)
        approved, rejected = _review_ids(approved_ids, rejected_ids)
        title = payloads.check_line("batch title", batch_title) if approved else ""
        reason = payloads.check_reason("reject reason", reject_reason) if rejected else ""
        with self._writing() as queue:
            to_approve, to_reject = (_pending(queue, ids) for ids in (approved, rejected))
            _refuse_both({change.change_id for change in to_approve} & {change.change_id for change in to_reject})
            self._check_two_persons(to_approve, actor)
            batch = batch_moves.accepting(queue, title) if approved else None
            return PendingBatchResult(
                batch_id=None if batch is None else batch.number,
                batch_title="" if batch is None else batch.title,
                approved=[] if batch is None else change_moves.approve(queue, to_approve, batch, actor=actor),
                rejected=change_moves.reject(queue, to_reject, reason, actor=actor, batch=batch),
            )

    def withdraw(self, change_ids: Collection[int], *, actor: Actor) -> list[PendingChangeRecord]:
        """Take approvals back while their batch is open; the changes wait for review again.

        Raises:
            RequestError: no id.
            ChangeNotFoundError: an id is unknown.
            ChangeStateError: a change is not approved.
            BatchStateError: its batch is not open any more.
        """
        ids = payloads.check_ids("withdrawn ids", change_ids)
        if not ids:
            raise RequestError("name the changes whose approval is withdrawn")
        with self._writing() as queue:
            named = [change_moves.stored_change(queue, change_id) for change_id in ids]
            changes = [change_moves.withdrawable_change(queue, change) for change in renames.together(queue, named)]
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
    ) -> list[PendingChangeRecord]:
        """Remove and return the hits, all without a filter; never a change that is being applied."""
        actor = _actor(purged_by, purged_username, os_user)
        with self._writing() as queue:
            hits = renames.together(queue, queue.changes(queue_filter))
            purged = [change for change in hits if change.status is not _S.APPLYING]
            change_moves.purge(queue, purged, actor=actor)
            batch_moves.close_left(queue, purged)
        return purged

    def reserve_for_apply(self, *, change_id: int, reservation_id: str) -> PendingChangeRecord:
        """Lock an approved change for the job with this token; the same job gets it again.

        Raises:
            ChangeNotFoundError: no change has this id.
            ChangeStateError: it is not approved, or another job holds it.
        """
        token = payloads.check_line("reservation id", reservation_id)
        with self._writing() as queue:
            change = renames.check_alone(change_moves.stored_change(queue, change_id))
            return change_moves.reserve(queue, [change], token)[0]

    def clear_apply_reservation(self, *, change_id: int, reservation_id: str) -> None:
        """Give the lock up; no effect for an unknown id or another token."""
        with self._writing() as queue:
            change = queue.change(change_id)
            if change is not None and change_moves.is_reserved(change, reservation_id):
                change_moves.release(queue, [change])
                batch_moves.settle(queue, change.batch_id)

    def mark_applied(
        self, *, change_id: int, applied_by: str, applied_username: str, job_id: str | None = None
    ) -> MarkAppliedResult:
        """Mark one change as landed; what is still approved in its batch gets a batch of its own.

        Raises:
            ChangeNotFoundError: no change has this id.
            ChangeStateError: it is neither approved nor reserved, or reserved with another token.
        """
        actor = _actor(applied_by, applied_username, None)
        with self._writing() as queue:
            change = renames.check_alone(change_moves.stored_change(queue, change_id))
            [applied] = change_moves.apply(queue, [change], actor=actor, token=job_id)
            return MarkAppliedResult(record=applied, batch_split=batch_moves.settle(queue, change.batch_id))

    def retry_batch(self, number: int, *, actor: Actor) -> Batch:
        """Let a held batch be worked on again, because a person says so.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not held.
        """
        with self._writing() as queue:
            return batch_moves.reseal(queue, number, by=actor)

    def abandon_batch(self, number: int, *, reason: str, actor: Actor) -> Batch:
        """Give a held or proposed batch up; its open changes are rejected with the reason.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is neither.
            RequestError: the reason is blank.
        """
        why = payloads.check_reason("reason", reason)
        with self._writing() as queue:
            return batch_moves.abandon(queue, number, why, by=actor)

    def export_changes(self) -> Iterator[dict[str, Any]]:
        """The whole queue as JSON objects, one a line: a header, then each change with its history and batch."""
        return exchange.export_changes(self._store)

    def import_changes(self, lines: Iterable[str | bytes]) -> exchange.ImportReport:
        """Take what ``export_changes`` gave, as JSON Lines, into an empty store; all or nothing.

        Raises:
            PayloadError: a line is no JSON object, or the first one no header.
            RequestError: the store is not empty.
        """
        report = exchange.import_changes(self._store, lines)
        self._listeners.wake()
        return report

    def import_folder(self, folder: Path) -> exchange.ImportReport:
        """Take the ecosystem's queue folder (``changes.json``, ``index.json``) into an empty store; all or nothing.

        Raises:
            StoreError: ``changes.json`` is missing or damaged.
            RequestError: the store is not empty.
        """
        report = exchange.import_folder(self._store, folder)
        self._listeners.wake()
        return report

    def _check_two_persons(self, changes: Iterable[PendingChangeRecord], actor: Actor) -> None:
        for change in changes:
            if self._two_person_review and change.requested_by == actor.id:
                raise RequestError(
                    f"change {change.change_id} was proposed by {actor.id}; another person has to approve it"
                )


def _actor(actor_id: str, username: str, os_user: str | None) -> Actor:
    return Actor(
        payloads.check_line("acting id", actor_id),
        payloads.check_line("acting name", username),
        payloads.check_text("operating system user", os_user),
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
