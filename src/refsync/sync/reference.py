"""A reference repository, as a pass sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from refsync.categories import SPECIFIED, CanonicalFormat, Catalogue, CategoryName
from refsync.clone.process import DEFAULT_TIMEOUT_SECONDS
from refsync.documents.merge import NO_STAMPS, Stamps
from refsync.metadata.records import STAMPS
from refsync.pending_queue.holds import Hold, HoldKind, tell_with_command
from refsync.pending_queue.repository_note import MassDeletion
from refsync.reference.kinds import CategoryFiles, kind_of, readable_records_at
from refsync.reference.view import View
from refsync.rules.category_rules import CategoryRules

if TYPE_CHECKING:
    from refsync.metadata.manager import MetadataManager
    from refsync.metadata.recorder import Recorder
    from refsync.pending_queue.models import Batch
    from refsync.sync.checking import CheckSettings

Record = dict[str, Any]
Paths = Mapping[CategoryName, Mapping[CanonicalFormat, str]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DeletionLimit:
    """How many models of a category may go at once: too many are more than ``count``, and than this share of them."""

    count: int
    share: float


@dataclass(frozen=True)
class ReferenceRepository:
    """One clone with its categories, and where what landed in it is recorded.

    ``files`` gives each category's paths in the clone, by format; ``format`` is the one that changes are
    written in; ``author`` is ``Name <mail>``.
    """

    name: str
    path: Path
    branch: str
    format: CanonicalFormat
    files: Paths
    metadata: MetadataManager
    recorder: Recorder
    author: str = "refsync <refsync@localhost>"
    stamp_records: bool = False
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    tables: Mapping[CategoryName, str] = field(default_factory=dict)
    """For a category whose file is made from a table that people edit: the table."""
    catalogue: Catalogue = SPECIFIED
    check: CheckSettings | None = None
    """What is checked before a commit is published, where anything is."""
    deletions: DeletionLimit | None = None
    """How many models may go at once without a person's word; any number without it."""
    rules: Mapping[CategoryName, CategoryRules] = field(default_factory=dict)
    """What the records of categories have to be like."""

    @property
    def stamps(self) -> Stamps:
        """What refsync writes into the records by itself, and so takes no part in comparing them."""
        return STAMPS if self.stamp_records else NO_STAMPS

    def written_file(self, category: CategoryName) -> str | None:
        """The file that changes of a category edit; ``None`` where the repository does not hold it."""
        return self.files.get(category, {}).get(self.written_format(category))

    def edited_paths(self, category: CategoryName) -> list[str]:
        """All files that a change of a category edits."""
        return [path for path in (self.written_file(category), self.tables.get(category)) if path]

    def open(self, category: CategoryName, view: View) -> CategoryFiles:
        """The files of a category that the repository holds, in a state of it.

        Raises:
            DocumentError: they cannot be opened.
        """
        path, described = self.edited_paths(category)[-1], self.catalogue[category]
        return kind_of(described, path).open(view, described, path)

    def record(
        self, view: View, category: CategoryName, model: str, format: CanonicalFormat | None = None
    ) -> Record | None:
        """A model's record in a state, in the format that is written or another; ``None`` for none that can be read."""
        path = self.files.get(category, {}).get(format or self.written_format(category))
        return readable_records_at(view, self.catalogue[category], path).get(model) if path else None

    def read_paths(self, category: CategoryName) -> list[str]:
        """All files that are read for a change of a category."""
        edited = self.edited_paths(category)
        schema = self.rules[category].schema_file if category in self.rules else None
        beside = self.catalogue[category].made_of(edited[-1]) if edited else ()
        return [*edited, *beside, *([schema] if schema else ())]

    def data_paths(self) -> list[str]:
        """Every file that is read for the categories, at one time or another."""
        paths = set[str]()
        for category, formats in self.files.items():
            described = self.catalogue[category]
            paths.update(formats.values(), filter(None, map(described.stand_in_of, formats.values())))
            for file in (*formats.values(), self.tables.get(category)):
                paths.update(described.made_of(file) if file else ())
        paths.update(filter(None, (each.schema_file for each in self.rules.values())))
        return sorted(paths)

    def written_format(self, category: CategoryName) -> CanonicalFormat:
        """The format that changes of a category are written in: v2 where the category has no other."""
        return self.format if self.format in self.files.get(category, {}) else CanonicalFormat.v2


@dataclass(frozen=True)
class ApplySettings:
    """When the open batch is sealed.

    With ``approval``, once ``settle_seconds`` passed without another approval; with ``schedule``, when a
    time of the schedule came since the last approval; with ``manual``, never by a pass. ``next_time`` gives
    the schedule's first time after a given one, both in Unix seconds.
    """

    when: Literal["approval", "schedule", "manual"] = "approval"
    settle_seconds: float = 0.0
    next_time: Callable[[float], float] = lambda after: float("inf")


@dataclass
class RepositoryReport:
    """What one pass found and did in one repository."""

    name: str
    tip: str | None = None
    landed: list[LandedBatch] = field(default_factory=list)
    rejected: list[RejectedChange] = field(default_factory=list)
    returned: list[ReturnedChange] = field(default_factory=list)
    proposed: list[ProposedBatch] = field(default_factory=list)
    """Batches that this pass has put up for review, or brought up to date there."""
    held: list[HeldBatch] = field(default_factory=list)
    queued: list[QueuedBatch] = field(default_factory=list)
    """Batches that wait for their place among the open pull requests."""
    forge_problem: str | None = None
    """Why the forge could not be asked, one line; everything else went on."""
    already_red: list[str] = field(default_factory=list)
    """Checks that fail on what is published already, and so hold nothing; one line each."""
    recorded: int = 0
    """Operations recorded in the metadata."""
    mass_deletions: list[MassDeletion] = field(default_factory=list)
    """Where others deleted many models at once."""
    problem: str | None = None
    """Why nothing could be done at all, one line."""
    temporary: bool = False
    """Whether the problem may pass by itself."""
    is_elsewhere: bool = False
    """Whether another process works on it, so that this one only followed."""


@dataclass(frozen=True)
class LandedBatch:
    """A batch whose changes are applied; ``commit`` is ``None`` where there was nothing left to write."""

    number: int
    commit: str | None
    change_ids: Sequence[int]


@dataclass(frozen=True)
class RejectedChange:
    """A change that conflicts with what is there."""

    change_id: int
    reason: str


@dataclass(frozen=True)
class ReturnedChange:
    """A change that waits for review again, because its approval does not count."""

    change_id: int
    reason: str


@dataclass(frozen=True)
class ProposedBatch:
    """A batch that people review in git; ``url`` is that of its pull request, where there is one."""

    number: int
    branch: str
    commit: str
    url: str | None = None


_OVER_UNSEEN = (HoldKind.refused_landing, HoldKind.lost_races)


@dataclass(frozen=True)
class HeldBatch:
    """A batch that waits for a person, for what the reason says."""

    number: int
    kind: HoldKind
    reason: str

    @classmethod
    def of(cls, batch: Batch, hold: Hold) -> Self:
        """The batch, which waits for what the hold says."""
        return cls(batch.number, hold.kind, tell_with_command(hold, batch.number))


@dataclass(frozen=True)
class QueuedBatch:
    """A batch that waits for its turn."""

    number: int
    reason: str


@dataclass
class PassReport:
    """What one pass did; ``settles_in`` seconds from now the open batch may be sealed (``None``: not by time).

    ``unserved`` are batches that no repository of the config takes.
    """

    repositories: list[RepositoryReport] = field(default_factory=list)
    unserved: list[HeldBatch] = field(default_factory=list)
    sealed: list[int] = field(default_factory=list)
    settles_in: float | None = None

    @property
    def problems(self) -> list[RepositoryReport]:
        """The repositories in which nothing could be done."""
        return [report for report in self.repositories if report.problem]

    @property
    def may_pass(self) -> bool:
        """Whether something that failed or is held may be over without a sign, so that it is tried again soon."""
        return any(
            report.temporary or any(held.kind in _OVER_UNSEEN for held in report.held) for report in self.repositories
        )

    @property
    def clean(self) -> bool:
        """Whether nothing is held and nothing failed."""
        return not self.unserved and not any(
            report.problem or report.held or report.forge_problem for report in self.repositories
        )
