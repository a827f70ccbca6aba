"""Putting a batch up for review: its branch on the remote."""

from __future__ import annotations

from loguru import logger

from refsync.clone.ancestry import is_same_work
from refsync.clone.commits import parse_message
from refsync.clone.messages import signed_message_of
from refsync.clone.repository import Repository
from refsync.errors import PushRefusedError
from refsync.pending_queue.lifecycle import IN_WORK_STATES
from refsync.pending_queue.models import Batch, BatchState, Proposal, ProposalState
from refsync.pending_queue.queue_door import QueueDoor
from refsync.publishing.proposals.proposed import ProposalTurn
from refsync.publishing.proposals.settings import ProposalSettings
from refsync.publishing.upstream import note_pushed, push_told
from refsync.sync.reference import ProposedBatch, ReferenceRepository

_TOKEN_LENGTH = 6


def branch_of(settings: ProposalSettings, batch: Batch) -> str:
    """The branch that a batch is proposed on; two installations on one remote never choose the same."""
    if batch.proposal and batch.proposal.branch.startswith(settings.prefix):
        return batch.proposal.branch
    return f"{settings.prefix}batch-{batch.number}-{(batch.job or '')[:_TOKEN_LENGTH]}"


def why_not_proposed_yet(
    queue: QueueDoor,
    reference: ReferenceRepository,
    settings: ProposalSettings,
    batch: Batch,
    *,
    more: int = 0,
) -> str | None:
    """Why a sealed batch has to wait for others to end, ``more`` of them soon proposed; ``None`` where it need not."""
    requests = settings.pull_requests
    if requests is None or (batch.proposal and batch.proposal.state is ProposalState.open):
        return None
    in_work = queue.list_batches(IN_WORK_STATES)
    count = sum(each.repository == reference.name and _has_place(each) for each in in_work) + more
    if count < requests.limit:
        return None
    return f"as many pull requests are open as `pull_request.limit` allows ({count}); it waits until one ends"


def _has_place(batch: Batch) -> bool:
    """Whether a batch in work counts among the open pull requests; one that is held while it is open does, too."""
    if batch.state is BatchState.proposed:
        return True
    return batch.proposal is not None and batch.proposal.state is ProposalState.open


def propose(turn: ProposalTurn, batch: Batch, commit: str) -> None:
    """Push the batch's commit to its branch; the pull request is opened when the branch is followed.

    Raises:
        PushRefusedError: somebody else uses the branch's name, or the remote refuses the push.
        BranchMovedError: somebody pushed to the branch just now.
        RemoteUnavailableError: it is unknown whether the commit arrived; the next pass finds out.
    """
    branch, upstream = branch_of(turn.settings, batch), turn.upstream
    there = turn.clone.commit_of(upstream.tracking_ref(branch))
    if there and not is_ours(turn.clone, turn.reference, batch, there):
        if batch.proposal and batch.proposal.branch == branch:
            _leave_to_others(turn, batch, there)
            return
        raise PushRefusedError(
            f"{turn.clone.path}: the branch {branch} on {upstream.remote.name} holds somebody else's commit "
            f"{there[:12]}; delete or rename it"
        )
    if there and is_same_work(turn.clone, there, commit):  # pushing the other would only make noise
        commit = there
        turn.queue.record_commit(batch.number, base_commit=turn.tip, commit=commit)
    else:
        push_told(turn.clone, upstream, branch, commit, expected=there)
        note_pushed(turn.clone, upstream, branch, commit)
    _note_proposed(turn, batch, branch, commit, rebuilt=bool(batch.proposal and batch.proposal.head != commit))


def _leave_to_others(turn: ProposalTurn, batch: Batch, there: str) -> None:
    """Follow the branch as somebody else has made it, instead of forcing over their commits."""
    assert batch.proposal
    logger.info("batch {}: somebody else pushed {} to {}", batch.number, there[:12], batch.proposal.branch)
    _note_proposed(turn, batch, batch.proposal.branch, batch.proposal.head, rebuilt=False)


def _note_proposed(turn: ProposalTurn, batch: Batch, branch: str, commit: str, *, rebuilt: bool) -> None:
    former = batch.proposal if batch.proposal and batch.proposal.branch == branch else None
    before = former or Proposal(branch=branch, head=commit)
    goes_on = before.state is ProposalState.open
    proposal = before.model_copy(
        update={
            "head": commit,
            "number": before.number if goes_on else None,
            "url": before.url if goes_on else None,
            "state": before.state if goes_on else None,
            "is_complete": before.is_complete and goes_on,
            "refused_once": before.refused_once if goes_on else None,
            "is_stale": (rebuilt or before.is_stale) and goes_on,
            "pushed_by_others": False,
        }
    )
    turn.queue.propose_batch(batch.number, proposal, gets_request=turn.settings.pull_requests is not None)
    turn.outcome.proposed.append(ProposedBatch(batch.number, branch, commit, proposal.url))
    logger.info(
        "batch {batch}: {what} on {branch} as {commit}",
        batch=batch.number,
        what="rebuilt" if rebuilt else "proposed",
        branch=branch,
        commit=commit[:12],
    )


def is_ours(clone: Repository, reference: ReferenceRepository, batch: Batch, commit: str) -> bool:
    """Whether refsync pushed a commit for a batch: the one noted, or one that a lost answer kept from being noted.

    Such a one carries the batch's token and the committer of the config; who amends a commit becomes its committer.
    """
    if batch.proposal and commit == batch.proposal.head:
        return True
    if not clone.has(commit):
        return False
    committer, message = signed_message_of(clone, commit)
    parsed = parse_message(message.rstrip("\n") + "\n")
    return committer == reference.author and parsed is not None and parsed.job == batch.job
