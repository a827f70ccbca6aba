"""Batches that were proposed, and what is there of each: its branch on the remote, and its pull request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from refsync.forges.base import Account, PullRequest
from refsync.pending_queue.lifecycle import IN_WORK_STATES
from refsync.pending_queue.models import Actor, Batch, BatchState, Proposal
from refsync.sync.turn import Turn
from refsync.sync.upstream import tracking_ref

CLOSED, GONE, LEFT = "closed", "branch deleted", "not followed"
"""How a proposal can have ended without landing; ``LEFT``: the config no longer leads to it."""


@dataclass(frozen=True)
class View:
    """What is there of a batch's proposal: the branch's head on the remote, and the pull request; ``None`` for none."""

    head: str | None
    pull: PullRequest | None


def proposed_batches(turn: Turn) -> list[Batch]:
    """The repository's batches in work that were proposed, also those that are held or built anew now."""
    found = turn.queue.list_batches(IN_WORK_STATES)
    return [each for each in found if each.proposal and each.repository == turn.reference.name]


def proposal_of(batch: Batch) -> Proposal:
    """The proposal of a batch that was proposed."""
    assert batch.proposal is not None
    return batch.proposal


def waiting_for_people(batch: Batch) -> bool:
    """Whether a held batch waits for what happens to its proposal, and not for a pass to try it again."""
    ended = batch.proposal is not None and batch.proposal.state in (CLOSED, GONE, LEFT)
    return batch.state is BatchState.held and ended


def heads_of(turn: Turn) -> dict[str, str]:
    """The proposal branches on the remote, as last seen, and their commits."""
    publish = turn.reference.publish
    if publish is None or not publish.proposes:
        return {}
    prefix = tracking_ref(publish, "")
    listed = turn.clone.run(
        "for-each-ref", "--format=%(refname) %(objectname)", tracking_ref(publish, publish.prefix) + "*"
    )
    lines = listed.output.decode(errors="surrogateescape").splitlines()
    return {name.removeprefix(prefix): commit for name, commit in (line.split(" ") for line in lines)}


def actor_of(account: Account) -> Actor:
    """Somebody of the forge as the queue names them."""
    return Actor(account.login, account.name or account.login)


def by_number(batches: Iterable[Batch]) -> set[int]:
    """The numbers of their pull requests."""
    return {each.proposal.number for each in batches if each.proposal and each.proposal.number}
