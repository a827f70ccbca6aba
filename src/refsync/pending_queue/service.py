"""The queue as people and the daemon use it: submit, review, seal, reserve, land.

Each call is checked as a whole and done in one transaction; what raises was not done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from loguru import logger

from refsync.categories import parse_category
from refsync.errors import BatchStateError, PayloadError, RequestError
from refsync.pending_queue import batch_moves, change_moves, exchange, payloads
from refsync.pending_queue.holds import Hold
from refsync.pending_queue.lifecycle import IN_WORK_STATES, OPEN_STATUSES, check_batch_state, check_change_status
from refsync.pending_queue.models import (
    REFSYNC,
    Actor,
    AuditOperation,
    AuditPayload,
    Batch,
    BatchSplitInfo,
    BatchState,
    Category,
    ChangeEvent,
    MarkAppliedResult,
    PendingBatchResult,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueueFilter,
    PendingQueuePage,
    Proposal,
    RepositoryNote,
    Submission,
)

if TYPE_CHECKING:
    from refsync.pending_queue.store import PendingQueueStore
    from refsync.pending_queue.store.transaction import QueueTransaction

_S = PendingChangeStatus

Completion = Callable[[Iterable[Submission]], Iterable[Submission]]
"""Gives submissions with what each is made from, and refuses at once what cannot work."""
_AUDIT_NAME = "pending_queue"
_PART = 1000


class AuditWriter(Protocol):
    """Where every successful action is told."""

    def append_event(
        self,
        *,
        domain: str,
        category: str,
        model_name: str,
        operation: AuditOperation,
        logical_user_id: str,
        payload: AuditPayload,
    ) -> Any:
        """Keep one event."""


class PendingQueueService:
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
        self._store = store
        self._audit_writer = audit_writer
        self._two_person_review = two_person_review
        self._one_proposal_per_model = one_proposal_per_model
        self._on_change = on_change
        self._complete = complete or iter

    # submitting

    def enqueue_change(
        self,
        *,
        category: Category,
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
            records.append(_checked(submission))
            if progress is not None:
                progress(len(records))
        with self._store.writing() as queue:
            if self._one_proposal_per_model:
                _refuse_second_proposals(queue, records)
            _refuse_second_reverts(queue, records)
            submitted = change_moves.submit(queue, records)
        self._tell("enqueue", submitted, lambda change: change.requested_by)
        return submitted

    def submit_sealed(
        self, submission: Submission, *, title: str, repository: str, actor: Actor
    ) -> PendingChangeRecord:
        """Propose a change that its proposer approves, in a batch of its own that is sealed at once.

        Raises:
            RequestError: it is refused, as ``enqueue_change`` does; or two persons are needed.
        """
        [record] = map(_checked, self._complete([submission]))
        line = payloads.check_line("batch title", title)
        with self._store.writing() as queue:
            if self._one_proposal_per_model:
                _refuse_second_proposals(queue, [record])
            submitted = change_moves.submit(queue, [record])
            self._check_two_persons(submitted, actor)
            [change] = submitted
            sealed = batch_moves.sealed_for(queue, change, title=line, repository=repository, by=actor)
        self._audit("enqueue", submitted, actor.id)
        self._audit("approve", [sealed], actor.id)
        self._changed()
        return sealed

    # reading

    def get_change(self, change_id: int) -> PendingChangeRecord | None:
        """One change, ``None`` if there is none."""
        with self._store.reading() as queue:
            change = queue.change(change_id)
            return None if change is None else change_moves.with_conflicts(queue, [change])[0]

    def show_change(self, change_id: int) -> PendingChangeRecord:
        """One change whole, with its history.

        Raises:
            ChangeNotFoundError: no change has this id.
        """
        with self._store.reading() as queue:
            change = change_moves.with_conflicts(queue, [change_moves.stored_change(queue, change_id)])[0]
            return change.model_copy(update={"history": queue.history([change_id]).get(change_id, [])})

    def list_changes(
        self, *, queue_filter: PendingQueueFilter | None = None, offset: int = 0, limit: int | None = None
    ) -> PendingQueuePage:
        """A page of the hits by ascending id.

        Raises:
            RequestError: the offset or the limit is negative.
        """
        payloads.check_page(offset, limit)
        with self._store.reading() as queue:
            hits = change_moves.with_conflicts(queue, queue.changes(queue_filter, offset=offset, limit=limit))
            return PendingQueuePage(items=hits, total=queue.count(queue_filter), offset=offset, limit=limit)

    def iterate_changes(self, queue_filter: PendingQueueFilter | None = None) -> Iterator[PendingChangeRecord]:
        """Every hit by ascending id, read in parts as it is asked for."""
        last = 0
        while True:
            with self._store.reading() as queue:
                hits = change_moves.with_conflicts(queue, queue.changes(queue_filter, after=last, limit=_PART))
            yield from hits
            if len(hits) < _PART:
                return
            last = hits[-1].change_id

    def history_of(self, change_id: int) -> list[ChangeEvent]:
        """Every move of a change, oldest first; also of one that was purged.

        Raises:
            ChangeNotFoundError: no change has or had this id.
        """
        with self._store.reading() as queue:
            events = queue.history([change_id]).get(change_id)
            if events is None:
                change_moves.stored_change(queue, change_id)
            return events or []

    # review

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
        with self._store.writing() as queue:
            to_approve, to_reject = ([_pending(queue, change_id) for change_id in ids] for ids in (approved, rejected))
            self._check_two_persons(to_approve, actor)
            batch = batch_moves.accepting(queue, title) if approved else None
            result = PendingBatchResult(
                batch_id=None if batch is None else batch.number,
                batch_title="" if batch is None else batch.title,
                approved=[]
                if batch is None
                else [change_moves.approve(queue, c, batch, actor=actor) for c in to_approve],
                rejected=[change_moves.reject(queue, c, reason, actor=actor, batch=batch) for c in to_reject],
            )
        self._audit("approve", result.approved, actor.id)
        self._audit("reject", result.rejected, actor.id)
        self._changed()
        return result

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
        with self._store.writing() as queue:
            changes = [_withdrawable(queue, change_id) for change_id in ids]
            withdrawn = [change_moves.withdraw(queue, change, actor=actor) for change in changes]
            batch_moves.close_left(queue, changes)
        self._tell("withdraw", withdrawn, lambda _: actor.id)
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
        with self._store.writing() as queue:
            purged = [change for change in queue.changes(queue_filter) if change.status is not _S.APPLYING]
            change_moves.purge(queue, purged, actor=actor)
            batch_moves.close_left(queue, purged)
        self._tell("purge", purged, lambda _: actor.id)
        return purged

    # applying change by change

    def reserve_for_apply(self, *, change_id: int, reservation_id: str) -> PendingChangeRecord:
        """Lock an approved change for the job with this token; the same job gets it again.

        Raises:
            ChangeNotFoundError: no change has this id.
            ChangeStateError: it is not approved, or another job holds it.
        """
        token = payloads.check_line("reservation id", reservation_id)
        with self._store.writing() as queue:
            return change_moves.reserve(queue, change_moves.stored_change(queue, change_id), token)

    def clear_apply_reservation(self, *, change_id: int, reservation_id: str) -> None:
        """Give the lock up; no effect for an unknown id or another token."""
        with self._store.writing() as queue:
            change = queue.change(change_id)
            if change is None or not change_moves.is_reserved(change, reservation_id):
                return
            change_moves.release(queue, change, why="the reservation is released")
            split = batch_moves.settle(queue, change.batch_id)
        self._audit_splits([] if split is None else [split])
        self._changed()

    def mark_applied(
        self, *, change_id: int, applied_by: str, applied_username: str, job_id: str | None = None
    ) -> MarkAppliedResult:
        """Mark one change as landed; what is still approved in its batch gets a batch of its own.

        Raises:
            ChangeNotFoundError: no change has this id.
            ChangeStateError: it is neither approved nor reserved, or reserved with another token.
        """
        actor = _actor(applied_by, applied_username, None)
        with self._store.writing() as queue:
            change = change_moves.stored_change(queue, change_id)
            applied = change_moves.apply(queue, change, actor=actor, token=job_id)
            split = batch_moves.settle(queue, change.batch_id)
        self._audit("apply", [applied], actor.id)
        self._audit_splits([] if split is None else [split])
        self._changed()
        return MarkAppliedResult(record=applied, batch_split=split)

    def scan_stuck_applying(self, is_alive: Callable[[str], bool] | None = None) -> list[PendingChangeRecord]:
        """Return reservations whose job has died to approved; for start-up.

        Args:
            is_alive: whether the job with this token still runs; without it none does.
        """
        with self._store.writing() as queue:
            locked = queue.changes(PendingQueueFilter(statuses={_S.APPLYING}))
            stuck = [change for change in locked if is_alive is None or not is_alive(change.applied_job_id or "")]
            freed = [change_moves.release(queue, change, why="its job died") for change in stuck]
            splits = [batch_moves.settle(queue, number) for number in sorted({c.batch_id for c in stuck if c.batch_id})]
        for change in stuck:
            logger.warning(
                "change {} was left behind by job {}; approved again", change.change_id, change.applied_job_id
            )
        self._audit_splits(split for split in splits if split is not None)
        if freed:
            self._changed()
        return freed

    # batches

    def list_batches(self, states: Collection[BatchState] | None = None) -> list[Batch]:
        """The batches in these states, or all, by ascending number."""
        with self._store.reading() as queue:
            return queue.batches(states)

    def batches_in_turn(self, states: Collection[BatchState]) -> list[Batch]:
        """The batches in these states in the order of their turns: by number, what was split off behind its origin."""
        with self._store.reading() as queue:
            return batch_moves.in_turn(queue, states)

    def open_batch(self, *, approved_until: float) -> Batch | None:
        """The open batch; an approval that lies behind a time (now), by a clock that was set back, is dated then."""
        with self._store.writing() as queue:
            return batch_moves.open_until(queue, approved_until)

    def get_batch(self, number: int) -> Batch:
        """One batch.

        Raises:
            BatchNotFoundError: no batch has this number.
        """
        with self._store.reading() as queue:
            return batch_moves.stored_batch(queue, number)

    def changes_of_batch(self, number: int) -> list[PendingChangeRecord]:
        """The changes of a batch, whatever their status, by ascending id.

        Raises:
            BatchNotFoundError: no batch has this number.
        """
        with self._store.reading() as queue:
            batch_moves.stored_batch(queue, number)
            return change_moves.with_conflicts(queue, queue.changes_of_batch(number))

    def seal_open_batch(self, repository_of: batch_moves.RepositoryOf, *, actor: Actor = REFSYNC) -> list[Batch]:
        """Fix the set of the open batch, one batch a repository; ``[]`` if it has no approved change.

        Args:
            repository_of: name of the repository that holds a category. The first repository's part keeps the
                number; changes that no repository holds wait in a held batch that says so.
            actor: who seals; told in the audit of a split.
        """
        with self._store.writing() as queue:
            sealed, splits = batch_moves.seal_open(queue, repository_of)
        self._audit_splits(splits, actor.id)
        if sealed:
            self._changed()
        return sealed

    def route_batches(self, repository_of: batch_moves.RepositoryOf) -> list[Batch]:
        """Give every batch that has no repository yet its own, as sealing does.

        These are batches that were held because no repository of the config held their categories; they stay so
        until one does, or a person wants them tried again.
        """
        routed: list[Batch] = []
        splits: list[BatchSplitInfo] = []
        with self._store.writing() as queue:
            for batch in queue.batches({BatchState.sealed, BatchState.held}):
                if batch.repository is None and batch_moves.may_be_routed(queue, batch, repository_of):
                    some, their_splits = batch_moves.route(queue, batch, repository_of)
                    routed += some
                    splits += their_splits
        self._audit_splits(splits)
        if routed:
            self._changed()
        return routed

    def split_batch(self, number: int, change_ids: Collection[int], hold: Hold) -> BatchSplitInfo:
        """Let some changes of a batch in work wait in a held batch of their own.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not in work, or nothing would be left in it.
            ChangeStateError: a change is not an approved one of this batch.
            RequestError: no change is named, or the reason is blank.
        """
        payloads.check_reason("reason", hold.reason)
        with self._changing() as queue:
            split = batch_moves.split(queue, number, change_ids, hold)
        self._audit_splits([split])
        return split

    def hold_batch(self, number: int, hold: Hold) -> Batch:
        """Let a batch in work wait; reservations are given up.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not in work.
        """
        payloads.check_reason("reason", hold.reason)
        with self._changing() as queue:
            return batch_moves.let_wait(queue, number, hold)

    def retry_batch(self, number: int, *, actor: Actor) -> Batch:
        """Let a held batch be worked on again, because a person says so.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not held.
        """
        with self._changing() as queue:
            return batch_moves.reseal(queue, number, by=actor)

    def resume_batch(self, number: int) -> Batch:
        """Let a held batch be worked on again, because what it waited for is gone.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not held.
        """
        with self._changing() as queue:
            return batch_moves.reseal(queue, number, by=None)

    def propose_batch(self, number: int, proposal: Proposal) -> Batch:
        """Let a batch in work be reviewed on its proposal branch; reservations are given up.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not in work.
        """
        with self._store.writing() as queue:
            return batch_moves.propose(queue, number, proposal)

    def note_proposal(self, number: int, proposal: Proposal) -> Batch:
        """Keep what is known of a batch's branch and pull request; its state stays.

        Raises:
            BatchNotFoundError: no batch has this number.
        """
        with self._store.writing() as queue:
            batch = batch_moves.stored_batch(queue, number)
            return queue.save_batch(batch.model_copy(update={"proposal": proposal}))

    def reseal_proposal(self, number: int) -> Batch:
        """Take a proposed batch back into work, to be built anew; its branch and pull request stay.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not proposed.
        """
        with self._store.writing() as queue:
            return batch_moves.reseal_proposal(queue, number)

    def abandon_batch(self, number: int, *, reason: str, actor: Actor) -> Batch:
        """Give a held or proposed batch up; its open changes are rejected with the reason.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is neither.
            RequestError: the reason is blank.
        """
        why = payloads.check_reason("reason", reason)
        with self._changing() as queue:
            batch, refused = batch_moves.abandon(queue, number, why, by=actor)
        self._audit("reject", refused, actor.id)
        return batch

    def give_up_batch(self, number: int, *, reason: str, actor: Actor) -> Batch:
        """Give up a batch in work at once, because who asked for it does not wait; as ``abandon_batch``.

        Raises:
            BatchStateError: it has landed or was abandoned.
        """
        why = payloads.check_reason("reason", reason)
        with self._changing() as queue:
            batch, refused = batch_moves.give_up(queue, number, why, by=actor)
        self._audit("reject", refused, actor.id)
        return batch

    def reserve_batch(self, number: int) -> list[PendingChangeRecord]:
        """Lock the batch's approved changes with its token, and return them by ascending id; again it does the same.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not sealed or proposed.
            ChangeStateError: another job holds one of them; none is locked.
        """
        with self._store.writing() as queue:
            return batch_moves.reserve(queue, number)

    def release_batch(self, number: int) -> list[PendingChangeRecord]:
        """Unlock what the batch's token holds, and return it.

        Raises:
            BatchNotFoundError: no batch has this number.
        """
        with self._store.writing() as queue:
            return batch_moves.release(queue, number)

    def record_commit(self, number: int, *, base_commit: str, commit: str) -> Batch:
        """Keep which commit was built for a batch, and on which, before it is published.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not in work.
        """
        with self._store.writing() as queue:
            batch = batch_moves.stored_batch(queue, number)
            check_batch_state(batch, IN_WORK_STATES, "committed")
            return queue.save_batch(batch.model_copy(update={"base_commit": base_commit, "commit": commit}))

    def reject_by_refsync(self, change_id: int, reason: str) -> PendingChangeRecord:
        """Refuse an accepted change that cannot be applied.

        Raises:
            ChangeNotFoundError: no change has this id.
            ChangeStateError: it is not approved or being applied.
            RequestError: the reason is blank.
        """
        why = payloads.check_reason("reason", reason)
        with self._store.writing() as queue:
            change = change_moves.stored_change(queue, change_id)
            if change.status is _S.PENDING:  # a person decides on those
                check_change_status(change, _S.APPROVED)
            rejected = change_moves.reject(queue, change, why, actor=REFSYNC)
            batch_moves.close_left(queue, [change])
        self._tell("reject", [rejected], lambda _: REFSYNC.id)
        return rejected

    def land_batch(
        self,
        number: int,
        *,
        commit: str | None,
        applied_by: Actor | None,
        change_ids: Collection[int] | None = None,
        edited: Collection[int] = (),
        unwritten: Collection[int] = (),
    ) -> list[PendingChangeRecord]:
        """Mark a batch as landed: its accepted changes are applied, and returned by ascending id.

        A batch of which every change was refused is abandoned. Done again, it changes nothing.

        Args:
            number: of the batch.
            commit: that it landed in; ``None`` where everything was in place already.
            applied_by: who landed it; ``None`` where nobody knows yet, see :meth:`credit_landing`.
            change_ids: the changes that landed, if not all; the others get a sealed batch of their own.
            edited: those of them whose records were edited in review.
            unwritten: those of them that asked for what was there already.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is open.
            ChangeStateError: a change named is not an accepted one of this batch, or another job holds it.
        """
        with self._store.writing() as queue:
            applied, split = batch_moves.land(
                queue,
                number,
                commit=commit,
                by=applied_by,
                change_ids=change_ids,
                edited=edited,
                unwritten=unwritten,
            )
            landed = queue.changes_of_batch(number, {_S.APPLIED})
        self._audit("apply", applied, (applied_by or REFSYNC).id)
        self._audit_splits([] if split is None else [split])
        if applied:
            self._changed()
        return landed

    def landed_without_merger(self, repository: str) -> list[Batch]:
        """The landed batches of a repository of which the forge has yet to say who merged them."""
        with self._store.reading() as queue:
            return queue.batches_without_merger(repository)

    def credit_landing(self, number: int, by: Actor) -> None:
        """Say who landed a batch that was marked as landed without that.

        Raises:
            BatchNotFoundError: no batch has this number.
        """
        with self._store.writing() as queue:
            batch_moves.stored_batch(queue, number)
            for change in queue.changes_of_batch(number, {_S.APPLIED}):
                if change.applied_by is None:
                    change_moves.credit(queue, change, by)

    def batches_landed_in(self, commits: Collection[str]) -> dict[str, int]:
        """For each of the commits by which a batch landed, the batch's number."""
        with self._store.reading() as queue:
            return queue.batches_landed_in(commits)

    # repositories

    def note_repository(
        self,
        name: str,
        *,
        last_landed_commit: str | None = None,
        last_landed_at: float | None = None,
        last_error: str | None = None,
        last_error_at: float | None = None,
        clear_error: bool = False,
        last_pass_at: float | None = None,
    ) -> None:
        """Keep for ``status`` what is given of a repository; the rest of its note stays.

        Args:
            name: of the repository.
            last_landed_commit: the newest commit that landed.
            last_landed_at: when, in Unix seconds.
            last_error: what went wrong; its time is now unless given.
            last_error_at: when, in Unix seconds.
            clear_error: forget the last error.
            last_pass_at: when a pass last looked at it, in Unix seconds.
        """
        given = {
            "last_landed_commit": last_landed_commit,
            "last_landed_at": last_landed_at,
            "last_error": last_error,
            "last_error_at": last_error_at or (None if last_error is None else time.time()),
            "last_pass_at": last_pass_at,
        }
        values = {field: value for field, value in given.items() if value is not None}
        cleared: dict[str, Any] = {"last_error": None, "last_error_at": None} if clear_error else {}
        with self._store.writing() as queue:
            queue.note_repository(name, cleared | values)

    def repository_notes(self) -> dict[str, RepositoryNote]:
        """What is noted of each repository, by its name."""
        with self._store.reading() as queue:
            return {note.name: note for note in queue.repository_notes()}

    def check_writable(self) -> None:
        """See that the store takes writes, without one.

        Raises:
            StoreBusyError: another process holds it, or its disk is full.
            StoreError: it cannot be written.
        """
        with self._store.writing():
            pass

    # moving to another machine

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
        self._changed()
        return report

    def import_folder(self, folder: Path) -> exchange.ImportReport:
        """Take the ecosystem's queue folder (``changes.json``, ``index.json``) into an empty store; all or nothing.

        Raises:
            StoreError: ``changes.json`` is missing or damaged.
            RequestError: the store is not empty.
        """
        report = exchange.import_folder(self._store, folder)
        self._changed()
        return report

    # telling others

    @contextmanager
    def _changing(self) -> Iterator[QueueTransaction]:
        with self._store.writing() as queue:
            yield queue
        self._changed()

    def _tell(
        self, action: str, changes: Collection[PendingChangeRecord], who: Callable[[PendingChangeRecord], str]
    ) -> None:
        for change in changes:
            self._audit(action, [change], who(change))
        if changes:
            self._changed()

    def _audit(self, action: str, changes: Iterable[PendingChangeRecord], user_id: str) -> None:
        for change in changes:
            after = change.model_dump(mode="json", exclude_none=True, exclude={"payload", "base", "conflicts_with"})
            self._append(str(change.change_id), user_id, {"action": action, **after})

    def _audit_splits(self, splits: Iterable[BatchSplitInfo], user_id: str = REFSYNC.id) -> None:
        for split in splits:
            self._append(str(split.original_batch_id), user_id, {"action": "batch_split", **split.model_dump()})

    def _append(self, name: str, user_id: str, after: dict[str, Any]) -> None:
        if self._audit_writer is None:
            return
        try:
            self._audit_writer.append_event(
                domain=_AUDIT_NAME,
                category=_AUDIT_NAME,
                model_name=name,
                operation=AuditOperation.UPDATE,
                logical_user_id=user_id,
                payload=AuditPayload(after=after),
            )
        except Exception as error:
            logger.error("audit of {} {} failed, the action stands: {!r}", after["action"], name, error)

    def _changed(self) -> None:
        if self._on_change is None:
            return
        try:
            self._on_change()
        except Exception as error:
            logger.error("waking the daemon failed, the action stands: {!r}", error)

    def _check_two_persons(self, changes: Iterable[PendingChangeRecord], actor: Actor) -> None:
        for change in changes:
            if self._two_person_review and change.requested_by == actor.id:
                raise RequestError(
                    f"change {change.change_id} was proposed by {actor.id}; another person has to approve it"
                )


def _checked(submission: Submission) -> PendingChangeRecord:
    operation = _operation(submission.operation)
    payload = _optional_object("payload", submission.payload)
    if payload is None and operation is not AuditOperation.DELETE:
        raise PayloadError(f"payload: {operation} needs the full record")
    return PendingChangeRecord(
        change_id=0,
        category=parse_category(submission.category),
        model_name=payloads.check_model_name(submission.model_name),
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
        reverts=submission.reverts,
    )


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


def _actor(actor_id: str, username: str, os_user: str | None) -> Actor:
    return Actor(
        payloads.check_line("acting id", actor_id),
        payloads.check_line("acting name", username),
        payloads.check_text("operating system user", os_user),
    )


def _refuse_second_proposals(queue: QueueTransaction, records: Iterable[PendingChangeRecord]) -> None:
    wanted = [(record.category, record.model_name) for record in records]
    stored = queue.open_proposals(wanted)
    seen: set[tuple[Category, str]] = set()
    for category, name in wanted:
        if (category, name) in stored:
            change_id = stored[category, name][0]
            raise RequestError(
                f"{category} {name!r} has an open proposal, change {change_id}; have that reviewed first"
            )
        if (category, name) in seen:
            raise RequestError(f"{category} {name!r} is proposed twice; one open proposal for a model is allowed")
        seen.add((category, name))


def _refuse_second_reverts(queue: QueueTransaction, records: Iterable[PendingChangeRecord]) -> None:
    for number in {record.reverts for record in records if record.reverts is not None}:
        waiting = queue.changes(PendingQueueFilter(reverts=number, statuses=set(OPEN_STATUSES)))
        if waiting:
            ids = ", ".join(f"{change.change_id} ({change.status})" for change in waiting)
            raise RequestError(f"batch {number} is being reverted already, by {ids}; have that reviewed first")


def _review_ids(approved: Collection[int] | None, rejected: Collection[int] | None) -> tuple[list[int], list[int]]:
    """Both lists with each id once, in the order given."""
    approving = [] if approved is None else payloads.check_ids("approved ids", approved)
    rejecting = [] if rejected is None else payloads.check_ids("rejected ids", rejected)
    if not approving and not rejecting:
        raise RequestError("name the changes to approve or reject")
    for change_id in sorted(set(approving) & set(rejecting)):
        raise RequestError(f"change {change_id} is both approved and rejected; decide for one")
    return approving, rejecting


def _pending(queue: QueueTransaction, change_id: int) -> PendingChangeRecord:
    change = change_moves.stored_change(queue, change_id)
    check_change_status(change, _S.PENDING)
    return change


def _withdrawable(queue: QueueTransaction, change_id: int) -> PendingChangeRecord:
    change = change_moves.stored_change(queue, change_id)
    check_change_status(change, _S.APPROVED)
    batch = None if change.batch_id is None else queue.batch(change.batch_id)
    if batch is not None and batch.state is not BatchState.open:
        raise BatchStateError(
            f"change {change_id} is in batch {batch.number}, which is {batch.state}; "
            "an approval can be withdrawn while the batch is open"
        )
    return change
