"""Putting a batch up for review: its branch on the remote, and its pull request."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from loguru import logger

from refsync.clone.commits import parse_message
from refsync.clone.remotes import push
from refsync.clone.repository import Repository
from refsync.errors import ForgeRefusedError, ForgeUnavailableError, PushRefusedError
from refsync.forges.base import Forge, PullRequest
from refsync.pending_queue.models import Batch, BatchState, Proposal
from refsync.pending_queue.service import PendingQueueService
from refsync.review.proposal import find_token
from refsync.sync.forge_memory import ForgeMemory
from refsync.sync.proposal_text import body_of, title_of
from refsync.sync.reference import ProposedBatch, PublishSettings, PullRequestSettings, ReferenceRepository
from refsync.sync.turn import Turn
from refsync.sync.upstream import note_pushed, tracking_ref

_TOKEN_LENGTH = 6
_Answer = TypeVar("_Answer")


def branch_of(publish: PublishSettings, batch: Batch) -> str:
    """The branch that a batch is proposed on; two installations on one remote never choose the same."""
    if batch.proposal:
        return batch.proposal.branch
    return f"{publish.prefix}batch-{batch.number}-{(batch.job or '')[:_TOKEN_LENGTH]}"


def why_not_proposed_yet(
    queue: PendingQueueService, reference: ReferenceRepository, batch: Batch, *, more: int = 0
) -> str | None:
    """Why a sealed batch has to wait for others to end, ``more`` of them soon proposed; ``None`` where it need not."""
    requests = _requests(reference)
    if requests is None or (batch.proposal and batch.proposal.state == "open"):
        return None
    proposed = queue.list_batches({BatchState.proposed})
    count = sum(each.repository == reference.name for each in proposed) + more
    if count < requests.limit:
        return None
    return f"{count} pull requests are open, which is the limit; it waits until one of them ends"


def propose(turn: Turn, batch: Batch, commit: str) -> None:
    """Push the batch's commit to its branch; the pull request is opened when the branch is followed.

    Raises:
        PushRefusedError: somebody else uses the branch's name, or the remote refuses the push.
        BranchMovedError: somebody pushed to the branch just now.
        RemoteUnavailableError: it is unknown whether the commit arrived; the next pass finds out.
    """
    publish = _publish(turn.reference)
    branch = branch_of(publish, batch)
    there = turn.clone.commit_of(tracking_ref(publish, branch))
    if there and not is_ours(turn.clone, turn.reference, batch, there):
        raise PushRefusedError(
            f"{turn.clone.path}: the branch {branch} on {publish.remote.name} holds somebody else's commit "
            f"{there[:12]}; delete or rename it"
        )
    if there and _is_same_work(turn.clone, there, commit):
        commit = there
        turn.queue.record_commit(batch.number, base_commit=turn.tip, commit=commit)
    else:
        push(turn.clone, publish.remote, f"refs/heads/{branch}", commit, expected=there)
        note_pushed(turn.clone, publish, branch, commit)
    _note_proposed(turn, batch, branch, commit, rebuilt=there is not None and there != commit)


def _note_proposed(turn: Turn, batch: Batch, branch: str, commit: str, *, rebuilt: bool) -> None:
    before = batch.proposal or Proposal(branch=branch, head=commit, opened_at=time.time())
    goes_on = before.state == "open"
    proposal = before.model_copy(
        update={
            "head": commit,
            "number": before.number if goes_on else None,
            "url": before.url if goes_on else None,
            "state": before.state if goes_on else None,
            "is_stale": rebuilt and goes_on,
            "pushed_by_others": False,
        }
    )
    turn.queue.propose_batch(batch.number, proposal)
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
    told = clone.run("log", "-1", "--format=%cn <%ce>%n%B", "--encoding=UTF-8", commit).output.decode(errors="replace")
    committer, _, message = told.partition("\n")
    parsed = parse_message(message.rstrip("\n") + "\n")
    return committer == reference.author and parsed is not None and parsed.job == batch.job


def _is_same_work(clone: Repository, one: str, other: str) -> bool:
    """Whether two commits have the same parents and files, so that pushing the other would only make noise."""
    shown = [clone.run("log", "-1", "--format=%T %P", each).output for each in (one, other)]
    return shown[0] == shown[1]


# The pull request


def open_request(turn: Turn, batch: Batch) -> Batch:
    """Open the batch's pull request, or adopt the one that there is; the forge's failure is told, and tried again."""
    proposal = _proposal(batch)
    try:
        pull = _call(turn, lambda forge: _find_or_open(turn, forge, batch))
    except (ForgeUnavailableError, ForgeRefusedError) as failure:
        return _note_failure(turn, batch, failure)
    logger.info("batch {}: pull request {} {}", batch.number, pull.number, pull.url)
    for report in turn.outcome.proposed:
        if report.number == batch.number:
            turn.outcome.proposed.remove(report)
            turn.outcome.proposed.append(ProposedBatch(batch.number, proposal.branch, proposal.head, pull.url))
    noted = proposal.model_copy(
        update={"number": pull.number, "url": pull.url, "state": pull.state, "opened_at": pull.opened_at}
    )
    return complete_request(turn, turn.queue.note_proposal(batch.number, noted))


def _find_or_open(turn: Turn, forge: Forge, batch: Batch) -> PullRequest:
    proposal = _proposal(batch)
    for pull in forge.find(proposal.branch):
        if pull.state == "open":
            if find_token(pull.body) != batch.job:
                logger.warning(
                    "batch {}: adopts pull request {}, which somebody else opened", batch.number, pull.number
                )
            return pull
    return forge.open(
        head=proposal.branch,
        base=turn.reference.branch,
        title=title_of(batch),
        body=body_of(turn.clone, turn.reference, batch, turn.open_changes(batch)),
    )


def complete_request(turn: Turn, batch: Batch) -> Batch:
    """Ask for labels and reviews once, and bring the text up to date after a rebuild."""
    proposal, requests = _proposal(batch), _requests(turn.reference)
    if requests is None or proposal.number is None or (proposal.is_complete and not proposal.is_stale):
        return batch
    number, first = proposal.number, not proposal.is_complete
    try:
        warnings = _call(
            turn,
            lambda forge: forge.update(
                number,
                body=body_of(turn.clone, turn.reference, batch, turn.open_changes(batch))
                if proposal.is_stale
                else None,
                comment=_rebuilt(turn, batch) if proposal.is_stale else None,
                labels=requests.labels if first else (),
                reviewers=requests.reviewers if first else (),
                team_reviewers=requests.team_reviewers if first else (),
            ),
        )
    except (ForgeUnavailableError, ForgeRefusedError) as failure:
        return _note_failure(turn, batch, failure)
    for warning in warnings:
        logger.warning("batch {}: pull request {}: {}", batch.number, number, warning)
    update = {"is_complete": True, "is_stale": False, "warnings": [*proposal.warnings, *warnings]}
    return turn.queue.note_proposal(batch.number, proposal.model_copy(update=update))


def _rebuilt(turn: Turn, batch: Batch) -> str:
    base = (batch.base_commit or "")[:12]
    return f"Rebuilt on `{base}`, because `{turn.reference.branch}` had changed so that this could not be merged."


def forge_of(turn: Turn) -> ForgeMemory:
    """What is known of the repository's forge."""
    return turn.work.forges[turn.reference.name]


def opener_of(turn: Turn) -> Callable[[], Forge]:
    """What opens the repository's forge, for the URL that its remote has now."""
    requests, publish = _requests(turn.reference), _publish(turn.reference)
    assert requests is not None

    def open_forge() -> Forge:
        url = turn.clone.run("remote", "get-url", publish.remote.name).output.decode().strip()
        return requests.open_forge(url)

    return open_forge


def _call(turn: Turn, do: Callable[[Forge], _Answer]) -> _Answer:
    memory = forge_of(turn)
    memory.expect_news()
    return memory.call(opener_of(turn), do)


def _note_failure(turn: Turn, batch: Batch, failure: ForgeUnavailableError | ForgeRefusedError) -> Batch:
    turn.outcome.forge_problem = str(failure)
    noted = _proposal(batch).model_copy(update={"waits_for": f"the forge: {failure}"})
    return batch if noted == batch.proposal else turn.queue.note_proposal(batch.number, noted)


def _publish(reference: ReferenceRepository) -> PublishSettings:
    assert reference.publish is not None  # who lands locally proposes nothing
    return reference.publish


def _requests(reference: ReferenceRepository) -> PullRequestSettings | None:
    return reference.publish.pull_requests if reference.publish else None


def _proposal(batch: Batch) -> Proposal:
    assert batch.proposal is not None
    return batch.proposal
