"""What a pass works with, and one repository's turn in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loguru import logger

from refsync.clone.preflight import check_ready
from refsync.clone.repository import Repository
from refsync.pending_queue.daemon_door import DaemonDoor
from refsync.pending_queue.holds import Hold
from refsync.pending_queue.lease import Lease
from refsync.pending_queue.models import Batch
from refsync.reference.versions import VersionCache, Versions
from refsync.sync.deletions import note_mass_deletions
from refsync.sync.landed import record_landed, settle_reserved
from refsync.sync.publisher import Publisher
from refsync.sync.reference import (
    ApplySettings,
    HeldBatch,
    LandedBatch,
    Progress,
    ReferenceRepository,
    RepositoryReport,
)

if TYPE_CHECKING:
    from refsync.sync.checking import Verdicts
    from refsync.sync.plan import Model


@dataclass(frozen=True)
class Pass:
    """What one pass works with.

    ``stopping`` is asked between batches, so that a daemon told to stop finishes the step in hand only, and while
    a check runs, which is given up. ``verdicts`` are what the checks of this pass said; ``publishers`` gives each
    repository's way out by its name; ``tells_commits`` says whether anybody wants to be told of foreign commits.

    Where several processes share the queue, ``lease_of`` gives the lease of one repository, ``None`` where another
    process works on it; without it the lease of the pass is for all.
    """

    queue: DaemonDoor
    repositories: Sequence[ReferenceRepository]
    publishers: Mapping[str, Publisher]
    apply: ApplySettings
    progress: Progress | None = None
    stopping: Callable[[], bool] = lambda: False
    verdicts: Verdicts = field(default_factory=dict)
    lease_of: Callable[[str], AbstractContextManager[Lease | None]] | None = None
    publishes: bool = True
    """Whether it seals and publishes; else it only follows and counts."""
    tells_commits: bool = False
    failing: set[str] = field(default_factory=set)
    """The repositories in which this process's last pass failed."""
    cache: VersionCache = field(default_factory=VersionCache)
    """What this process's passes have read and parsed."""


@dataclass(frozen=True)
class Turn:
    """One repository's turn in a pass.

    ``queue`` is had by the lease of the repository; ``batches`` are those of it that had not ended when the turn
    began, none where it is only followed; ``versions`` the files that the turn has read; ``awaited`` the models whose
    batch has not landed, with its number; ``told`` for what a batch, by its number, was held when the turn came to it;
    ``split_off`` the numbers of the batches that were split off in it.
    """

    work: Pass
    queue: DaemonDoor
    reference: ReferenceRepository
    clone: Repository
    outcome: RepositoryReport
    batches: Sequence[Batch]
    versions: Versions
    awaited: dict[Model, int] = field(default_factory=dict)
    told: dict[int, Hold] = field(default_factory=dict)
    split_off: list[int] = field(default_factory=list)

    @property
    def publisher(self) -> Publisher:
        """The repository's way out."""
        return self.work.publishers[self.reference.name]

    @property
    def tip(self) -> str:
        """The commit that the batch in hand is planned on."""
        assert self.outcome.tip is not None
        return self.outcome.tip

    @property
    def has_proposals(self) -> bool:
        """Whether any of its batches was proposed; none is before its turn comes."""
        return any(batch.proposal for batch in self.batches)

    def catch_up(self, progress: Progress | None = None) -> None:
        """Bring the clone to what the target branch is known to be, and record what landed."""
        check_ready(self.clone)
        self.take_tip(self.publisher.catch_up(self), progress)

    def take_tip(self, tip: str, progress: Progress | None = None) -> None:
        """The target branch stands at a commit now: record what landed, and go on from there."""
        self.outcome.tip = tip
        self.publisher.fetch_versions(self, tip)
        recorded = record_landed(self.clone, self.reference, tip, self.versions, progress)
        self.outcome.recorded += len(recorded.operations)
        self.outcome.mass_deletions += note_mass_deletions(self.queue, self.reference, recorded)

    def await_models(self, batch: Batch) -> None:
        """Let later batches that touch the same models wait for this one."""
        for model in self.queue.open_models(batch.number):
            self.awaited.setdefault(model, batch.number)

    def hold(self, batch: Batch, hold: Hold) -> HeldBatch:
        """Let a batch wait."""
        if batch.hold != hold:
            before = self.told.get(batch.number)  # what was tried again in vain, be it on another tip, is no news
            is_news = before is None or before.model_copy(update={"since_tip": hold.since_tip}) != hold
            batch = self.queue.hold_batch(batch.number, hold, is_news=is_news)
            if is_news:
                logger.warning("batch {batch}: held: {reason}", batch=batch.number, reason=batch.reason)
        return HeldBatch.of(batch, hold)

    def settle(self, batch: Batch, tip: str) -> None:
        """Ask git what became of a batch that was left reserved."""
        self.note_landed(settle_reserved(self.clone, self.queue, self.reference, self.versions, batch, tip))

    def note_landed(self, landed: LandedBatch | None) -> None:
        """Put a batch that landed, if one did, into the report."""
        if landed:
            self.outcome.landed.append(landed)
