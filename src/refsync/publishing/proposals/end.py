"""A proposal that ends without landing: closed, its branch deleted, nothing left of it, or left by the config."""

from __future__ import annotations

from loguru import logger

from refsync.forges.base import Account, PullRequest
from refsync.pending_queue.holds import Hold, HoldKind
from refsync.pending_queue.models import REFSYNC, Actor, Batch, ProposalState
from refsync.publishing.proposals.proposed import ProposalLook, ProposalTurn, View, actor_of, proposal_of
from refsync.sync.turn import Turn


def end_proposal(turn: ProposalTurn, batch: Batch, view: View) -> bool:
    """Whether nothing more will come of the proposal by itself; people are told why, and what to do."""
    if not turn.queue.open_changes(batch.number):
        turn.queue.give_up_batch(batch.number, reason="nothing left: every change was purged", actor=REFSYNC)
        return True
    branch = proposal_of(batch).branch
    if reason := why_left(turn, batch):
        leave(turn, batch, reason)
        return True
    if view.pull and view.pull.state == "closed":
        _end_closed(turn, batch, view.pull)
        return True
    if view.head is None and not (view.pull and view.pull.state == "merged"):
        told = f"its branch {branch} was deleted on {turn.upstream.remote.name}"
        _hold(turn, batch, ProposalState.gone, Hold(kind=HoldKind.deleted_branch, reason=told, about=branch))
        return True
    return False


def _end_closed(turn: ProposalTurn, batch: Batch, pull: PullRequest) -> None:
    requests = turn.settings.pull_requests
    reason = f"pull request {pull.number} was closed{_by(pull.closed_by)} without being merged"
    if requests and requests.on_close == "abandon":
        _note_state(turn, batch, ProposalState.closed)
        turn.queue.give_up_batch(batch.number, reason=reason, actor=_closer(pull))
        logger.warning("batch {}: abandoned: {}", batch.number, reason)
        return
    _hold(turn, batch, ProposalState.closed, Hold(kind=HoldKind.closed_request, reason=reason, about=str(pull.number)))


def _hold(turn: Turn, batch: Batch, state: ProposalState, hold: Hold) -> None:
    _note_state(turn, batch, state)
    turn.outcome.held.append(turn.hold(batch, hold))


def _note_state(turn: Turn, batch: Batch, state: ProposalState) -> None:
    proposal = proposal_of(batch)
    if proposal.state != state:
        turn.queue.note_proposal(batch.number, proposal.model_copy(update={"state": state, "wait": None}))


def _by(account: Account | None) -> str:
    return f" by {account.login}" if account else ""


def _closer(pull: PullRequest) -> Actor:
    if pull.closed_by:
        return actor_of(pull.closed_by)
    return REFSYNC


def why_left(turn: ProposalLook, batch: Batch) -> str | None:
    """Why the config no longer leads to the proposal, which may be under review all the same."""
    branch, prefix = proposal_of(batch).branch, turn.settings.prefix
    if branch.startswith(prefix):
        return None
    return f"it was proposed as {branch}, but the prefix of proposal branches is {prefix} now"


def leave(turn: Turn, batch: Batch, reason: str) -> None:
    """Hold a batch whose proposal the config no longer leads to."""
    hold = Hold(kind=HoldKind.left_proposal, reason=reason, about=proposal_of(batch).branch)
    _hold(turn, batch, ProposalState.left, hold)


def is_back(batch: Batch, view: View) -> bool:
    """Whether what ended a proposal was taken back."""
    match proposal_of(batch).state:
        case ProposalState.left:
            return True
        case ProposalState.gone:
            return view.head is not None
        case _:
            return bool(view.pull and view.pull.state == "open")
