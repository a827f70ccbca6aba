"""Following what was proposed: a batch on its branch lands, ends, goes stale, or waits."""

from __future__ import annotations

from dataclasses import asdict

from loguru import logger

from refsync.clone.commits import parse_message
from refsync.clone.merging import check_git
from refsync.clone.messages import message_of
from refsync.forges.base import PullRequest
from refsync.pending_queue.models import Batch, BatchState, ProposalState, Wait, WaitKind
from refsync.pending_queue.proposal import Checked, Reviewed
from refsync.publishing.proposals.clear_away import clear_away
from refsync.publishing.proposals.end import end_proposal, is_back, why_left
from refsync.publishing.proposals.land import credit_merger, land_proposal
from refsync.publishing.proposals.overlaps import drop_closed, overlaps_of
from refsync.publishing.proposals.propose import is_ours
from refsync.publishing.proposals.proposed import (
    ProposalLook,
    ProposalTurn,
    View,
    by_number,
    heads_of,
    proposal_of,
    proposed_batches,
)
from refsync.publishing.proposals.pull_request import (
    complete_request,
    list_open,
    look_at,
    open_request,
)
from refsync.publishing.proposals.stale import merges_cleanly
from refsync.sync.reference import HeldBatch


def follow_proposals(turn: ProposalTurn) -> None:
    """Look at every batch that was proposed; each that waits for people keeps its models for itself."""
    check_git(turn.clone)
    heads, batches = heads_of(turn), proposed_batches(turn)
    pulls = list_open(turn, heads) if batches or heads else {}
    for batch in batches:
        if turn.work.stopping():
            return
        if _follow(turn, batch, View(heads.get(proposal_of(batch).branch), look_at(turn, proposal_of(batch))), pulls):
            turn.await_models(batch)
    clear_away(turn, heads)
    landed = _credit_mergers(turn)
    if turn.settings.pull_requests:
        drop_closed(turn, pulls)
    turn.memory.forget_all_but(by_number([*batches, *landed]))


def _credit_mergers(turn: ProposalTurn) -> list[Batch]:
    """Of what landed while the forge was away; gives those of which it has yet to tell."""
    landed = turn.queue.landed_without_merger(turn.reference.name) if turn.settings.pull_requests else []
    return [batch for batch in landed if not credit_merger(turn, batch)]


def _follow(turn: ProposalTurn, batch: Batch, view: View, pulls: dict[int, PullRequest]) -> bool:
    """Whether the batch still waits for people, and not for a pass to build it anew."""
    if land_proposal(turn, batch, view, turn.memory):
        return True
    if _is_tried_again(turn, batch, view):
        return False
    if batch.hold and batch.waits_for_people and turn.queue.open_changes(batch.number) and not is_back(batch, view):
        turn.outcome.held.append(HeldBatch.of(batch, batch.hold))
        return True
    if end_proposal(turn, batch, view):
        return True
    if batch.state is BatchState.held:
        logger.info("batch {}: goes on, for {} is there again", batch.number, proposal_of(batch).branch)
        state = ProposalState(view.pull.state) if view.pull else None
        batch = turn.queue.propose_batch(batch.number, proposal_of(batch).model_copy(update={"state": state}))
    if reason := _why_rebuild(turn, batch, view):
        logger.info("batch {}: {} {}; it is rebuilt", batch.number, proposal_of(batch).branch, reason)
        turn.queue.reseal_proposal(batch.number)
        return False
    _tend(turn, batch, view, pulls)
    return True


def _is_tried_again(turn: ProposalLook, batch: Batch, view: View) -> bool:
    """Whether a pass is about to build the batch anew, or would, if it were not held for a reason of its own."""
    if batch.state is BatchState.held and not batch.waits_for_people:
        was_open = proposal_of(batch).state is ProposalState.open
        was_closed = was_open and view.pull is not None and view.pull.state == "closed"
        return not was_closed and why_left(turn, batch) is None
    return batch.state is BatchState.sealed


def tend_new_proposals(turn: ProposalTurn) -> None:
    """Open the pull requests of the batches that this pass has proposed."""
    for proposed in list(turn.outcome.proposed):
        batch = turn.queue.get_batch(proposed.number)
        if batch.state is BatchState.proposed:
            heads = heads_of(turn)
            _tend(turn, batch, View(heads.get(proposed.branch), None), list_open(turn, heads))


def _tend(turn: ProposalTurn, batch: Batch, view: View, pulls: dict[int, PullRequest]) -> None:
    """Keep what is known of a proposal, and its pull request as it should be."""
    batch = _note(turn, batch, view, pulls)
    if turn.settings.pull_requests:
        complete_request(turn, batch) if proposal_of(batch).number else open_request(turn, batch)


def _note(turn: ProposalTurn, batch: Batch, view: View, pulls: dict[int, PullRequest]) -> Batch:
    """Keep what ``status`` shows of the proposal."""
    proposal, pull = proposal_of(batch), view.pull
    theirs = _is_theirs(turn, batch, view)
    if theirs and not proposal.pushed_by_others:
        logger.info("batch {}: somebody else pushed to {}; refsync leaves it to them", batch.number, proposal.branch)
    noted = proposal.model_copy(
        update={
            "pushed_by_others": theirs,
            "state": ProposalState(pull.state) if pull else proposal.state,
            "url": pull.url if pull else proposal.url,
            "is_draft": pull.is_draft if pull else proposal.is_draft,
            "checked": Checked(**asdict(pull.checks)) if pull else proposal.checked,
            "reviewed": Reviewed(**asdict(pull.reviews)) if pull else proposal.reviewed,
            "overlaps": overlaps_of(turn, batch, pulls),
            "wait": _wait(turn, batch, view, theirs=theirs),
        }
    )
    return batch if noted == proposal else turn.queue.note_proposal(batch.number, noted)


def _wait(turn: ProposalTurn, batch: Batch, view: View, *, theirs: bool) -> Wait:
    kind, about = _awaited(turn, batch, view, theirs=theirs)
    return Wait(kind=kind, target=turn.reference.branch, about=about)


def _awaited(turn: ProposalTurn, batch: Batch, view: View, *, theirs: bool) -> tuple[WaitKind, str | None]:
    pull, branch = view.pull, turn.reference.branch
    if pull and pull.base != branch:
        return WaitKind.merged_elsewhere if pull.state == "merged" else WaitKind.other_base, pull.base
    if pull and pull.state == "merged":
        return WaitKind.fetch, None
    if theirs and view.head and turn.clone.contains(view.head, turn.tip):
        return WaitKind.emptied_branch, None
    if theirs and view.head and not merges_cleanly(turn, batch, view.head):
        return WaitKind.outdated_branch, None
    if turn.outcome.forge_problem and pull is None and turn.settings.pull_requests:
        return WaitKind.forge, turn.outcome.forge_problem
    return _awaited_of_people(pull) if pull else WaitKind.review, None


def _awaited_of_people(pull: PullRequest) -> WaitKind:
    if pull.checks.failed:
        return WaitKind.checks
    if pull.reviews.refused:
        return WaitKind.requested_changes
    if pull.is_draft:
        return WaitKind.draft
    return WaitKind.merge if pull.reviews.approved else WaitKind.review


def _is_theirs(turn: ProposalLook, batch: Batch, view: View) -> bool:
    return view.head is not None and not is_ours(turn.clone, turn.reference, batch, view.head)


def _why_rebuild(turn: ProposalLook, batch: Batch, view: View) -> str | None:
    """Why a branch that is still refsync's own has to be built anew; ``None`` where it is good as it is."""
    pull = view.pull
    if view.head is None or _is_theirs(turn, batch, view):
        return None
    if pull and (pull.state != "open" or pull.base != turn.reference.branch):
        return None
    if _carries_more(turn, batch, view.head):
        return "holds a change that is no longer wanted"
    if batch.base_commit == turn.tip:
        return None
    if not turn.clone.contains(batch.base_commit or "", turn.tip):
        return f"begins at a commit that {turn.reference.branch} no longer has"
    return None if merges_cleanly(turn, batch, view.head) else "no longer merges cleanly"


def _carries_more(turn: ProposalLook, batch: Batch, head: str) -> bool:
    """Whether a change of the proposed commit has been purged since."""
    parsed = parse_message(message_of(turn.clone, head))
    wanted = {change.change_id for change in turn.queue.open_changes(batch.number)}
    return parsed is not None and not wanted.issuperset(parsed.change_ids)
