"""A proposal that reached the target branch: its changes get what became of them."""

from __future__ import annotations

from loguru import logger

from refsync.forges.base import PullRequest
from refsync.pending_queue.models import Actor, Batch, ProposalState
from refsync.publishing.proposals.forge_memory import ForgeMemory
from refsync.publishing.proposals.merged import Merge, Outcome, Records, find_merges, judge
from refsync.publishing.proposals.proposed import ProposalTurn, View, actor_of, proposal_of
from refsync.publishing.proposals.pull_request import look_at
from refsync.sync.landed import mark_landed
from refsync.sync.reference import RejectedChange
from refsync.sync.turn import Turn


def land_proposal(turn: Turn, batch: Batch, view: View, memory: ForgeMemory) -> bool:
    """Whether the batch has reached the target branch; what has not moved since the last look is not searched again."""
    pull = view.pull
    merge_commit = pull.merge_commit if pull and pull.state == "merged" and pull.base == turn.reference.branch else None
    marks, mark = memory.marks, (turn.tip, view.head, merge_commit)
    before = marks.get(batch.number)
    if before == mark:
        return False
    changes = turn.queue.open_changes(batch.number)
    paths = {path for change in changes if (path := turn.reference.written_file(change.category))}
    seen = before[0] if before and before[1:] == mark[1:] else None
    records = Records(turn.clone, turn.reference, turn.versions)
    is_button = memory.facts.is_button
    for merge in find_merges(
        turn.clone, batch, paths, view.head, turn.tip, merge_commit=merge_commit, seen=seen, is_button=is_button
    ):
        outcome = judge(turn.reference, batch, view.head, merge, changes, records)
        if outcome.is_borne_out(merge.evidence):
            _mark(turn, batch, merge, outcome, view)
            marks.pop(batch.number, None)
            return True
    marks[batch.number] = mark
    return False


def _mark(turn: Turn, batch: Batch, merge: Merge, outcome: Outcome, view: View) -> None:
    merger = _merger(view.pull, merge)
    where = f"pull request {view.pull.number}" if view.pull else proposal_of(batch).branch
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
        who=merger.username if merger else "whom only the forge knows",
    )
    merged = view.pull if view.pull and view.pull.state == "merged" else None
    noted = {
        "state": ProposalState.merged if merged else proposal_of(batch).state,
        "head": merged.head_commit if merged else proposal_of(batch).head,
        "wait": None,
        "merger_is_due": merger is None and merged is None,
    }
    turn.queue.note_proposal(batch.number, proposal_of(batch).model_copy(update=noted))
    turn.note_landed(mark_landed(turn.queue, batch, merge.commit, by=merger, edited=outcome.edited))


def credit_merger(turn: ProposalTurn, batch: Batch) -> bool:
    """Say who merged a batch that landed while only the forge knew; whether the forge has told all that it will."""
    pull = look_at(turn, proposal_of(batch))
    if pull is None or pull.state == "open":
        return False
    if pull.merged_by:
        by = actor_of(pull.merged_by)
        turn.queue.credit_landing(batch.number, by)
        logger.info("batch {}: was merged by {}", batch.number, by.username)
    turn.queue.note_proposal(batch.number, proposal_of(batch).model_copy(update={"merger_is_due": False}))
    return True


def _merger(pull: PullRequest | None, merge: Merge) -> Actor | None:
    if pull and pull.merged_by:
        return actor_of(pull.merged_by)
    if merge.by is None:
        return None
    name, _, mail = merge.by.partition(" <")
    return Actor(mail.removesuffix(">") or name, name)
