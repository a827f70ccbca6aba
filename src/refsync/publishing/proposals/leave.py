"""What was proposed while the config led that way: it lands, or waits until the config leads there again."""

from __future__ import annotations

from refsync.pending_queue.models import REFSYNC, Batch, BatchState
from refsync.publishing.proposals.end import is_back, leave
from refsync.publishing.proposals.forge_memory import ForgeMemory
from refsync.publishing.proposals.land import land_proposal
from refsync.publishing.proposals.proposed import View, proposal_of, proposed_batches
from refsync.sync.reference import HeldBatch
from refsync.sync.turn import Turn

_UNSEEN = View(head=None, pull=None)


def leave_proposals(turn: Turn, memory: ForgeMemory) -> None:
    """Look after proposals in a repository that makes none any more; each that is held keeps its models for itself."""
    for batch in proposed_batches(turn):
        if turn.work.stopping():
            return
        if land_proposal(turn, batch, _UNSEEN, memory) or batch.state is BatchState.sealed:
            continue
        _leave(turn, batch)
        turn.await_models(batch)


def _leave(turn: Turn, batch: Batch) -> None:
    if not turn.queue.open_models(batch.number):
        turn.queue.give_up_batch(batch.number, reason="nothing left: every change was purged", actor=REFSYNC)
    elif batch.hold and batch.waits_for_people and not is_back(batch, _UNSEEN):
        turn.outcome.held.append(HeldBatch.of(batch, batch.hold))
    else:
        branch, mode = proposal_of(batch).branch, turn.publisher.mode
        leave(turn, batch, f"it was proposed as {branch}, but `publish` is {mode} now")
