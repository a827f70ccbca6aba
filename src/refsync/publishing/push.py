"""The way out to a remote: its target branch is pushed to, and the clone follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refsync.clone.journal import IndexLock
from refsync.clone.repository import Repository
from refsync.pending_queue.models import Batch
from refsync.publishing.proposals.forge_memory import ForgeMemory
from refsync.publishing.upstream import (
    FRESH_SECONDS,
    Remotes,
    Upstream,
    catch_up,
    check_newest,
    fetch_versions,
    newest,
    note_pushed,
    push_told,
    standing,
)
from refsync.sync.publisher import Publisher, Races, Standing
from refsync.sync.reference import ReferenceRepository

if TYPE_CHECKING:
    from refsync.sync.look import Look
    from refsync.sync.turn import Turn

_JITTER_SECONDS = 0.2


class Push(Publisher):
    """Lands on the remote's target branch."""

    mode = "push"

    def __init__(self, upstream: Upstream, remotes: Remotes, memory: ForgeMemory) -> None:
        """Go to a remote, which is asked for news by ``remotes``; ``memory`` is as for ``Local``."""
        self.upstream = upstream
        self.remote = upstream.remote.name
        self.races = Races(upstream.attempts, jitter_seconds=_JITTER_SECONDS, holds=True)
        self._remotes = remotes
        self._memory = memory

    def ask_news(self, turn: Look, *, anew: bool = False) -> None:
        """Fetch, unless that was done a short time ago; raises as :class:`Remotes` does."""
        within = 0 if anew else 2 * self.upstream.fetch_seconds
        self._remotes.ask(turn.reference, self.upstream, turn.clone, within=within)

    def catch_up(self, turn: Look) -> str:
        """Bring target branch, files and index to what the remote was last seen to have."""
        return catch_up(turn.clone, turn.reference, self.upstream)

    def fetch_versions(self, turn: Look, tip: str) -> None:
        """In one round trip, and not one blob at a time."""
        fetch_versions(turn.reference, self.upstream.remote, turn.clone, tip)

    def follow(self, turn: Turn) -> None:
        """Nothing is on its way but what was proposed before the config was changed."""
        if turn.has_proposals:
            from refsync.publishing.proposals.leave import leave_proposals  # slow, and hardly ever needed

            leave_proposals(turn, self._memory)

    def start(self, turn: Turn) -> None:
        """Where the turn stands: the clone only moves to what the remote has."""

    def make_sure(self, turn: Look) -> None:
        """Ask the remote, unless it was asked just now."""
        self._remotes.ask(turn.reference, self.upstream, turn.clone, within=FRESH_SECONDS)
        check_newest(turn.clone, turn.reference, self.upstream, turn.tip)

    def deliver(self, turn: Turn, batch: Batch, commit: str, lock: IndexLock | None) -> None:
        """Move the target branch of the remote; the clone follows once the remote has it.

        Raises:
            BranchMovedError: somebody was quicker.
            PushRefusedError: the branch is protected, or a hook refuses the commit.
            RemoteUnavailableError: it is unknown whether the commit arrived; the next look at the remote tells.
        """
        branch = turn.reference.branch
        push_told(turn.clone, self.upstream, branch, commit, expected=turn.tip)
        note_pushed(turn.clone, self.upstream, branch, commit)
        self._remotes.answered(turn.reference)
        turn.catch_up()

    def newest(self, clone: Repository, reference: ReferenceRepository) -> str:
        """Where it was fetched, unless the clone has commits of its own."""
        return newest(clone, reference, self.upstream)

    def standing(self, clone: Repository, reference: ReferenceRepository) -> Standing | None:
        """By what git remembers of the remote, which is not asked."""
        return standing(clone, reference, self.upstream)
