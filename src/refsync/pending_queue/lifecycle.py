"""Which moves of a change and of a batch are allowed, and how a refusal reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from refsync.errors import BatchStateError, ChangeStateError
from refsync.pending_queue.models import Batch, Member, PendingChangeRecord
from refsync.pending_queue.states import BatchState, PendingChangeStatus

_S = PendingChangeStatus
_B = BatchState

CHANGE_MOVES: Mapping[PendingChangeStatus, frozenset[PendingChangeStatus]] = {
    _S.PENDING: frozenset({_S.APPROVED, _S.REJECTED}),
    # Back to pending is a withdrawn approval; rejected is a conflict, or a batch given up.
    _S.APPROVED: frozenset({_S.APPLYING, _S.APPLIED, _S.PENDING, _S.REJECTED}),
    # Back to approved is a reservation given up or orphaned.
    _S.APPLYING: frozenset({_S.APPLIED, _S.APPROVED, _S.REJECTED}),
    _S.APPLIED: frozenset(),
    _S.REJECTED: frozenset(),
}
"""From each status, the statuses that a change may move to."""

BATCH_MOVES: Mapping[BatchState, frozenset[BatchState]] = {
    # An open batch lands or ends by itself where programs apply or refuse its changes one by one.
    _B.open: frozenset({_B.sealed, _B.landed, _B.abandoned}),
    # Sealed again is one that gets its repository.
    _B.sealed: frozenset({_B.sealed, _B.proposed, _B.held, _B.landed, _B.abandoned}),
    # Proposed again is one that was pushed anew.
    _B.proposed: frozenset({_B.sealed, _B.proposed, _B.held, _B.landed, _B.abandoned}),
    # The person whom a batch waits for may reopen or merge its pull request instead of answering.
    _B.held: frozenset({_B.sealed, _B.proposed, _B.held, _B.landed, _B.abandoned}),
    _B.landed: frozenset(),
    _B.abandoned: frozenset(),
}
"""From each state, the states that a batch may move to."""

OPEN_STATUSES = frozenset({_S.PENDING, _S.APPROVED, _S.APPLYING})
"""The change is still to come."""

ACCEPTED_STATUSES = frozenset({_S.APPROVED, _S.APPLYING})
"""The change is on its way."""

IN_WORK_STATES = frozenset({_B.sealed, _B.proposed, _B.held})
"""The batch is fixed and has not ended."""

OPEN_STATES = IN_WORK_STATES | {_B.open}
"""The batch has not ended."""

_WHAT_TO_DO = {
    _S.PENDING: "approve it first",
    _S.APPROVED: "withdraw the approval while its batch is open, or abandon its batch",
    _S.APPLYING: "wait until it is written",
    _S.APPLIED: "submit a new change",
    _S.REJECTED: "submit a new change",
}


def check_change_move(change: PendingChangeRecord | Member, to: PendingChangeStatus) -> None:
    """Refuse a move that a change in this status cannot make.

    Raises:
        ChangeStateError: it cannot; the text names id, status and what to do.
    """
    if to not in CHANGE_MOVES[change.status]:
        raise wrong_status(change, f"it cannot become {to}")


def check_change_status(change: PendingChangeRecord | Member, wanted: PendingChangeStatus) -> None:
    """Refuse a change whose status is not the wanted one.

    Raises:
        ChangeStateError: the status is another; the text names id, status and what to do.
    """
    if change.status is not wanted:
        raise wrong_status(change, f"not {wanted}")


def wrong_status(change: PendingChangeRecord | Member, refusal: str) -> ChangeStateError:
    """The refusal of a change because of its status."""
    by = {_S.APPROVED: change.approved_username, _S.REJECTED: change.rejected_username}.get(change.status)
    first = f" ({by} was first)" if by else ""
    return ChangeStateError(
        f"change {change.change_id} is {change.status}, {refusal}{first}; {_WHAT_TO_DO[change.status]}"
    )


def check_batch_state(batch: Batch, allowed: Collection[BatchState], action: str) -> None:
    """Refuse an action on a batch whose state is not among the allowed ones.

    Raises:
        BatchStateError: it is not; the text names number, state and the states that would do.
    """
    if batch.state not in allowed:
        states = " or ".join(state for state in BatchState if state in allowed)
        raise BatchStateError(f"batch {batch.number} is {batch.state}; only a batch that is {states} can be {action}")


def check_batch_move(batch: Batch, to: BatchState) -> None:
    """Refuse a move that a batch in this state cannot make.

    Raises:
        BatchStateError: it cannot; the text names number and state.
    """
    if to not in BATCH_MOVES[batch.state]:
        raise BatchStateError(f"batch {batch.number} is {batch.state}; it cannot become {to}")
