"""Writing one record at once: a batch of one change that lands through the same pass as all others."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

from refsync.categories import CategoryName
from refsync.errors import PermanentError, RefsyncError, RequestError
from refsync.pending_queue.lease import Lease
from refsync.pending_queue.lifecycle import OPEN_STATUSES
from refsync.pending_queue.models import (
    REFSYNC,
    Actor,
    AuditOperation,
    BatchState,
    PendingChangeRecord,
    PendingChangeStatus,
    Submission,
)
from refsync.pending_queue.service import PendingQueueService
from refsync.sync.publisher import Publisher
from refsync.sync.reference import PassReport, ReferenceRepository
from refsync.sync.submitting import ReferenceTips

ANONYMOUS = "refsync-api"
"""Who asks where the caller names nobody."""


class OneChangeBatches:
    """How a backend writes: each call is a change of its own, approved by who asks, and returns when it has landed."""

    def __init__(
        self,
        queue: PendingQueueService,
        reference: ReferenceRepository,
        publisher: Publisher,
        *,
        run_pass: Callable[[], PassReport | None],
        lease: Callable[[], AbstractContextManager[Lease | None]],
    ) -> None:
        """Write into one repository.

        Args:
            queue: keeps the changes.
            reference: the repository.
            publisher: its way out.
            run_pass: waits for its turn and runs one pass.
            lease: waits for its turn, in which no other process works on the repository.
        """
        self._queue = queue
        self._reference = reference
        self._publisher = publisher
        self._run_pass = run_pass
        self._lease = lease

    @property
    def lands_by_itself(self) -> bool:
        """False where people review every batch in git before it lands."""
        return self._publisher.lands

    def update(
        self,
        category: CategoryName,
        model_name: str,
        record: dict[str, Any],
        *,
        logical_user_id: str | None,
        request_id: str | None,
    ) -> None:
        """Create or replace a record.

        Raises:
            RequestError: it is refused, or conflicts; nothing was changed.
            PermanentError: it cannot land now; it was given up.
        """
        self._check_landing()
        there = self._tips().record(category, model_name) is not None
        operation = AuditOperation.UPDATE if there else AuditOperation.CREATE
        self._land(category, model_name, operation, record, logical_user_id, request_id)

    def delete(
        self,
        category: CategoryName,
        model_name: str,
        *,
        logical_user_id: str | None,
        request_id: str | None,
    ) -> None:
        """Delete a record; raises as :meth:`update` does."""
        self._check_landing()
        self._land(category, model_name, AuditOperation.DELETE, None, logical_user_id, request_id)

    def _check_landing(self) -> None:
        if not self.lands_by_itself:
            how = "pull request" if self._publisher.mode == "pull_request" else "proposal branch"
            raise RequestError(
                f"repository {self._reference.name} publishes by {how}; submit a change to the queue instead"
            )

    def _tips(self) -> ReferenceTips:
        return ReferenceTips([self._reference])

    def _land(
        self,
        category: CategoryName,
        model_name: str,
        operation: AuditOperation,
        record: dict[str, Any] | None,
        logical_user_id: str | None,
        request_id: str | None,
    ) -> None:
        who = logical_user_id or ANONYMOUS
        submission = Submission(
            category=category,
            model_name=model_name,
            operation=operation,
            payload=record,
            requestor_id=who,
            requestor_username=who,
            request_metadata={"request_id": request_id} if request_id else None,
        )
        change = self._queue.submit_sealed(
            submission, title=f"{operation} {model_name}", repository=self._reference.name, actor=Actor(who, who)
        )
        try:
            report = self._run_pass()
        except BaseException:
            # Who gets an exception thinks that nothing was written, and must stay right.
            with suppress(RefsyncError):
                self._give_up_unless_ended(change.change_id, None)
            raise
        ended, reason = self._give_up_unless_ended(change.change_id, report)
        if ended.status == PendingChangeStatus.REJECTED:
            raise RequestError(f"{category} {model_name!r} was not written: {ended.reject_reason}")
        if ended.status != PendingChangeStatus.APPLIED:
            raise PermanentError(f"{category} {model_name!r} was not written: {reason}")

    def _give_up_unless_ended(self, change_id: int, report: PassReport | None) -> tuple[PendingChangeRecord, str]:
        """The change as the pass left it; where it still waits, why, and its batch is given up.

        Raises:
            PermanentError: its commit may have reached the remote, so that it has to stay in the queue.
        """
        with self._lease() as lease:
            assert lease is not None  # nobody tells it to stop
            change = self._queue.show_change(change_id)
            reason = self._why_waiting(change.batch_id, report)
            if change.status in OPEN_STATUSES and change.batch_id is not None:
                if self._may_have_arrived(change.batch_id):
                    raise PermanentError(
                        f"{change.category} {change.model_name!r}: nobody can tell whether it reached the remote "
                        f"({reason}); it stays in the queue: refsync queue show {change_id}"
                    )
                told = f"it could not land at once: {reason}"
                self._queue.under(lease).give_up_batch(change.batch_id, reason=told, actor=REFSYNC)
        return change, reason

    def _may_have_arrived(self, batch: int) -> bool:
        """Whether a commit of the batch may be on the remote, though nobody could say so."""
        built = self._queue.get_batch(batch)
        return self._publisher.remote is not None and built.commit is not None and built.state is BatchState.sealed

    def _why_waiting(self, batch: int | None, report: PassReport | None) -> str:
        for repository in report.repositories if report else ():
            for held in repository.held:
                if held.number == batch:
                    return held.reason
            if repository.name == self._reference.name and repository.problem:
                return repository.problem
        return "refsync is stopping"
