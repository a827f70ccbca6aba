"""The queue store: changes, batches, their history and notes, in one database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from refsync.categories import SPECIFIED, Catalogue
from refsync.errors import ChangeStateError, RequestError, StoreError
from refsync.pending_queue import batch_moves, change_moves, payloads, renames
from refsync.pending_queue.models import (
    REFSYNC,
    Batch,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueueFilter,
)
from refsync.pending_queue.racing import done_again
from refsync.pending_queue.store.addresses import file_url, parse_url
from refsync.pending_queue.store.news import News
from refsync.pending_queue.store.opening import open_database
from refsync.pending_queue.store.transaction import QueueTransaction

if TYPE_CHECKING:
    from refsync.credentials import SecretSource


@done_again
class PendingQueueStore:
    """Where the queue is kept: a SQLite file in a folder, or a database of a PostgreSQL server.

    Safe for many threads and processes at once. Use it as a context manager, or ``close`` it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, PendingQueueStore(root_path=Path(folder)) as store:
    ...     store.list_changes(), store.get_current_pending_batch_id()
    (([], 0), None)
    """

    def __init__(
        self,
        *,
        root_path: Path | None = None,
        url: str = "",
        catalogue: Catalogue = SPECIFIED,
        password: SecretSource | None = None,
        upgrades: bool = False,
    ) -> None:
        """Open the store, make it if there is none.

        Args:
            root_path: folder of ``queue.db``; made if it is missing.
            url: a SQLAlchemy URL instead.
            catalogue: the categories whose changes are listed; those of others are kept.
            password: what lets in to a server; asked at every new connection.
            upgrades: whether an older store on a server is upgraded; one in a file always is.

        Raises:
            StoreError: it is damaged, of another version, or the URL cannot be used.
            StateDirectoryError: the folder or the file cannot be made, read or written.
            StoreBusyError: another process keeps it locked, or the disk is full.
            StoreUnavailableError: the server does not answer.
        """
        if url:
            address = parse_url(url)
        elif root_path is not None:
            address = file_url(Path(root_path) / "queue.db")
        else:
            raise StoreError("the queue store needs a folder or a URL")
        self._database = open_database(address, password, upgrades=upgrades)
        self.catalogue = catalogue
        self._report_unknown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def name(self) -> str:
        """What people are told of where it is: the file, or server, user and database."""
        return self._database.name

    @property
    def upgraded_from(self) -> str | None:
        """The version that it was of, where opening it has upgraded it."""
        return self._database.upgraded_from

    def examine(self) -> tuple[int, int]:
        """Look at every row; returns how many changes and batches there are.

        Raises:
            StoreError: one makes no sense.
        """
        from refsync.pending_queue.store.examining import examine  # what hardly anybody needs

        with self._database.reading() as connection:
            return examine(connection, self.catalogue)

    def move_to(self, other: PendingQueueStore) -> Mapping[str, int]:
        """Copy the queue into an empty store, and be a store that has moved; returns how many rows each table has.

        Raises:
            RequestError: the other one holds something.
            StoreError: what was written is not what was read; nothing is kept of it.
            TemporaryError: one of them is locked, full, or away.
        """
        from refsync.pending_queue.store.moving import move  # what hardly anybody needs

        return move(self._database, other._database)

    def check_in_place(self) -> None:
        """See that others who open the store meet this one.

        Raises:
            StateDirectoryError: its file was deleted or replaced.
        """
        self._database.check_in_place()

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    @contextmanager
    def reading(self) -> Iterator[QueueTransaction]:
        """A transaction that sees one state of the queue."""
        with self._database.reading() as connection:
            yield QueueTransaction(connection, self.catalogue)

    @contextmanager
    def writing(self) -> Iterator[QueueTransaction]:
        """A transaction that is the only writer; what raises in it was not done."""
        with self._database.writing() as connection:
            queue = QueueTransaction(connection, self.catalogue)
            yield queue
            if queue.events:
                self._database.announce(connection)

    @property
    def tells_news(self) -> bool:
        """Whether it lies on a server, which tells others at once of what is done to it."""
        return self._database.tells_news

    def news(self) -> AbstractContextManager[News]:
        """Listen to what other processes do, where the store lies on a server.

        Raises:
            StoreUnavailableError: the server does not answer, or is gone meanwhile.
        """
        return self._database.news()

    @contextmanager
    def beside(self) -> Iterator[QueueTransaction]:
        """A transaction beside the writers, for what none of them decides by alone."""
        with self._database.beside() as connection:
            yield QueueTransaction(connection, self.catalogue)

    def enqueue_change(self, record: PendingChangeRecord) -> PendingChangeRecord:
        """Store a new change under the next id; a given status is kept."""
        _check_record(record)
        with self.writing() as queue:
            return change_moves.submit(queue, [record])[0]

    def get_change(self, change_id: int) -> PendingChangeRecord | None:
        """One change, ``None`` if there is none."""
        with self.reading() as queue:
            return queue.change(change_id)

    def list_changes(
        self, *, queue_filter: PendingQueueFilter | None = None, offset: int = 0, limit: int | None = None
    ) -> tuple[list[PendingChangeRecord], int]:
        """The hits by ascending id, cut to the page, and their total before paging.

        Raises:
            RequestError: the offset or the limit is negative.
        """
        payloads.check_page(offset, limit)
        with self.reading() as queue:
            return queue.changes(queue_filter, offset=offset, limit=limit), queue.count(queue_filter)

    def purge_changes(self, *, queue_filter: PendingQueueFilter | None = None) -> list[PendingChangeRecord]:
        """Remove and return the hits, all without a filter; never a change that is being applied."""
        with self.writing() as queue:
            hits = renames.together(queue, queue.changes(queue_filter))
            purged = [change for change in hits if change.status is not PendingChangeStatus.APPLYING]
            change_moves.purge(queue, purged, actor=REFSYNC)
            batch_moves.close_left(queue, purged)
            return purged

    def save_many(self, records: Iterable[PendingChangeRecord]) -> list[PendingChangeRecord]:
        """Replace several changes in one write.

        Raises:
            ChangeNotFoundError: one of them is not stored; none is replaced.
        """
        saved = list(records)
        for record in saved:
            _check_record(record)
        with self.writing() as queue:
            for record in saved:
                before = change_moves.stored_change(queue, record.change_id)
                if before.status is not record.status:
                    change_moves.note(queue, [(before, record)], actor=REFSYNC, why="saved as given")
            queue.save(saved)
        return saved

    def get_current_pending_batch_id(self) -> int | None:
        """Number of the batch that accepts approvals."""
        with self.reading() as queue:
            batch = queue.open_batch()
            return None if batch is None else batch.number

    def get_or_create_pending_batch_id(self) -> int:
        """Number of the batch that accepts approvals; a new, untitled one if there is none."""
        with self.writing() as queue:
            return (queue.open_batch() or queue.add_batch(Batch(number=0, title=""))).number

    def next_batch_id(self) -> int:
        """A number that no batch has or will get."""
        with self.writing() as queue:
            last_change, last_batch = queue.last_ids()
            queue.raise_last_ids(change=last_change, batch=last_batch + 1)
            return last_batch + 1

    def has_approved_changes_in_batch(self, batch_id: int) -> bool:
        """Whether anything in the batch still waits to be applied."""
        return bool(self.get_approved_changes_in_batch(batch_id))

    def get_approved_changes_in_batch(self, batch_id: int) -> list[PendingChangeRecord]:
        """What in the batch still waits to be applied, by ascending id."""
        with self.reading() as queue:
            return queue.changes_of_batch(batch_id, {PendingChangeStatus.APPROVED})

    def reserve_for_apply(self, *, change_id: int, reservation_id: str) -> PendingChangeRecord:
        """Move an approved change to ``APPLYING``; again with the same token it is returned as it is.

        Raises:
            ChangeNotFoundError: no change has this id.
            ChangeStateError: it is neither approved nor reserved with this token.
        """
        with self.writing() as queue:
            return change_moves.reserve(queue, [change_moves.stored_change(queue, change_id)], reservation_id)[0]

    def clear_reservation_if_matches(self, *, change_id: int, reservation_id: str) -> None:
        """Give a reservation up; no effect for an unknown id or another token."""
        with self.writing() as queue:
            change = queue.change(change_id)
            if change is not None and change_moves.is_reserved(change, reservation_id):
                change_moves.release(queue, [change])
                batch_moves.settle(queue, change.batch_id)

    def get_applying_records(self) -> list[PendingChangeRecord]:
        """Every change that is reserved."""
        return self.list_changes(queue_filter=PendingQueueFilter(statuses={PendingChangeStatus.APPLYING}))[0]

    def revert_applying_to_approved(self, change_id: int) -> PendingChangeRecord:
        """Give a reservation up whatever its token is.

        Raises:
            ChangeNotFoundError: no change has this id.
            ChangeStateError: it is not reserved.
        """
        with self.writing() as queue:
            change = change_moves.stored_change(queue, change_id)
            if change.status is not PendingChangeStatus.APPLYING:
                raise ChangeStateError(f"change {change_id} is not in APPLYING state: it is {change.status}")
            change_moves.release(queue, [change], why="the reservation is revoked")
            batch_moves.settle(queue, change.batch_id)
            return change_moves.stored_change(queue, change_id)

    def unknown_changes(self) -> list[tuple[int, str]]:
        """Id and category of stored changes whose category this refsync does not know; they are kept."""
        with self.reading() as queue:
            return queue.unknown_changes()

    def _report_unknown(self) -> None:
        for change_id, category in self.unknown_changes():
            from loguru import logger  # slow, and hardly ever needed

            logger.warning("change {} is kept but not listed: unknown category {!r}", change_id, category)


def _check_record(record: object) -> None:
    if not isinstance(record, PendingChangeRecord):
        raise RequestError(f"expected a PendingChangeRecord, got {type(record).__name__}")
