"""The queue as people and programs use it: submit, review, apply change by change, move to another machine.

Each call is checked as a whole and done in one transaction; what raises was not done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refsync.categories import CategoryName
from refsync.durable_steps import durable_step
from refsync.pending_queue import batch_moves, batch_sealing, change_moves, payloads, renames
from refsync.pending_queue.events import AuditWriter, Listeners
from refsync.pending_queue.lease import Lease
from refsync.pending_queue.models import (
    SYSTEM,
    Actor,
    AuditOperation,
    MarkAppliedResult,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueueFilter,
    Submission,
)
from refsync.pending_queue.people import People, ReviewRules, Role
from refsync.pending_queue.racing import done_again
from refsync.pending_queue.review_door import ReviewDoor
from refsync.pending_queue.submissions import (
    UNLIMITED,
    OpenLimits,
    checked,
    refuse_second_proposals,
    refuse_second_reverts,
    refuse_too_many,
)

if TYPE_CHECKING:
    from refsync.pending_queue import exchange
    from refsync.pending_queue.daemon_door import DaemonDoor
    from refsync.pending_queue.store import PendingQueueStore
    from refsync.pending_queue.store.transaction import QueueTransaction

Completion = Callable[[Iterable[Submission]], Iterable[Submission]]
"""Gives submissions with what each is made from, and refuses at once what cannot work."""
_S = PendingChangeStatus


@done_again
class PendingQueueService(ReviewDoor):
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
        outbox: Callable[[QueueTransaction], None] | None = None,
        complete: Completion | None = None,
        people: People | None = None,
        limits: OpenLimits = UNLIMITED,
        process_user: str | None = None,
    ) -> None:
        """Serve a store.

        Args:
            store: where the queue is kept; the caller closes it.
            audit_writer: is told of every action; its failure is logged, the action stands.
            two_person_review: refuse an approval by the proposer, by identity or operating system's user.
            one_proposal_per_model: refuse a proposal for a model that has an open one.
            on_change: called after every action, to wake who waits for one.
            outbox: keeps news of every action, as a part of its transaction.
            complete: completes each submission, whatever door it comes by.
            people: who may do what; without it everybody may do everything.
            limits: how many changes may be open at a time.
            process_user: whose process this is; taken for who acts, with ``people``, where a caller names no
                operating system's user for one of the system's identities.
        """
        rules = ReviewRules(people, two_person_review)
        super().__init__(store, Listeners(audit_writer, on_change, outbox), rules, process_user if people else None)
        self._limits = limits
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
        provider: str = SYSTEM,
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
            provider: who vouches for ``requestor_id``; another one than ``system`` where people have no account.

        Raises:
            NotAllowedError: the proposer may not submit.
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
            provider=provider,
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
            records.append(self._checked(submission))
            if progress is not None:
                progress(len(records))
        halves = list(renames.find_halves(records))
        with self._writing() as queue:
            self._refuse_beside_others(queue, records)
            return renames.link(queue, change_moves.submit(queue, records), halves)

    def examine(self, submission: Submission) -> PendingChangeRecord:
        """The change that a submission would make, its id 0; nothing is stored.

        Raises:
            RequestError: it would be refused, as ``enqueue_change`` does.
        """
        [record] = map(self._checked, self._complete([submission]))
        with self._store.reading() as queue:
            self._refuse_beside_others(queue, [record])
        return record

    def submit_sealed(
        self, submission: Submission, *, title: str, repository: str, actor: Actor
    ) -> PendingChangeRecord:
        """Propose a change that its proposer approves, in a batch of its own that is sealed at once.

        Raises:
            RequestError: it is refused, as ``enqueue_change`` does; or two persons are needed.
        """
        [record] = map(self._checked, self._complete([submission]))
        actor = self._with_user(actor)
        self._rules.check(actor, Role.approver, [record.category])
        list(renames.find_halves([record]))  # which refuses one without the other
        line = payloads.check_line("batch title", title)
        with self._writing() as queue:
            refuse_too_many(queue, [record], self._limits)
            if self._one_proposal_per_model:
                refuse_second_proposals(queue, [record])
            submitted = change_moves.submit(queue, [record])
            [change] = submitted
            self._rules.check_two_persons(change.change_id, change.requester, actor)
            return batch_sealing.sealed_for(queue, change, title=line, repository=repository, by=actor)

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
        self,
        *,
        change_id: int,
        applied_by: str,
        applied_username: str,
        job_id: str | None = None,
        os_user: str | None = None,
        provider: str = SYSTEM,
    ) -> MarkAppliedResult:
        """Mark one change as landed; what is still approved in its batch gets a batch of its own.

        Raises:
            NotAllowedError: the actor may not review it.
            ChangeNotFoundError: no change has this id.
            ChangeStateError: it is neither approved nor reserved, or reserved with another token.
        """
        actor = self._actor(applied_by, applied_username, os_user, provider)
        with self._writing() as queue:
            change = renames.check_alone(change_moves.stored_change(queue, change_id))
            self._check_reviewing(actor, [change])
            change_moves.check_holder([change], lambda token: token == job_id)
            [applied] = change_moves.apply(queue, [change], actor=actor, token=job_id)
            return MarkAppliedResult(record=applied, batch_split=batch_moves.settle(queue, change.batch_id))

    @durable_step("free stuck reservations")
    def scan_stuck_applying(self, is_alive: Callable[[str], bool] | None = None) -> list[PendingChangeRecord]:
        """Return reservations whose job has died to approved; for start-up.

        Args:
            is_alive: whether the job with this token still runs; without it none does.
        """
        with self._writing() as queue:
            locked = queue.changes(PendingQueueFilter(statuses={_S.APPLYING}))
            stuck = [change for change in locked if is_alive is None or not is_alive(change.applied_job_id or "")]
            freed = change_moves.release(queue, stuck, why="its job died")
            for number in sorted({change.batch_id for change in stuck if change.batch_id}):
                batch_moves.settle(queue, number)
        for change in stuck:
            from loguru import logger  # slow, and hardly ever needed

            logger.warning(
                "change {} was left behind by job {}; approved again", change.change_id, change.applied_job_id
            )
        return freed

    def under(self, lease: Lease) -> DaemonDoor:
        """The queue as who holds a lease may change it: seal, hold, propose, reserve, land."""
        from refsync.pending_queue.daemon_door import DaemonDoor  # nothing to people's commands

        return DaemonDoor(self._store, self._listeners, self._rules, lease)

    def export_changes(self) -> Iterator[dict[str, Any]]:
        """The whole queue as JSON objects, one a line: a header, then each change with its history and batch."""
        from refsync.pending_queue import exchange

        return exchange.export_changes(self._store)

    def import_changes(self, lines: Iterable[str | bytes], *, actor: Actor | None = None) -> exchange.ImportReport:
        """Take what ``export_changes`` gave, as JSON Lines, into an empty store; all or nothing.

        Raises:
            NotAllowedError: the actor, or where none is named the process's user, is no operator.
            PayloadError: a line is no JSON object, or the first one no header.
            RequestError: the store is not empty.
        """
        from refsync.pending_queue import exchange

        self._check_operating(actor)
        report = exchange.import_changes(self._store, lines)
        self._listeners.wake()
        return report

    def import_folder(self, folder: Path, *, actor: Actor | None = None) -> exchange.ImportReport:
        """Take the ecosystem's queue folder (``changes.json``, ``index.json``) into an empty store; all or nothing.

        Raises:
            NotAllowedError: the actor, or where none is named the process's user, is no operator.
            StoreError: ``changes.json`` is missing or damaged.
            RequestError: the store is not empty.
        """
        from refsync.pending_queue import exchange

        self._check_operating(actor)
        report = exchange.import_folder(self._store, folder)
        self._listeners.wake()
        return report

    def _check_operating(self, actor: Actor | None) -> None:
        user = self._process_user or ""
        self._rules.check(Actor(user, user, user) if actor is None else self._with_user(actor), Role.operator)

    def _refuse_beside_others(self, queue: QueueTransaction, records: Sequence[PendingChangeRecord]) -> None:
        """Refuse what the queue has no place for beside what is open already."""
        refuse_too_many(queue, records, self._limits)
        if self._one_proposal_per_model:
            refuse_second_proposals(queue, records)
        refuse_second_reverts(queue, records)

    def _checked(self, submission: Submission) -> PendingChangeRecord:
        record = checked(submission, self._store.catalogue)
        requester = self._with_user(record.requester)
        self._rules.check(requester, Role.requestor)
        return record.model_copy(update={"os_user": requester.os_user})
