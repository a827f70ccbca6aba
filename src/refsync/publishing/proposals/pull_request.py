"""The pull request of a batch: opened or adopted, brought up to date, looked at, closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from loguru import logger

from refsync.clone.remotes import url_of
from refsync.errors import ForgeRefusedError, ForgeUnavailableError
from refsync.forges.base import Extra, Forge, PullRequest, RefusedExtra
from refsync.pending_queue.models import Batch, BatchState, Proposal, ProposalState, RefusedOnce, Wait, WaitKind
from refsync.publishing.proposals.proposed import ProposalLook, ProposalTurn, proposal_of
from refsync.publishing.proposals.settings import PullRequestSettings
from refsync.publishing.proposals.text import body_of, title_of
from refsync.review.proposal import find_token
from refsync.sync.reference import ProposedBatch

_Answer = TypeVar("_Answer")


def list_open(turn: ProposalTurn, heads: dict[str, str]) -> dict[int, PullRequest]:
    """The open pull requests by number; as they were, where the forge does not answer."""
    if turn.settings.pull_requests is None:
        return {}
    try:
        return turn.memory.open_requests(_opener(turn), (turn.tip, frozenset(heads.items())))
    except (ForgeUnavailableError, ForgeRefusedError) as failure:
        turn.outcome.forge_problem = str(failure)
        return turn.memory.open


def look_at(turn: ProposalTurn, proposal: Proposal) -> PullRequest | None:
    """The proposal's pull request; ``None`` where there is none, or it cannot be had.

    One of another branch is not ours: the remote is another repository than before.
    """
    if proposal.number is None or turn.settings.pull_requests is None:
        return None
    try:
        pull = turn.memory.look_closely(_opener(turn), proposal.number)
    except (ForgeUnavailableError, ForgeRefusedError) as failure:
        turn.outcome.forge_problem = str(failure)
        return None
    return pull if pull.head == proposal.branch else None


def open_request(turn: ProposalTurn, batch: Batch) -> Batch:
    """Open the batch's pull request, or adopt the one that there is; the forge's failure is told, and tried again."""
    proposal = proposal_of(batch)
    try:
        pull = _ask(turn, batch, lambda forge: _find_or_open(turn, forge, batch))
    except (ForgeUnavailableError, ForgeRefusedError) as failure:
        return _note_failure(turn, batch, failure)
    logger.info("batch {}: pull request {} is open: {}", batch.number, pull.number, pull.url)
    for report in turn.outcome.proposed:
        if report.number == batch.number:
            turn.outcome.proposed.remove(report)
            turn.outcome.proposed.append(ProposedBatch(batch.number, proposal.branch, proposal.head, pull.url))
    known = {"number": pull.number, "url": pull.url, "opened_at": pull.opened_at}
    noted = proposal.model_copy(update={**known, "state": ProposalState(pull.state)})
    return complete_request(turn, turn.queue.note_proposal(batch.number, noted))


def _find_or_open(turn: ProposalLook, forge: Forge, batch: Batch) -> PullRequest:
    proposal = proposal_of(batch)
    for pull in forge.find(proposal.branch):
        is_known = find_token(pull.body) == batch.job
        if pull.state == "open":
            if not is_known:
                logger.warning(
                    "batch {}: adopts pull request {}, which somebody else opened", batch.number, pull.number
                )
            return pull
        if pull.state == "merged" and is_known:  # before we could note that we had opened it
            return pull
    return forge.open(
        head=proposal.branch,
        base=turn.reference.branch,
        title=title_of(batch),
        body=body_of(turn, batch),
    )


def complete_request(turn: ProposalTurn, batch: Batch) -> Batch:
    """Ask for labels and reviews once, and bring the text up to date after a rebuild."""
    proposal, requests = proposal_of(batch), turn.settings.pull_requests
    if requests is None or proposal.number is None or (proposal.is_complete and not proposal.is_stale):
        return batch
    rests = turn.memory.rests((batch.job, "extras"))
    if rests and not proposal.is_stale:
        return batch
    number, extras = proposal.number, {} if rests else _missing_extras(proposal, requests)
    try:
        refused = _ask(
            turn,
            batch,
            lambda forge: forge.update(
                number,
                body=body_of(turn, batch) if proposal.is_stale else None,
                comment=_rebuilt(turn, batch) if proposal.is_stale else None,
                labels=extras.get(Extra.LABEL, ()),
                reviewers=extras.get(Extra.REVIEWER, ()),
                team_reviewers=extras.get(Extra.TEAM, ()),
            ),
        )
    except (ForgeUnavailableError, ForgeRefusedError) as failure:
        return _note_failure(turn, batch, failure)
    told = proposal.model_copy(update={"is_stale": False})
    return turn.queue.note_proposal(batch.number, told if rests else _with_extras(turn, batch, told, refused))


def _missing_extras(proposal: Proposal, requests: PullRequestSettings) -> dict[Extra, Sequence[str]]:
    """What is to be asked for of labels and reviews: all of it once, and what was refused then once more."""
    if proposal.is_complete:
        return {}
    if proposal.refused_once is None:
        return {Extra.LABEL: requests.labels, Extra.REVIEWER: requests.reviewers, Extra.TEAM: requests.team_reviewers}
    refused = proposal.refused_once
    return {kind: [each.name for each in refused if each.kind == kind] for kind in Extra}


def _with_extras(turn: ProposalLook, batch: Batch, proposal: Proposal, refused: Sequence[RefusedExtra]) -> Proposal:
    """A refusal is one when it repeats: just after a request was opened, not all of a forge may know of it."""
    again = [
        RefusedOnce(kind=each.kind.value, name=each.name)
        for each in refused
        if each.kind is not Extra.COMMENT and not proposal.is_complete and proposal.refused_once is None
    ]
    if again:
        turn.memory.leave_alone((batch.job, "extras"), "labels and reviews were refused just now")
        logger.debug("batch {}: is asked for again: {}", batch.number, [each.reason for each in refused])
        return proposal.model_copy(update={"refused_once": again})
    for each in refused:
        logger.warning("batch {}: pull request {}: {}", batch.number, proposal.number, each.reason)
    warnings = list(dict.fromkeys([*proposal.warnings, *(each.reason for each in refused)]))
    return proposal.model_copy(update={"is_complete": True, "refused_once": None, "warnings": warnings})


def close_request(turn: ProposalLook, batch: Batch) -> None:
    """Close the pull request of a batch that has ended, if it is still open.

    Raises:
        ForgeUnavailableError, ForgeRefusedError: the forge does not do it.
    """
    proposal = proposal_of(batch)
    number = proposal.number
    if number is None or proposal.state != "open" or turn.settings.pull_requests is None:
        return
    _ask(turn, batch, lambda forge: forge.close(number, comment=_why_closed(turn, batch)))


def _why_closed(turn: ProposalLook, batch: Batch) -> str:
    if batch.state is BatchState.abandoned:
        return "The batch was given up."
    if batch.commit and turn.clone.contains(batch.commit, turn.tip):
        return f"Landed as {batch.commit}."
    return f"`{turn.reference.branch}` has all of it already."


def _rebuilt(turn: ProposalLook, batch: Batch) -> str:
    """With both commits, so that no two rebuilds are told in the same words."""
    base, commit = (batch.base_commit or "")[:12], (batch.commit or "")[:12]
    return f"Rebuilt on `{base}`, the present state of `{turn.reference.branch}`, as `{commit}`."


def _ask(turn: ProposalLook, batch: Batch, do: Callable[[Forge], _Answer]) -> _Answer:
    """Have something done about a batch, which the next list will show."""
    memory = turn.memory
    memory.expect_news()
    return memory.call(_opener(turn), do, about=batch.job)


def _opener(turn: ProposalLook) -> Callable[[], Forge]:
    """What opens the repository's forge, for the URL that its remote has now."""
    requests = turn.settings.pull_requests
    assert requests is not None

    def open_forge() -> Forge:
        return requests.open_forge(url_of(turn.clone, turn.upstream.remote.name))

    return open_forge


def _note_failure(turn: ProposalTurn, batch: Batch, failure: ForgeUnavailableError | ForgeRefusedError) -> Batch:
    turn.outcome.forge_problem = str(failure)
    wait = Wait(kind=WaitKind.forge, target=turn.reference.branch, about=str(failure))
    noted = proposal_of(batch).model_copy(update={"wait": wait})
    return batch if noted == batch.proposal else turn.queue.note_proposal(batch.number, noted)
