"""The way of the open batch: approvals join it, then its set is fixed, and each repository gets its part.

All within a transaction of the caller.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from refsync.errors import BatchStateError
from refsync.pending_queue import batch_moves, change_moves
from refsync.pending_queue.models import (
    REFSYNC,
    Actor,
    Batch,
    BatchSplitInfo,
    BatchState,
    Member,
    PendingChangeRecord,
    PendingChangeStatus,
)
from refsync.pending_queue.routing import RepositoryOf, by_repository, unserved

if TYPE_CHECKING:
    from refsync.pending_queue.store.transaction import QueueTransaction

_B = BatchState
_S = PendingChangeStatus


def accepting(queue: QueueTransaction, title: str) -> Batch:
    """The open batch, which keeps the title it has; a new one with this title if there is none."""
    batch = queue.open_batch() or queue.add_batch(Batch(number=0, title=title))
    return queue.save_batch(batch.model_copy(update={"last_approved_at": time.time()}))


def open_until(queue: QueueTransaction, latest: float) -> Batch | None:
    """The open batch; an approval later than this is dated back: a clock that went ahead must not hold it for days."""
    batch = queue.open_batch()
    if batch is None or (batch.last_approved_at or batch.opened_at) <= latest:
        return batch
    return queue.save_batch(batch.model_copy(update={"last_approved_at": latest}))


def seal_open(queue: QueueTransaction, repository_of: RepositoryOf, *, by: Actor) -> list[Batch]:
    """Fix the set of the open batch; none if it has no approved change. One batch a repository comes of it."""
    batch = queue.open_batch()
    members = [] if batch is None else queue.categories_of_batch(batch.number)
    if batch is None or not members:
        return []
    return _routed(queue, batch_moves.seal(queue, batch), by_repository(members, repository_of), by=by)


def seal_part(
    queue: QueueTransaction, change_ids: Collection[int], repository_of: RepositoryOf, *, by: Actor
) -> tuple[list[Batch], BatchSplitInfo | None]:
    """Fix these changes of the open batch as its set; the rest goes on as the open batch, under a number of its own.

    What lands together with one of them is sealed with it.

    Raises:
        BatchStateError: none of them is in the open batch.
    """
    batch = queue.open_batch()
    members = [] if batch is None else queue.members_of_batch(batch.number, {_S.APPROVED})
    wanted = {change.change_id for change in members} & set(change_ids)
    wanted |= {change.lands_with for change in members if change.change_id in wanted and change.lands_with}
    if batch is None or not wanted:
        raise BatchStateError("none of these changes is in the open batch any more; look at them again")
    rest = [change for change in members if change.change_id not in wanted]
    sealed = batch_moves.seal(queue, batch)
    split = batch_moves.split_off(queue, sealed, rest, state=_B.open, repository=None, by=by) if rest else None
    return route(queue, sealed, repository_of, by=by), split


def sealed_for(
    queue: QueueTransaction, change: PendingChangeRecord, *, title: str, repository: str, by: Actor
) -> PendingChangeRecord:
    """Approve a pending change into a batch of its own that is sealed at once; the open batch stays as it is."""
    now = time.time()
    batch = queue.add_batch(
        Batch(
            number=0,
            title=title,
            state=_B.sealed,
            repository=repository,
            job=batch_moves.new_token(),
            last_approved_at=now,
            sealed_at=now,
        )
    )
    return change_moves.approve(queue, [change], batch, actor=by)[0]


def route(queue: QueueTransaction, batch: Batch, repository_of: RepositoryOf, *, by: Actor = REFSYNC) -> list[Batch]:
    """Give a sealed batch its repository; what belongs to another one is split off, what to none is held."""
    return _routed(queue, batch, by_repository(queue.categories_of_batch(batch.number), repository_of), by=by)


def _routed(
    queue: QueueTransaction, batch: Batch, parts: Mapping[str | None, list[tuple[int, str]]], *, by: Actor
) -> list[Batch]:
    routed: list[Batch] = []
    for repository, members in parts.items():
        hold = unserved(members) if repository is None else None
        state = _B.sealed if hold is None else _B.held
        if not routed:
            routed.append(batch_moves.move(queue, batch, state, hold=hold, repository=repository))
            continue
        changes = _readable(queue, batch.number, [change_id for change_id, _ in members])
        if changes:
            split = batch_moves.split_off(queue, batch, changes, state=state, hold=hold, repository=repository, by=by)
            routed.append(batch_moves.stored_batch(queue, split.new_batch_id))
    return routed


def may_be_routed(queue: QueueTransaction, batch: Batch, repository_of: RepositoryOf) -> bool:
    """Whether routing can tell something new: the batch is to be tried, or a repository now holds part of it."""
    return batch.state is _B.sealed or any(by_repository(queue.categories_of_batch(batch.number), repository_of))


def _readable(queue: QueueTransaction, number: int, change_ids: Collection[int]) -> list[Member]:
    wanted = set(change_ids)
    return [change for change in queue.members_of_batch(number, {_S.APPROVED}) if change.change_id in wanted]
