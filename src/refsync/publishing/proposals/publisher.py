"""The way out by review: each batch goes to a branch of its own, and, with a forge, into a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from refsync.clone.journal import IndexLock
from refsync.pending_queue.models import Batch, PendingChangeRecord
from refsync.pending_queue.queue_door import QueueDoor
from refsync.publishing.proposals.follow import follow_proposals, tend_new_proposals
from refsync.publishing.proposals.forge_memory import ForgeMemory
from refsync.publishing.proposals.propose import branch_of, propose, why_not_proposed_yet
from refsync.publishing.proposals.proposed import ProposalTurn
from refsync.publishing.proposals.settings import ProposalSettings
from refsync.publishing.proposals.text import critical_fields, render, title_of
from refsync.publishing.push import Push
from refsync.publishing.upstream import Remotes, Upstream
from refsync.reference.view import View
from refsync.sync.publisher import PullRequestText
from refsync.sync.reference import ReferenceRepository
from refsync.sync.turn import Turn

_NO_TOKEN_YET = "(given when the batch is sealed)"


class Proposals(Push):
    """Lands when people merge it; the clone follows its remote as with ``Push``."""

    lands = False
    looks_after = True

    def __init__(self, upstream: Upstream, remotes: Remotes, memory: ForgeMemory, settings: ProposalSettings) -> None:
        """Propose as the settings say; ``memory`` is what is known of the forge."""
        super().__init__(upstream, remotes, memory)
        self.mode = "pull_request" if settings.pull_requests else "branch"
        self._settings = settings

    def follow(self, turn: Turn) -> None:
        """Look at every batch that was proposed: it lands, ends, is to be rebuilt, or waits for people."""
        follow_proposals(self._with_proposals(turn))

    def deliver(self, turn: Turn, batch: Batch, commit: str, lock: IndexLock | None) -> None:
        """Push the batch's commit to a branch of its own.

        Raises:
            PushRefusedError: somebody else uses the branch's name, or the remote refuses the push.
            BranchMovedError: somebody pushed to the branch just now.
            RemoteUnavailableError: it is unknown whether the commit arrived; the next pass finds out.
        """
        propose(self._with_proposals(turn), batch, commit)

    def tend(self, turn: Turn) -> None:
        """Open the pull requests of what was proposed."""
        tend_new_proposals(self._with_proposals(turn))

    def why_not_yet(
        self, queue: QueueDoor, reference: ReferenceRepository, batch: Batch, *, more: int = 0
    ) -> str | None:
        """Only so many pull requests are open at once."""
        return why_not_proposed_yet(queue, reference, self._settings, batch, more=more)

    def branch_for(self, batch: Batch) -> str | None:
        """Its own; ``TOKEN`` stands for a part of its token before it is sealed."""
        return branch_of(self._settings, batch if batch.job else batch.model_copy(update={"job": "TOKEN"}))

    def request_text(
        self,
        reference: ReferenceRepository,
        batch: Batch,
        changes: Sequence[PendingChangeRecord],
        before: View,
        after: View,
    ) -> PullRequestText | None:
        """Without the pull requests of others that touch the same models: the forge is not asked."""
        if self._settings.pull_requests is None:
            return None
        job = batch.job or _NO_TOKEN_YET
        critical = critical_fields(self._settings)
        longest = self._memory.facts.longest_body
        body = render(
            reference, changes, before, after, job=job, batch=batch.number, critical=critical, longest=longest
        )
        return PullRequestText(title_of(batch), body)

    def _with_proposals(self, turn: Turn) -> ProposalTurn:
        return ProposalTurn(**vars(turn), upstream=self.upstream, settings=self._settings, memory=self._memory)
