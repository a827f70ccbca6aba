"""Batches that were proposed, and what is there of each: its branch on the remote, and its pull request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from refsync.clone.refs import commits_of_refs
from refsync.forges.base import Account, PullRequest
from refsync.pending_queue.lifecycle import IN_WORK_STATES
from refsync.pending_queue.models import Actor, Batch, Proposal
from refsync.publishing.proposals.forge_memory import ForgeMemory
from refsync.publishing.proposals.settings import ProposalSettings
from refsync.publishing.upstream import Upstream
from refsync.sync.look import Look
from refsync.sync.turn import Turn


@dataclass(frozen=True, kw_only=True)
class ProposalTurn(Turn):
    """A turn of a repository that proposes, with what that needs."""

    upstream: Upstream
    settings: ProposalSettings
    memory: ForgeMemory


class ProposalLook(Look, Protocol):
    """A repository that proposes, for who only looks."""

    @property
    def upstream(self) -> Upstream:
        """Its remote."""
        ...

    @property
    def settings(self) -> ProposalSettings:
        """How it proposes."""
        ...

    @property
    def memory(self) -> ForgeMemory:
        """What is known of the forge."""
        ...


@dataclass(frozen=True)
class View:
    """What is there of a batch's proposal: the branch's head on the remote, and the pull request; ``None`` for none."""

    head: str | None
    pull: PullRequest | None


def proposed_batches(turn: Turn) -> list[Batch]:
    """The repository's batches in work that were proposed, also those that are held or built anew now."""
    if not turn.has_proposals:
        return []
    found = turn.queue.list_batches(IN_WORK_STATES)
    return [each for each in found if each.proposal and each.repository == turn.reference.name]


def proposal_of(batch: Batch) -> Proposal:
    """The proposal of a batch that was proposed."""
    assert batch.proposal is not None
    return batch.proposal


def heads_of(turn: ProposalLook) -> dict[str, str]:
    """The proposal branches on the remote, as last seen, and their commits."""
    prefix, proposals = (turn.upstream.tracking_ref(name) for name in ("", turn.settings.prefix))
    listed = commits_of_refs(turn.clone, f"{proposals}*")
    return {name.removeprefix(prefix): commit for name, commit in listed.items()}


def actor_of(account: Account) -> Actor:
    """Somebody of the forge as the queue names them."""
    return Actor(account.login, account.name or account.login)


def by_number(batches: Iterable[Batch]) -> set[int]:
    """The numbers of their pull requests."""
    return {each.proposal.number for each in batches if each.proposal and each.proposal.number}
