"""Who has a part in a batch, by its history, held against the rules of who is about to land it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refsync.pending_queue import batch_moves, change_moves, renames
from refsync.pending_queue.lifecycle import ACCEPTED_STATUSES
from refsync.pending_queue.models import REFSYNC, Actor, ChangeEvent, PendingChangeRecord, PendingChangeStatus
from refsync.pending_queue.people import ReviewRules, Role

if TYPE_CHECKING:
    from refsync.pending_queue.store.transaction import QueueTransaction

_S = PendingChangeStatus


@dataclass(frozen=True)
class Unallowed:
    """A change that must not land; ``rejected``, or else to be reviewed again."""

    change_id: int
    reason: str
    rejected: bool


def unallowed(queue: QueueTransaction, number: int, rules: ReviewRules) -> list[Unallowed]:
    """What of a batch, by the history of its changes, the rules do not let land.

    Who may not submit has their change rejected; an approval that does not count is taken back.
    """
    return list(_unallowed(queue, queue.changes_of_batch(number, ACCEPTED_STATUSES), rules))


def dismiss(queue: QueueTransaction, number: int, found: Iterable[Unallowed]) -> None:
    """Take these changes out of a batch in work, the halves of a rename together; one that has nothing left ends."""
    for each in found:
        both = renames.together(queue, [change_moves.stored_change(queue, each.change_id)])
        # Of a rename the other half may have taken this one with it.
        _dismiss(queue, [change for change in both if change.status in ACCEPTED_STATUSES], each)
    batch_moves.abandon_if_nothing_is_left(queue, number)


def _dismiss(queue: QueueTransaction, changes: Sequence[PendingChangeRecord], found: Unallowed) -> None:
    free = change_moves.release(queue, changes)
    if found.rejected:
        change_moves.reject(queue, free, found.reason, actor=REFSYNC)
    else:
        change_moves.withdraw(queue, free, actor=REFSYNC, why=f"the approval does not count: {found.reason}")


def _unallowed(
    queue: QueueTransaction, members: Sequence[PendingChangeRecord], rules: ReviewRules
) -> Iterator[Unallowed]:
    histories = queue.history(change.change_id for change in members)
    for change in members:
        history = histories.get(change.change_id, [])
        submitter, approver = _who_moved(history, None), _who_moved(history, _S.PENDING)
        if refusal := rules.why_not(submitter or change.requester, Role.requestor):
            yield Unallowed(change.change_id, refusal, rejected=True)
        elif approver is None:
            yield Unallowed(change.change_id, "nobody is known to have approved it", rejected=False)
        elif refusal := (
            rules.why_not(approver, Role.approver, [change.category])
            or rules.why_not_alone(change.change_id, submitter or change.requester, approver)
        ):
            yield Unallowed(change.change_id, refusal, rejected=False)


def _who_moved(history: Iterable[ChangeEvent], from_status: PendingChangeStatus | None) -> Actor | None:
    """Who submitted a change (from no status), or approved it last (from pending); ``None`` where nobody is known."""
    to = _S.PENDING if from_status is None else _S.APPROVED
    moves = [event for event in history if (event.from_status, event.to_status) == (from_status, to)]
    return Actor(moves[-1].by, moves[-1].username, moves[-1].os_user, moves[-1].provider) if moves else None
