"""Following what was proposed: a batch on its branch lands, is closed, goes stale, or waits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from loguru import logger

from refsync.clone.remotes import push
from refsync.errors import (
    BatchNotFoundError,
    ForgeRefusedError,
    ForgeUnavailableError,
    PushRefusedError,
    RefsyncError,
    TemporaryError,
)
from refsync.forges.base import Account, PullRequest
from refsync.pending_queue.models import REFSYNC, Actor, Batch, BatchState, Proposal
from refsync.sync.land import mark_landed
from refsync.sync.merged import Merge, Outcome, find_merges, judge
from refsync.sync.overlaps import overlaps_of
from refsync.sync.propose import complete_request, forge_of, is_ours, open_request, opener_of
from refsync.sync.reference import HeldBatch, PublishSettings, RejectedChange
from refsync.sync.stale import merges_cleanly
from refsync.sync.turn import Turn
from refsync.sync.upstream import tracking_ref

_FOLLOWED = frozenset({BatchState.proposed, BatchState.held})
_ENDED = frozenset({BatchState.landed, BatchState.abandoned})
_GONE = "branch deleted"


@dataclass(frozen=True)
class _View:
    """What is there of a batch's proposal: the branch's head on the remote, and the pull request; ``None`` for none."""

    head: str | None
    pull: PullRequest | None


def follow_proposals(turn: Turn) -> None:
    """Look at every batch that was proposed; each that has not landed keeps its models for itself."""
    publish = _publish(turn)
    heads = _heads(turn)
    batches = [
        each
        for each in turn.queue.list_batches(_FOLLOWED)
        if each.repository == turn.reference.name and (each.state is BatchState.proposed or waiting_for_people(each))
    ]
    pulls = _open_pulls(turn, heads) if publish.pull_requests and (batches or heads) else {}
    for batch in batches:
        if turn.work.stopping():
            return
        if _follow(turn, batch, heads, pulls):
            turn.await_models(batch)
    _clear_away(turn, heads)
    forge_of(turn).forget_all_but(each.proposal.number for each in batches if each.proposal and each.proposal.number)


def _heads(turn: Turn) -> dict[str, str]:
    """The proposal branches on the remote, as last seen, and their commits."""
    publish = _publish(turn)
    prefix = tracking_ref(publish, "")
    listed = turn.clone.run(
        "for-each-ref", "--format=%(refname) %(objectname)", tracking_ref(publish, publish.prefix) + "*"
    )
    lines = listed.output.decode(errors="surrogateescape").splitlines()
    return {name.removeprefix(prefix): commit for name, commit in (line.split(" ") for line in lines)}


def _open_pulls(turn: Turn, heads: dict[str, str]) -> dict[int, PullRequest]:
    """The open pull requests, as far as the forge answers."""
    try:
        return forge_of(turn).open_requests(opener_of(turn), (turn.tip, frozenset(heads.items())))
    except (ForgeUnavailableError, ForgeRefusedError) as failure:
        turn.outcome.forge_problem = str(failure)
        return {}


def _follow(turn: Turn, batch: Batch, heads: dict[str, str], pulls: dict[int, PullRequest]) -> bool:
    """Whether the batch still waits for people, and not for a pass to build it anew."""
    proposal = _proposal(batch)
    view = _View(heads.get(proposal.branch), _look(turn, proposal))
    if _land(turn, batch, view):
        return True
    if reason := _why_ended(turn, batch, view):
        _end(turn, batch, view, reason)
        return True
    if batch.state is BatchState.held:
        if not _is_back(proposal, view):
            turn.outcome.held.append(HeldBatch(batch.number, batch.reason or ""))
            return True
        logger.info("batch {}: goes on, for {} is there again", batch.number, proposal.branch)
        state = view.pull.state if view.pull else None
        batch = turn.queue.propose_batch(batch.number, proposal.model_copy(update={"state": state}))
    if _needs_rebuild(turn, batch, view):
        logger.info("batch {}: {} no longer merges cleanly; it is rebuilt", batch.number, proposal.branch)
        turn.queue.reseal_proposal(batch.number)
        return False
    _tend(turn, batch, view, pulls)
    return True


def _is_back(proposal: Proposal, view: _View) -> bool:
    """Whether what ended a proposal was taken back."""
    return view.head is not None if proposal.state == _GONE else bool(view.pull and view.pull.state == "open")


def tend_new_proposals(turn: Turn) -> None:
    """Open the pull requests of the batches that this pass has proposed."""
    for proposed in list(turn.outcome.proposed):
        batch = turn.queue.get_batch(proposed.number)
        if batch.state is BatchState.proposed:
            publish = _publish(turn)
            pulls = _open_pulls(turn, _heads(turn)) if publish.pull_requests else {}
            _tend(turn, batch, _View(proposed.commit, None), pulls)


def _tend(turn: Turn, batch: Batch, view: _View, pulls: dict[int, PullRequest]) -> None:
    """Keep what is known of a proposal, and its pull request as it should be."""
    batch = _note(turn, batch, view, pulls)
    if _publish(turn).pull_requests:
        complete_request(turn, batch) if _proposal(batch).number else open_request(turn, batch)


def _look(turn: Turn, proposal: Proposal) -> PullRequest | None:
    if proposal.number is None or _publish(turn).pull_requests is None:
        return None
    try:
        return forge_of(turn).look_closely(opener_of(turn), proposal.number)
    except (ForgeUnavailableError, ForgeRefusedError) as failure:
        turn.outcome.forge_problem = str(failure)
        return None


# Landing


def _land(turn: Turn, batch: Batch, view: _View) -> bool:
    """Whether the batch has reached the target branch; its changes get what became of them."""
    pull = view.pull
    merge_commit = pull.merge_commit if pull and pull.state == "merged" and pull.base == turn.reference.branch else None
    mark = (turn.tip, view.head, merge_commit)
    memory = forge_of(turn)
    seen = memory.marks.get(batch.number)
    if seen == mark:  # nothing has moved since it was last looked for
        return False
    changes = turn.open_changes(batch)
    paths = {path for change in changes if (path := turn.reference.written_file(change.category))}
    for merge in find_merges(
        turn.clone, batch, paths, view.head, turn.tip, merge_commit=merge_commit, seen=seen[0] if seen else None
    ):
        outcome = judge(turn.clone, turn.reference, batch, merge, changes)
        if outcome.is_borne_out(merge.evidence):
            _mark(turn, batch, merge, outcome, view)
            memory.marks.pop(batch.number, None)
            return True
    memory.marks[batch.number] = mark
    return False


def _mark(turn: Turn, batch: Batch, merge: Merge, outcome: Outcome, view: _View) -> None:
    merger = _merger(view.pull, merge)
    where = f"pull request {view.pull.number}" if view.pull else _proposal(batch).branch
    for change_id in outcome.dropped:
        reason = f"dropped in review: {where} landed as {merge.commit[:12]} without it"
        turn.queue.reject_by_refsync(change_id, reason)
        turn.outcome.rejected.append(RejectedChange(change_id, reason))
        logger.warning("batch {}: change {} rejected: {}", batch.number, change_id, reason)
    logger.info(
        "batch {batch}: {where} landed by {how} (told by its {evidence}), by {who}",
        batch=batch.number,
        where=where,
        how=merge.how,
        evidence=merge.evidence,
        who=merger.username,
    )
    merged = view.pull if view.pull and view.pull.state == "merged" else None
    noted = {
        "state": "merged" if merged else _proposal(batch).state,
        "head": merged.head_commit if merged else _proposal(batch).head,
        "waits_for": None,
    }
    turn.queue.note_proposal(batch.number, _proposal(batch).model_copy(update=noted))
    turn.note_landed(mark_landed(turn.queue, batch, merge.commit, by=merger, edited=outcome.edited))


def _merger(pull: PullRequest | None, merge: Merge) -> Actor:
    if pull and pull.merged_by:
        return Actor(pull.merged_by.login, pull.merged_by.name or pull.merged_by.login)
    name, _, mail = merge.by.partition(" <")
    return Actor(mail.removesuffix(">") or name, name)


# Ending without landing


def _why_ended(turn: Turn, batch: Batch, view: _View) -> str | None:
    """Why nothing more will come of the proposal by itself; ``None`` while it is under review."""
    proposal, pull, remote = _proposal(batch), view.pull, _publish(turn).remote.name
    if pull and pull.state == "closed":
        return f"pull request {pull.number} was closed{_by(pull.closed_by)} without being merged"
    if view.head is None and not (pull and pull.state == "merged"):
        return f"its branch {proposal.branch} was deleted on {remote}"
    return None


def _by(account: Account | None) -> str:
    return f" by {account.login}" if account else ""


def _end(turn: Turn, batch: Batch, view: _View, reason: str) -> None:
    requests = _publish(turn).pull_requests
    state = "closed" if view.pull and view.pull.state == "closed" else _GONE
    if _proposal(batch).state != state:
        turn.queue.note_proposal(batch.number, _proposal(batch).model_copy(update={"state": state, "waits_for": None}))
    if requests and requests.on_close == "abandon" and state == "closed":
        turn.queue.give_up_batch(batch.number, reason=reason, actor=_closer(view.pull))
        logger.warning("batch {}: abandoned: {}", batch.number, reason)
        return
    again = "reopen it, or" if state == "closed" else "restore it, or"
    told = f"{reason}; {again}: refsync batch retry {batch.number}"
    turn.outcome.held.append(turn.hold(batch, told))


def _closer(pull: PullRequest | None) -> Actor:
    if pull and pull.closed_by:
        return Actor(pull.closed_by.login, pull.closed_by.name or pull.closed_by.login)
    return REFSYNC


# Waiting


def _note(turn: Turn, batch: Batch, view: _View, pulls: dict[int, PullRequest]) -> Batch:
    """Keep what ``status`` shows of the proposal."""
    proposal, pull = _proposal(batch), view.pull
    theirs = _is_theirs(turn, batch, view)
    if theirs and not proposal.pushed_by_others:
        logger.info("batch {}: somebody else pushed to {}; refsync leaves it to them", batch.number, proposal.branch)
    overlaps = overlaps_of(turn, batch, pulls)
    noted = proposal.model_copy(
        update={
            "pushed_by_others": theirs,
            "state": pull.state if pull else proposal.state,
            "url": pull.url if pull else proposal.url,
            "checks": pull.checks if pull else proposal.checks,
            "reviews": pull.reviews if pull else proposal.reviews,
            "overlaps": overlaps,
            "waits_for": _waits_for(turn, batch, view, theirs=theirs),
        }
    )
    return batch if noted == proposal else turn.queue.note_proposal(batch.number, noted)


def _waits_for(turn: Turn, batch: Batch, view: _View, *, theirs: bool) -> str:
    pull, branch = view.pull, turn.reference.branch
    if pull and pull.state == "merged":
        where = "to be fetched" if pull.base == branch else f"to reach {branch}: it was merged into {pull.base}"
        return f"its merge {where}"
    if pull and pull.base != branch:
        return f"its base to be {branch} again, or {pull.base} to be merged there"
    if theirs and view.head and not merges_cleanly(turn, batch, view.head):
        return f"whoever pushed to its branch to bring it up to date with {branch}"
    if turn.outcome.forge_problem and pull is None and _publish(turn).pull_requests:
        return f"the forge: {turn.outcome.forge_problem}"
    if pull and pull.checks and "failed" in pull.checks:
        return "its checks to pass"
    if pull and pull.reviews and "changes requested" in pull.reviews:
        return "what its reviewers asked for"
    if pull and pull.reviews and "approved" in pull.reviews:
        return "somebody to merge it"
    return "review"


def _is_theirs(turn: Turn, batch: Batch, view: _View) -> bool:
    return view.head is not None and not is_ours(turn.clone, turn.reference, batch, view.head)


def _needs_rebuild(turn: Turn, batch: Batch, view: _View) -> bool:
    pull = view.pull
    if view.head is None or batch.base_commit == turn.tip or _is_theirs(turn, batch, view):
        return False
    if pull and (pull.state != "open" or pull.base != turn.reference.branch):
        return False
    return not merges_cleanly(turn, batch, view.head)


# Clearing away


def _clear_away(turn: Turn, heads: dict[str, str]) -> None:
    """Close the requests and delete the branches of batches that have ended; a failure is tried again."""
    for branch, head in heads.items():
        batch = _batch_of(turn, branch)
        if batch is None or batch.state not in _ENDED or batch.proposal is None or batch.proposal.is_over:
            continue
        try:
            _close_request(turn, batch)
            if _publish(turn).delete_branch:
                _delete_branch(turn, batch, head)
        except TemporaryError as failure:
            logger.debug("batch {}: {} is cleared away later: {}", batch.number, branch, failure)
            continue
        except RefsyncError as failure:
            logger.warning("batch {}: {} cannot be cleared away: {}", batch.number, branch, failure)
        turn.queue.note_proposal(batch.number, batch.proposal.model_copy(update={"is_over": True}))


def _batch_of(turn: Turn, branch: str) -> Batch | None:
    numbered = re.match(r"batch-(\d+)-", branch.removeprefix(_publish(turn).prefix))
    if not numbered:
        return None
    try:
        batch = turn.queue.get_batch(int(numbered[1]))
    except BatchNotFoundError:
        return None
    return batch if batch.proposal and batch.proposal.branch == branch else None


def _close_request(turn: Turn, batch: Batch) -> None:
    proposal = _proposal(batch)
    number = proposal.number
    if number is None or proposal.state != "open" or _publish(turn).pull_requests is None:
        return
    landed = f"Landed as {batch.commit}." if batch.state is BatchState.landed else "The batch was given up."
    memory = forge_of(turn)
    memory.expect_news()
    memory.call(opener_of(turn), lambda forge: forge.close(number, comment=landed))


def _delete_branch(turn: Turn, batch: Batch, head: str) -> None:
    """Delete the branch, unless it holds work of somebody else that has not landed."""
    publish, branch = _publish(turn), _proposal(batch).branch
    if not is_ours(turn.clone, turn.reference, batch, head) and not turn.clone.contains(head, turn.tip):
        raise PushRefusedError(f"it holds {head[:12]}, which somebody else pushed; delete it by hand")
    push(turn.clone, publish.remote, f"refs/heads/{branch}", None, expected=head)
    turn.clone.run("update-ref", "-d", tracking_ref(publish, branch))


def waiting_for_people(batch: Batch) -> bool:
    """Whether a held batch waits for what happens to its proposal, and not for a pass to try it again."""
    return batch.state is BatchState.held and batch.proposal is not None and batch.proposal.state in ("closed", _GONE)


def _publish(turn: Turn) -> PublishSettings:
    assert turn.reference.publish is not None
    return turn.reference.publish


def _proposal(batch: Batch) -> Proposal:
    assert batch.proposal is not None
    return batch.proposal
