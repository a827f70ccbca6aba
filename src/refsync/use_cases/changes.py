"""Changes of the queue: a page at a time, all of them one by one, one whole, or compared with the reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refsync.application import Application
from refsync.pending_queue.models import (
    PendingChangeDiffPage,
    PendingChangeRecord,
    PendingQueueFilter,
    PendingQueuePage,
)
from refsync.use_cases.paging import window


class ChangePage(PendingQueuePage):
    """A page of changes by id; ``previous`` and ``next`` are the offsets of its neighbours, ``None`` where none is."""

    previous: int | None
    next: int | None


def list_changes(
    application: Application,
    queue_filter: PendingQueueFilter | None = None,
    *,
    offset: int | None = None,
    limit: int | None = None,
) -> ChangePage:
    """A page of the hits by id: the newest where neither its offset nor its limit is given.

    Raises:
        RequestError: the offset or the limit is negative.
    """
    queue, total = application.queue, 0
    if offset is None and limit is None:  # only the newest page begins where the number of hits says
        total = queue.list_changes(queue_filter=queue_filter, limit=0).total
    view = window(total, offset, limit)
    page = queue.list_changes(queue_filter=queue_filter, offset=view.offset, limit=view.limit)
    view = view._replace(total=page.total)
    return ChangePage(**dict(page), previous=view.previous, next=view.next)


def all_changes(
    application: Application, queue_filter: PendingQueueFilter | None = None
) -> Iterator[PendingChangeRecord]:
    """Every hit by id, read as it is asked for."""
    return application.queue.iterate_changes(queue_filter)


def show_change(application: Application, change_id: int) -> PendingChangeRecord:
    """One change with its history.

    Raises:
        ChangeNotFoundError: there is none with this id.
    """
    return application.queue.show_change(change_id)


def compare_changes(application: Application, change_ids: Sequence[int]) -> PendingChangeDiffPage:
    """What changes would do to the reference as it is now, field by field; errors are those of single changes."""
    return application.diffs().compute_bulk_diffs(list(change_ids))
