"""The queue as the daemon uses it: seal, hold, propose, reserve, land."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from refsync.durable_steps import durable_step
from refsync.pending_queue import batch_moves, batch_sealing, change_moves, payloads, renames, vetting
from refsync.pending_queue.events import ForeignCommit, PassFailing
from refsync.pending_queue.holds import Hold
from refsync.pending_queue.lease import Lease
from refsync.pending_queue.lifecycle import OPEN_STATES, check_change_status
from refsync.pending_queue.models import (
    REFSYNC,
    Actor,
    Agenda,
    Batch,
    BatchSplitInfo,
    BatchState,
    MassDeletion,
    Member,
    PendingChangeRecord,
    PendingChangeStatus,
    Proposal,
)
from refsync.pending_queue.people import ReviewRules
from refsync.pending_queue.queue_door import QueueDoor, in_turn
from refsync.pending_queue.racing import done_again
from refsync.pending_queue.routing import RepositoryOf
from refsync.pending_queue.vetting import Unallowed

if TYPE_CHECKING:
    from refsync.pending_queue.events import Listeners
    from refsync.pending_queue.store import PendingQueueStore
    from refsync.pending_queue.store.transaction import QueueTransaction

_S = PendingChangeStatus


@done_again
class DaemonDoor(QueueDoor):
    """What a pass does with the queue, by its lease; each call is checked as a whole and done in one transaction."""

    def __init__(self, store: PendingQueueStore, listeners: Listeners, rules: ReviewRules, lease: Lease) -> None:
        """Open the door of a store, which the caller closes, by these rules, for who holds this lease."""
        super().__init__(store, listeners, rules)
        self._lease = lease

    @contextmanager
    def _writing(self) -> Iterator[QueueTransaction]:
        with super()._writing() as queue:
            self._lease.check(queue)
            yield queue

    def under(self, lease: Lease) -> DaemonDoor:
        """The same queue for who holds another lease."""
        return DaemonDoor(self._store, self._listeners, self._rules, lease)

    def agenda(self) -> Agenda:
        """What there is to do for a pass."""
        with self._store.reading() as queue:
            batches = in_turn(queue, OPEN_STATES)
            reserved = queue.reserved_batches() if batches else frozenset()
            return Agenda(batches, reserved, {note.name: note for note in queue.repository_notes()})

    @durable_step("date late approvals")
    def open_batch(self, *, approved_until: float) -> Batch | None:
        """The open batch; an approval that lies behind a time (now), by a clock that was set back, is dated then."""
        with self._writing() as queue:
            return batch_sealing.open_until(queue, approved_until)

    @durable_step("seal the open batch")
    def seal_open_batch(self, repository_of: RepositoryOf, *, actor: Actor = REFSYNC) -> list[Batch]:
        """Fix the set of the open batch, one batch a repository; ``[]`` if it has no approved change.

        Args:
            repository_of: name of the repository that holds a category. The first repository's part keeps the
                number; changes that no repository holds wait in a held batch that says so.
            actor: who seals; told in the audit of a split.
        """
        with self._writing() as queue:
            return batch_sealing.seal_open(queue, repository_of, by=actor)

    @durable_step("route batches")
    def route_batches(self, repository_of: RepositoryOf) -> list[Batch]:
        """Give every batch that has no repository yet its own, as sealing does.

        These are batches that were held because no repository of the config held their categories; they stay so
        until one does, or a person wants them tried again.
        """
        routed: list[Batch] = []
        with self._writing() as queue:
            for batch in queue.batches({BatchState.sealed, BatchState.held}):
                if batch.repository is None and batch_sealing.may_be_routed(queue, batch, repository_of):
                    routed += batch_sealing.route(queue, batch, repository_of)
        return routed

    def vet_batch(self, number: int) -> list[Unallowed]:
        """Take out of a batch in work what must not land.

        A change that was submitted by who may not is rejected; one that was approved by who may not waits for review
        again. A batch that has nothing left ends.
        """
        return self._dismiss_unallowed(number) if self.unallowed_in(number) else []

    @durable_step("dismiss the unallowed")
    def _dismiss_unallowed(self, number: int) -> list[Unallowed]:
        with self._writing() as queue:
            found = vetting.unallowed(queue, number, self._rules)
            vetting.dismiss(queue, number, found)
            return found

    @durable_step("split a batch")
    def split_batch(self, number: int, change_ids: Collection[int], hold: Hold) -> BatchSplitInfo:
        """Let some changes of a batch in work wait in a held batch of their own.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not in work, or nothing would be left in it.
            ChangeStateError: a change is not an approved one of this batch.
            RequestError: no change is named, or the reason is blank.
        """
        payloads.check_reason("reason", hold.reason)
        with self._writing() as queue:
            return batch_moves.split(queue, number, change_ids, hold, lease=self._lease)

    @durable_step("hold a batch")
    def hold_batch(self, number: int, hold: Hold, *, is_news: bool = True) -> Batch:
        """Let a batch in work wait; reservations are given up.

        Args:
            number: of the batch.
            hold: what it waits for.
            is_news: whether people are to hear of it; not where it was tried again in vain.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not in work.
        """
        payloads.check_reason("reason", hold.reason)
        with self._writing() as queue:
            return batch_moves.let_wait(queue, number, hold, lease=self._lease, is_news=is_news)

    @durable_step("resume a batch")
    def resume_batch(self, number: int) -> Batch:
        """Let a held batch be worked on again, because what it waited for is gone.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not held.
        """
        with self._writing() as queue:
            return batch_moves.reseal(queue, number, by=None)

    @durable_step("note that a batch is proposed")
    def propose_batch(self, number: int, proposal: Proposal, *, gets_request: bool = False) -> Batch:
        """Let a batch in work be reviewed on its proposal branch; reservations are given up.

        Args:
            number: of the batch.
            proposal: its branch, and what is known of its pull request.
            gets_request: whether it gets one, so that people are told once that is open.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not in work.
        """
        with self._writing() as queue:
            return batch_moves.propose(queue, number, proposal, lease=self._lease, gets_request=gets_request)

    @durable_step("note a proposal")
    def note_proposal(self, number: int, proposal: Proposal) -> Batch:
        """Keep what is known of a batch's branch and pull request; its state stays.

        Raises:
            BatchNotFoundError: no batch has this number.
        """
        with self._writing() as queue:
            return batch_moves.note_proposal(queue, number, proposal)

    @durable_step("take a proposal back into work")
    def reseal_proposal(self, number: int) -> Batch:
        """Take a proposed batch back into work, to be built anew; its branch and pull request stay.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not proposed.
        """
        with self._writing() as queue:
            return batch_moves.reseal_proposal(queue, number)

    @durable_step("give a batch up")
    def give_up_batch(self, number: int, *, reason: str, actor: Actor) -> Batch:
        """Give up a batch in work at once, because who asked for it does not wait; as ``abandon_batch``.

        Raises:
            BatchStateError: it has landed or was abandoned.
        """
        why = payloads.check_reason("reason", reason)
        with self._writing() as queue:
            return batch_moves.give_up(queue, number, why, by=actor, lease=self._lease)

    @durable_step("reserve a batch")
    def reserve_batch(self, number: int, *, base_commit: str | None = None, commit: str | None = None) -> list[int]:
        """Lock the batch's approved changes for this attempt, and return their ids, ascending; again it does the same.

        Args:
            number: of the batch.
            base_commit: what ``commit`` was built on.
            commit: that was built for the batch, if one was; kept as by :meth:`record_commit`.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not sealed or proposed.
            ChangeStateError: another job holds one of them; none is locked.
        """
        with self._writing() as queue:
            if commit is not None:
                batch_moves.note_commit(queue, number, base_commit=base_commit, commit=commit)
            return _ids(batch_moves.reserve(queue, number, lease=self._lease))

    @durable_step("release a batch")
    def release_batch(self, number: int) -> list[int]:
        """Unlock what this attempt holds of the batch, or one that is over did, and return the ids of that.

        Raises:
            BatchNotFoundError: no batch has this number.
        """
        with self._writing() as queue:
            return _ids(batch_moves.release(queue, number, lease=self._lease))

    @durable_step("note the built commit")
    def record_commit(self, number: int, *, base_commit: str, commit: str) -> Batch:
        """Keep which commit was built for a batch, and on which, before it is published.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is not in work.
        """
        with self._writing() as queue:
            return batch_moves.note_commit(queue, number, base_commit=base_commit, commit=commit)

    @durable_step("reject a change")
    def reject_by_refsync(self, change_id: int, reason: str) -> PendingChangeRecord:
        """Refuse an accepted change that cannot be applied.

        Raises:
            ChangeNotFoundError: no change has this id.
            ChangeStateError: it is not approved or being applied.
            RequestError: the reason is blank.
        """
        why = payloads.check_reason("reason", reason)
        with self._writing() as queue:
            change = change_moves.stored_change(queue, change_id)
            if change.status is _S.PENDING:  # a person decides on those
                check_change_status(change, _S.APPROVED)
            for each in renames.together(queue, [change]):
                if each.status is not _S.REJECTED or each.lands_with is None:  # the other half took this one with it
                    change_moves.reject(queue, [each], why, actor=REFSYNC)
            batch_moves.close_left(queue, [change])
            return change_moves.stored_change(queue, change_id)

    @durable_step("mark a batch as landed")
    def land_batch(
        self,
        number: int,
        *,
        commit: str | None,
        applied_by: Actor | None,
        change_ids: Collection[int] | None = None,
        edited: Collection[int] = (),
        notes: Mapping[int, str] | None = None,
    ) -> list[int]:
        """Mark a batch as landed: its accepted changes are applied; returns the ids of all that are, ascending.

        A batch of which every change was refused is abandoned. Done again, it changes nothing. What ``status`` tells
        of the batch's repository says so, too.

        Args:
            number: of the batch.
            commit: that it landed in; ``None`` where everything was in place already.
            applied_by: who landed it; ``None`` where nobody knows yet, see :meth:`credit_landing`.
            change_ids: the changes that landed, if not all; the others get a sealed batch of their own.
            edited: those of them whose records were edited in review.
            notes: what else is to be known of a change, by its id; its history says so.

        Raises:
            BatchNotFoundError: no batch has this number.
            BatchStateError: it is open.
            ChangeStateError: a change named is not an accepted one of this batch, or another job holds it.
        """
        with self._writing() as queue:
            landed = batch_moves.land(
                queue,
                number,
                commit=commit,
                by=applied_by,
                lease=self._lease,
                change_ids=change_ids,
                edited=edited,
                notes=notes,
            )
            repository = batch_moves.stored_batch(queue, number).repository
            if landed and repository is not None:
                _note_landing(queue, repository, commit)
            return landed

    @durable_step("credit a landing")
    def credit_landing(self, number: int, by: Actor) -> None:
        """Say who landed a batch that was marked as landed without that.

        Raises:
            BatchNotFoundError: no batch has this number.
        """
        with self._writing() as queue:
            batch_moves.stored_batch(queue, number)
            landed = queue.changes_of_batch(number, {_S.APPLIED})
            change_moves.credit(queue, [change for change in landed if change.applied_by is None], by)

    @durable_step("note a repository")
    def note_repository(
        self,
        name: str,
        *,
        last_error: str | None = None,
        last_error_at: float | None = None,
        clear_error: bool = False,
        last_pass_at: float | None = None,
        last_good_pass_at: float | None = None,
        mass_deletion: MassDeletion | None = None,
        begins_to_fail: bool = False,
    ) -> None:
        """Keep for ``status`` what is given of a repository; the rest of its note stays.

        Args:
            name: of the repository.
            last_error: what went wrong; its time is now unless given.
            last_error_at: when, in Unix seconds.
            clear_error: forget the last error.
            last_pass_at: when a pass last looked at it, in Unix seconds.
            last_good_pass_at: when one could do so, in Unix seconds.
            mass_deletion: many models that others deleted at once.
            begins_to_fail: whether ``last_error`` is new to it, so that people are told.
        """
        given = {
            "last_error": last_error,
            "last_error_at": last_error_at or (None if last_error is None else time.time()),
            "last_pass_at": last_pass_at,
            "last_good_pass_at": last_good_pass_at,
            "mass_deletion": mass_deletion.model_dump() if mass_deletion else None,
        }
        values = {field: value for field, value in given.items() if value is not None}
        cleared: dict[str, Any] = {"last_error": None, "last_error_at": None} if clear_error else {}
        with self._writing() as queue:
            queue.note_repository(name, cleared | values)
            if begins_to_fail and last_error is not None:
                queue.tell([PassFailing(name, last_error)])

    @durable_step("tell of foreign commits")
    def tell_foreign_commits(self, repository: str, commits: Sequence[ForeignCommit], *, up_to: str) -> None:
        """Tell people of commits that landed, each once: up to this one everything is told then."""
        with self._writing() as queue:
            queue.note_repository(repository, {"told_commit": up_to})
            queue.tell(commits)


def _note_landing(queue: QueueTransaction, repository: str, commit: str | None) -> None:
    now = time.time()
    landed = {"last_landed_commit": commit, "last_landed_at": now} if commit else {}
    queue.note_repository(repository, {"last_pass_at": now, "last_good_pass_at": now, **landed})


def _ids(changes: Iterable[Member]) -> list[int]:
    return [change.change_id for change in changes]
