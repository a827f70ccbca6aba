"""What has happened, per category."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from refsync.application import Application
from refsync.categories import CategoryName
from refsync.clone.repository import Repository
from refsync.metadata.models import CategoryMetadata
from refsync.sync.reference import Progress, ReferenceRepository
from refsync.use_cases.answer import Answer, AnswerOf

ProgressOf = Callable[[str], AbstractContextManager[Progress | None]]
"""Opens, for a repository's name, what is told of commits done and commits in all."""


def untold(name: str) -> AbstractContextManager[None]:
    """Tells nobody."""
    return nullcontext()


class Counters(AnswerOf[dict[str, dict[str, dict[str, CategoryMetadata]]]]):
    """Repository to format to category to what is counted there."""


class Discrepancy(Answer):
    """A field of a category's metadata that is stored otherwise than the history gives it."""

    repository: str
    category: str
    format: str
    field: str
    stored: Any
    folded: Any


class Discrepancies(AnswerOf[list[Discrepancy]]):
    """Every one, none where all is as it should be."""


class FoldedHistory(Answer):
    """How much history a repository's counters were made from."""

    commits: int
    operations: int


class RebuiltCounters(AnswerOf[dict[str, FoldedHistory]]):
    """Repository to what its new counters were made from."""


def show_counters(application: Application, only: CategoryName | None = None) -> Counters:
    """The counters of every category that was recorded, or of one.

    Raises:
        UnknownCategoryError: no repository holds the category.
    """
    if only:
        application.tips().repository_of(only)
    counters: dict[str, dict[str, dict[str, CategoryMetadata]]] = {}
    for reference in application.repositories:
        for category, files in reference.files.items():
            for form in files:
                stored = reference.metadata.stored_metadata(form, category)
                if stored is not None and only in (None, category):
                    counters.setdefault(reference.name, {}).setdefault(form.value, {})[category] = stored
    return Counters(counters)


def verify_counters(application: Application, progress: ProgressOf = untold) -> Discrepancies:
    """Compare the counters with a fresh fold over the history."""
    found = []
    for reference, clone in _between_passes(application, reads_only=True):
        with progress(reference.name) as told:
            differences = list(reference.recorder.verify(clone, clone.tip(), progress=told))
        found += [Discrepancy(repository=reference.name, **vars(each)) for each in differences]
    return Discrepancies(found)


def rebuild_counters(application: Application, progress: ProgressOf = untold) -> RebuiltCounters:
    """Replace the counters by a fresh fold over the history; errors of refsync's own stay counted."""
    rebuilt = {}
    for reference, clone in _between_passes(application):
        with progress(reference.name) as told:
            landing = reference.recorder.rebuild(clone, clone.tip(), progress=told)
        rebuilt[reference.name] = FoldedHistory(commits=landing.commits, operations=len(landing.operations))
    return RebuiltCounters(rebuilt)


def _between_passes(
    application: Application, *, reads_only: bool = False
) -> Iterator[tuple[ReferenceRepository, Repository]]:
    """Each repository with its clone, while no pass is running; who may only read cannot hold passes up."""
    for reference in application.repositories:
        with (
            nullcontext() if reads_only and application.state.is_locked else application.state.pass_lock(),
            Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone,
        ):
            yield reference, clone
