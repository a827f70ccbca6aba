"""What every door of the queue can do: read it, and write it so that who listens is told."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from refsync.categories import CategoryName
from refsync.pending_queue import batch_moves, change_moves, payloads, vetting
from refsync.pending_queue.daemon_note import DaemonNote
from refsync.pending_queue.events import Listeners
from refsync.pending_queue.lifecycle import ACCEPTED_STATUSES
from refsync.pending_queue.models import (
    Batch,
    BatchState,
    ChangeEvent,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueueFilter,
    PendingQueuePage,
    RepositoryNote,
)
from refsync.pending_queue.people import ReviewRules
from refsync.pending_queue.racing import done_again
from refsync.pending_queue.vetting import Unallowed

if TYPE_CHECKING:
    from refsync.pending_queue.store import PendingQueueStore
    from refsync.pending_queue.store.endings import Endings
    from refsync.pending_queue.store.transaction import QueueTransaction

_PART = 1000


@done_again
class QueueDoor:
    """The queue as it is read; each call is done in one transaction."""

    def __init__(self, store: PendingQueueStore, listeners: Listeners, rules: ReviewRules) -> None:
        """Open the door of a store, which the caller closes, by these rules."""
        self._store = store
        self._listeners = listeners
        self._rules = rules

    @contextmanager
    def _writing(self) -> Iterator[QueueTransaction]:
        """A transaction that is the only writer; once it is done, who listens is told what was."""
        with self._store.writing() as queue:
            queue.tells_each = self._listeners.are_told_of_each
            yield queue
            self._listeners.write_down(queue)
        self._listeners.tell(queue.events)

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

    def iterate_changes(
        self, queue_filter: PendingQueueFilter | None = None, *, after: int = 0
    ) -> Iterator[PendingChangeRecord]:
        """Every hit by ascending id, behind one that is given, read in parts as it is asked for."""
        last = after
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

    def histories(self, change_ids: Collection[int]) -> dict[int, list[ChangeEvent]]:
        """Every move of each of these changes that has any, oldest first; also of those that were purged."""
        with self._store.reading() as queue:
            return queue.history(change_ids)

    def list_batches(self, states: Collection[BatchState] | None = None) -> list[Batch]:
        """The batches in these states, or all, by ascending number."""
        with self._store.reading() as queue:
            return queue.batches(states)

    def batches_in_turn(self, states: Collection[BatchState]) -> list[Batch]:
        """The batches in these states in the order of their turns: by number, what was split off behind its origin."""
        with self._store.reading() as queue:
            return in_turn(queue, states)

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

    def open_changes(self, number: int) -> list[PendingChangeRecord]:
        """The changes of a batch that are still to land, by ascending id."""
        with self._store.reading() as queue:
            return queue.changes_of_batch(number, ACCEPTED_STATUSES)

    def open_models(self, number: int) -> list[tuple[CategoryName, str]]:
        """Category and name of what the changes of a batch touch that are still to land, by ascending id."""
        with self._store.reading() as queue:
            return queue.models_of_batch(number, ACCEPTED_STATUSES)

    def reserved_changes(self, number: int) -> list[int]:
        """The ids of the changes of a batch that are locked, ascending."""
        with self._store.reading() as queue:
            return queue.ids_of_batch(number, {PendingChangeStatus.APPLYING})

    def landed_without_merger(self, repository: str) -> list[Batch]:
        """The landed batches of a repository of which the forge has yet to say who merged them."""
        with self._store.reading() as queue:
            return queue.batches_without_merger(repository)

    def batches_landed_in(self, commits: Collection[str]) -> dict[str, int]:
        """For each of the commits by which a batch landed, the batch's number."""
        with self._store.reading() as queue:
            return queue.batches_landed_in(commits)

    def unallowed_in(self, number: int) -> list[Unallowed]:
        """What of a batch, by its history and the rules of this process, must not land."""
        if not self._rules.restrict:
            return []
        with self._store.reading() as queue:
            return vetting.unallowed(queue, number, self._rules)

    def repository_notes(self) -> dict[str, RepositoryNote]:
        """What is noted of each repository, by its name."""
        with self._store.reading() as queue:
            return {note.name: note for note in queue.repository_notes()}

    def daemons(self) -> list[DaemonNote]:
        """The processes that share the queue, and what each works on, in the order in which they came."""
        with self._store.reading() as queue:
            return queue.leases.daemons()

    def endings(self, after: int | None) -> Endings:
        """Which changes were applied or rejected behind an event; ``None`` asks for where to begin."""
        with self._store.reading() as queue:
            return queue.endings(after)

    def check_writable(self) -> None:
        """See that the store takes writes, without one.

        Raises:
            StoreBusyError: another process holds it, or its disk is full.
            StoreError: it cannot be written.
        """
        with self._store.writing() as queue:
            queue.last_ids()


def in_turn(queue: QueueTransaction, states: Collection[BatchState]) -> list[Batch]:
    """The batches in these states in the order of their turns, see :meth:`QueueDoor.batches_in_turn`."""
    return sorted(queue.batches(states), key=lambda batch: _lineage(queue, batch))


def _lineage(queue: QueueTransaction, batch: Batch) -> list[int]:
    """The numbers of the batches that one was split from, the first one first, and its own."""
    numbers = [batch.number]
    while (
        batch.split_from is not None and batch.split_from < batch.number and (origin := queue.batch(batch.split_from))
    ):
        batch = origin
        numbers.append(batch.number)
    return numbers[::-1]
