"""What batches that have ended leave on the remote: open pull requests to close, branches to delete."""

from __future__ import annotations

import re

from loguru import logger

from refsync.clone.refs import delete_refs
from refsync.durable_steps import durable_step
from refsync.errors import BatchNotFoundError, ForgeRefusedError, PushRefusedError, RefsyncError
from refsync.pending_queue.models import Batch, BatchState
from refsync.publishing.proposals.propose import is_ours
from refsync.publishing.proposals.proposed import ProposalLook, ProposalTurn, proposal_of
from refsync.publishing.proposals.pull_request import close_request
from refsync.publishing.proposals.stale import adds_nothing
from refsync.publishing.upstream import push_told

_ENDED = frozenset({BatchState.landed, BatchState.abandoned})


def clear_away(turn: ProposalTurn, heads: dict[str, str]) -> None:
    """Close the requests and delete the branches of batches that have ended; a failure is tried again."""
    for branch, head in heads.items():
        batch = _batch_of(turn, branch)
        if batch is None or batch.state not in _ENDED or proposal_of(batch).is_over:
            continue
        try:
            close_request(turn, batch)
            if turn.settings.delete_branch:
                _delete_branch(turn, batch, head)
        except PushRefusedError as refusal:
            logger.warning("batch {}: {} cannot be deleted: {}", batch.number, branch, refusal)
        except RefsyncError as failure:
            if isinstance(failure, ForgeRefusedError):
                turn.outcome.forge_problem = str(failure)
            logger.debug("batch {}: {} is cleared away later: {}", batch.number, branch, failure)
            continue
        turn.queue.note_proposal(batch.number, proposal_of(batch).model_copy(update={"is_over": True}))


def _batch_of(turn: ProposalLook, branch: str) -> Batch | None:
    """The batch that was proposed on a branch; the same number may be that of another installation's."""
    numbered = re.match(r"batch-(\d+)-", branch.removeprefix(turn.settings.prefix))
    if not numbered:
        return None
    try:
        batch = turn.queue.get_batch(int(numbered[1]))
    except BatchNotFoundError:
        return None
    return batch if batch.proposal and batch.proposal.branch == branch else None


@durable_step("delete a proposed branch")
def _delete_branch(turn: ProposalLook, batch: Batch, head: str) -> None:
    """Delete the branch, unless it holds work of somebody else that has not landed."""
    upstream, branch = turn.upstream, proposal_of(batch).branch
    if not is_ours(turn.clone, turn.reference, batch, head) and not adds_nothing(turn, head):
        raise PushRefusedError(f"it holds {head[:12]}, which somebody else pushed; delete it by hand")
    push_told(turn.clone, upstream, branch, None, expected=head)
    delete_refs(turn.clone, [upstream.tracking_ref(branch)])
