"""Sealing a part of the open batch; within a transaction of the caller."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from refsync.errors import BatchStateError
from refsync.pending_queue import batch_moves
from refsync.pending_queue.models import Actor, Batch, BatchSplitInfo, BatchState, PendingChangeStatus
from refsync.pending_queue.routing import RepositoryOf

if TYPE_CHECKING:
    from refsync.pending_queue.store.transaction import QueueTransaction


def seal_part(
    queue: QueueTransaction, change_ids: Collection[int], repository_of: RepositoryOf, *, by: Actor
) -> tuple[list[Batch], BatchSplitInfo | None]:
    """Fix these changes of the open batch as its set; the rest goes on as the open batch, under a number of its own.

    What lands together with one of them is sealed with it.

    Raises:
        BatchStateError: none of them is in the open batch.
    """
    batch = queue.open_batch()
    members = [] if batch is None else queue.members_of_batch(batch.number, {PendingChangeStatus.APPROVED})
    wanted = {change.change_id for change in members} & set(change_ids)
    wanted |= {change.lands_with for change in members if change.change_id in wanted and change.lands_with}
    if batch is None or not wanted:
        raise BatchStateError("none of these changes is in the open batch any more; look at them again")
    rest = [change for change in members if change.change_id not in wanted]
    sealed = batch_moves.seal(queue, batch)
    split = batch_moves.split_off(queue, sealed, rest, state=BatchState.open, repository=None, by=by) if rest else None
    return batch_moves.route(queue, sealed, repository_of, by=by), split
