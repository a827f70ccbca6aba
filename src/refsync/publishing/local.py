"""The way out that stays in the clone: its target branch is moved, and no remote is touched."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from refsync.clone.journal import IndexLock
from refsync.clone.landing import index_locked, land
from refsync.clone.remotes import Remote
from refsync.pending_queue.models import Batch
from refsync.publishing.proposals.forge_memory import ForgeMemory
from refsync.publishing.upstream import fetch_versions
from refsync.sync.publisher import Publisher, Races

if TYPE_CHECKING:
    from refsync.sync.look import Look
    from refsync.sync.turn import Turn


class Local(Publisher):
    """Lands in the clone alone."""

    mode = "local"
    races = Races(locks_clone=True)

    def __init__(self, memory: ForgeMemory) -> None:
        """Know what there is to know of proposals that were made before the config was changed."""
        self._memory = memory

    def fetch_versions(self, turn: Look, tip: str) -> None:
        """From where a partial clone fetches by itself."""
        fetch_versions(turn.reference, Remote(), turn.clone, tip)

    def follow(self, turn: Turn) -> None:
        """Nothing is on its way but what was proposed before the config was changed."""
        if turn.has_proposals:
            from refsync.publishing.proposals.leave import leave_proposals  # slow, and hardly ever needed

            leave_proposals(turn, self._memory)

    def deliver(self, turn: Turn, batch: Batch, commit: str, lock: IndexLock | None) -> None:
        """Move the target branch of the clone, its work tree and index with it.

        Raises:
            BranchMovedError: somebody moved the branch since the commit was built.
            LocalEditsError: a person edited one of its files since.
            LandingRefusedError: a file of it cannot be written; nothing was moved.
        """
        reason, wanted = f"refsync: batch {batch.number}", turn.reference.data_paths()
        with nullcontext(lock) if lock else index_locked(turn.clone) as held:
            land(held, old=turn.tip, new=commit, reason=reason, wanted=wanted)
        turn.take_tip(commit)
