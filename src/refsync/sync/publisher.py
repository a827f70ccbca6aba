"""What a pass asks of a way out; the ways themselves stand in :mod:`refsync.publishing`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refsync.clone.journal import IndexLock
from refsync.clone.repository import Repository
from refsync.pending_queue.models import Batch, PendingChangeRecord
from refsync.reference.view import View
from refsync.sync.reference import ReferenceRepository

if TYPE_CHECKING:
    from refsync.pending_queue.queue_door import QueueDoor
    from refsync.sync.look import Look
    from refsync.sync.turn import Turn


@dataclass(frozen=True)
class Races:
    """What happens to a batch whose target branch moves while its commit is made.

    ``attempts``: how often it is planned anew in one pass, each time after at most ``jitter_seconds``, doubled by each
    attempt. ``locks_clone``: whether people's git is kept out of the clone meanwhile, from the second attempt on.
    ``holds``: whether one that lost every race is held, so that the repository's other batches go on.
    """

    attempts: int = 5
    jitter_seconds: float = 0.0
    locks_clone: bool = False
    holds: bool = False


@dataclass(frozen=True)
class Standing:
    """Where a clone stands beside its remote: how many commits it lacks of what was fetched last, and has beyond."""

    name: str
    behind: int | None = None
    ahead: int | None = None


@dataclass(frozen=True)
class PullRequestText:
    """What people would read on the forge."""

    title: str
    body: str


class Publisher(ABC):
    """How the batches of one repository reach its target branch.

    Where a way says nothing else, it knows of no place but the clone.
    """

    mode: str
    """Its name in the config."""
    remote: str | None = None
    """Git's name of the remote that it goes to."""
    lands = True
    """Whether what it delivers has landed; else people land it later."""
    looks_after = False
    """Whether it has to look after what was delivered though no batch waits."""
    races = Races()
    """What happens when others are quicker."""

    # in a pass

    def ask_news(self, turn: Look, *, anew: bool = False) -> None:  # noqa: B027
        """See what is new outside of the clone, ``anew`` even if that was asked a moment ago.

        Raises:
            RefsyncError: it could not be told.
        """

    def catch_up(self, turn: Look) -> str:
        """Bring the clone to what the target branch is known to be; returns its tip.

        Raises:
            RefsyncError: it cannot be brought there.
        """
        return turn.clone.tip()

    def fetch_versions(self, turn: Look, tip: str) -> None:  # noqa: B027
        """Get what counting up to the tip will read, where the clone does not hold it yet."""

    def follow(self, turn: Turn) -> None:  # noqa: B027
        """See what became of what earlier passes have delivered."""

    def start(self, turn: Turn) -> None:
        """See where the target branch stands, before a batch is planned: people commit in the clone meanwhile."""
        turn.outcome.tip = turn.clone.tip()

    def make_sure(self, turn: Look) -> None:  # noqa: B027
        """See that nobody has moved the target branch on, before a commit is built on it.

        Raises:
            BranchMovedError: somebody has.
            RefsyncError: it could not be told.
        """

    @abstractmethod
    def deliver(self, turn: Turn, batch: Batch, commit: str, lock: IndexLock | None) -> None:
        """Send a built commit on its way; the turn stands at the new tip where it landed.

        Raises:
            BranchMovedError: somebody was quicker.
            PushRefusedError: it is refused until a person does something about it.
            RefsyncError: it may or may not have arrived; a later pass finds out.
        """

    def tend(self, turn: Turn) -> None:  # noqa: B027
        """Look after what this pass has delivered, once every batch had its turn."""

    # to look

    def why_not_yet(
        self, queue: QueueDoor, reference: ReferenceRepository, batch: Batch, *, more: int = 0
    ) -> str | None:
        """Why a sealed batch has to wait for others to end, ``more`` of them soon delivered; ``None``: it need not."""
        return None

    def newest(self, clone: Repository, reference: ReferenceRepository) -> str:
        """Where the target branch is known to stand: a pass first follows what was fetched."""
        return clone.tip()

    def standing(self, clone: Repository, reference: ReferenceRepository) -> Standing | None:
        """Where the clone stands beside its remote; ``None`` where it has none."""
        return None

    def branch_for(self, batch: Batch) -> str | None:
        """The branch on the remote on which people would review a batch; ``None`` where they review none."""
        return None

    def request_text(
        self,
        reference: ReferenceRepository,
        batch: Batch,
        changes: Sequence[PendingChangeRecord],
        before: View,
        after: View,
    ) -> PullRequestText | None:
        """What people would read on the forge of these changes; ``None`` where nothing is written there."""
        return None
