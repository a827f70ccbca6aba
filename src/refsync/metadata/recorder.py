"""Landed commits -> operations -> metadata, each counted exactly once.

Every metadata file names the newest commit that it counts, and one small position file, written last, says up to
which commit all files were seen and what each metadata file then named. After a crash the two together tell what
is still to be counted, and what has to be folded anew because the history it came from is gone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from loguru import logger

from refsync.categories import SPECIFIED, CanonicalFormat, Catalogue, CategoryName
from refsync.clone.history import LandedCommit
from refsync.documents.operations import Operation
from refsync.durable_steps import durable_step
from refsync.metadata.files import FileState, state_of_file
from refsync.metadata.fold import add_up, apply_error, new_metadata
from refsync.metadata.manager import MetadataManager
from refsync.metadata.merge_losses import LandedMerge, errors_of_merges, new_merges
from refsync.metadata.models import CategoryMetadata, RecordedError
from refsync.metadata.position import FollowedFile, Position, Seen, read_position, write_position
from refsync.metadata.walk import (
    History,
    Progress,
    Task,
    from_the_root,
    paths_of,
    plan_walk,
    relation,
    take_in,
    take_in_ahead,
)
from refsync.reference.versions import Versions

_FEW = 32
"""Commits whose files are read so that they can be edited, too; of longer histories they are read faster."""

HISTORY_FIELDS = (
    "total_creates",
    "total_updates",
    "total_deletes",
    "total_models",
    "last_operation_type",
    "last_operation_model",
    "last_successful_operation",
    "initialization_time",
    "history_errors",
    "recorded_commit",
    "recorded_blob",
)
"""What a fold over the history gives; the rest depends on when and by whom it was written."""


class LandedOperation(NamedTuple):
    """An operation, and the commit and category file that it came with."""

    commit: str
    category: CategoryName
    format: CanonicalFormat
    operation: Operation


class LandedError(NamedTuple):
    """A version of a category file that cannot be read."""

    commit: str
    category: CategoryName
    format: CanonicalFormat
    reason: str


@dataclass(frozen=True)
class RecordedLanding:
    """What one recording took in.

    ``commits`` is the number walked. ``refolded`` tells that some category was folded anew from the root: then its
    operations are those of its whole history.
    """

    commits: int = 0
    operations: tuple[LandedOperation, ...] = ()
    errors: tuple[LandedError, ...] = ()
    refolded: bool = False


@dataclass(frozen=True)
class Difference:
    """A field in which the stored metadata is not what the history gives."""

    category: CategoryName
    format: CanonicalFormat
    field: str
    stored: Any
    folded: Any


_Standing = tuple[str, FileState | None, tuple[FileState | None, ...]]


class Recorder:
    """Keeps the metadata of one repository's categories equal to the fold over its first-parent history."""

    def __init__(
        self,
        manager: MetadataManager,
        files: Mapping[CategoryName, Mapping[CanonicalFormat, str]],
        *,
        catalogue: Catalogue = SPECIFIED,
        backend_type: str = "GitBackend",
    ) -> None:
        """Follow the files.

        Args:
            manager: where the operations go.
            files: category to format to path in the repository.
            catalogue: which categories there are.
            backend_type: noted in new metadata.
        """
        self._manager = manager
        self._backend_type = backend_type
        self._files = [
            FollowedFile(catalogue[category], format, path)
            for category, paths in files.items()
            for format, path in paths.items()
        ]
        self._position_path = manager.base_path / "meta" / "position.json"
        self._counted: _Standing | None = None  # where everything was counted last

    @property
    def recorded_tip(self) -> str | None:
        """The commit up to which everything was counted; ``None`` before the first call."""
        return read_position(self._position_path).commit

    def record(
        self, history: History, tip: str, *, versions: Versions | None = None, progress: Progress | None = None
    ) -> RecordedLanding:
        """Count what landed since the last call, up to ``tip``.

        The first call, and one after the branch was rewritten or the metadata lost, folds the whole history.

        Args:
            history: the repository.
            tip: object id of the commit that the target branch is at.
            versions: the files of the clone that were read already, if any.
            progress: called after each commit.

        Raises:
            GitCommandError: the history cannot be read; nothing or less was counted, and the next call goes on.
            StoreBusyError: another process held the metadata for too long; likewise.
            OSError: the metadata cannot be read or written; likewise.
        """
        if self._counted is not None and self._counted == self._standing(tip):
            return RecordedLanding()
        position = read_position(self._position_path)
        stored = [(file, self._manager.stored_metadata(file.format, file.category)) for file in self._files]
        walk, tasks = plan_walk(history, position, tip, stored)
        if versions and len(walk) <= _FEW:
            take_in(versions, walk, tasks, progress)
        else:
            take_in_ahead(history, walk, tasks, progress)
        for task in tasks:
            self._count(history, tip, task)
        merges = new_merges(history, walk, position.commit)
        for task in tasks:
            self._note_losses(merges, task, versions or Versions(history.read_blob))
        self._keep_position(position, tip, tasks)
        self._counted = self._standing(tip)
        return _landing(walk, tasks)

    def _standing(self, tip: str) -> _Standing:
        """The tip, and by what the files are known again in which that is counted."""
        states = tuple(self._manager.state_of(file.format, file.category) for file in self._files)
        return tip, state_of_file(self._position_path), states

    def fold(
        self, history: History, tip: str, *, progress: Progress | None = None
    ) -> dict[CanonicalFormat, dict[CategoryName, CategoryMetadata]]:
        """What the whole history up to ``tip`` gives, without writing; categories that it never held are left out.

        Raises:
            GitCommandError: the history cannot be read.
        """
        folded: dict[CanonicalFormat, dict[CategoryName, CategoryMetadata]] = {}
        for task in self._fold_all(history, tip, progress)[1]:
            if task.touched:
                folded.setdefault(task.file.format, {})[task.file.category] = self._summary(task)
        return folded

    def rebuild(self, history: History, tip: str, *, progress: Progress | None = None) -> RecordedLanding:
        """Replace all metadata by the fold over the history up to ``tip``; only errors of our own stay counted.

        Raises:
            GitCommandError: the history cannot be read.
            StoreBusyError: another process held the metadata for too long.
            OSError: the metadata cannot be read or written.
        """
        position = read_position(self._position_path)
        walk, tasks = self._fold_all(history, tip, progress)
        for task in tasks:
            task.stored = self._manager.stored_metadata(task.file.format, task.file.category)
            self._replace(task, ())
        self._keep_position(position, tip, tasks)
        return _landing(walk, tasks)

    def verify(self, history: History, tip: str, *, progress: Progress | None = None) -> list[Difference]:
        """Compare what is stored with a fresh fold up to the position that was recorded last.

        Args:
            history: the repository.
            tip: folded up to here where nothing was recorded yet, or the branch was rewritten since.
            progress: called after each commit.

        Raises:
            GitCommandError: the history cannot be read.
        """
        recorded = read_position(self._position_path).commit
        until = tip if recorded is None or relation(history, recorded, tip) == "rewritten" else recorded
        return [
            difference for task in self._fold_all(history, until, progress)[1] for difference in self._differences(task)
        ]

    # Counting

    def _fold_all(self, history: History, tip: str, progress: Progress | None) -> tuple[list[LandedCommit], list[Task]]:
        walk = history.first_parent_history(None, tip, paths_of(self._files))
        tasks = [from_the_root(file, None, Position()) for file in self._files]
        take_in_ahead(history, walk, tasks, progress)
        return walk, tasks

    def _count(self, history: History, tip: str, task: Task) -> None:
        for error in task.fold.errors:
            logger.warning("not counted: {}", error.error)
        if task.refold:
            self._replace(task, self._lost_history(history, tip, task))
        elif task.anew and task.touched:
            self._replace(task, ())
        elif task.touched:
            self._add(task)

    def _lost_history(self, history: History, tip: str, task: Task) -> tuple[RecordedError, ...]:
        """The one error of our own for a file whose counted commits are no longer in the branch."""
        recorded = task.stored.recorded_commit if task.stored else None
        if recorded is None or relation(history, recorded, tip) != "rewritten":
            return ()
        fault = f"the branch was rewritten: it no longer contains {recorded}"
        return (RecordedError(fault, int(time.time()), recorded),)

    def _note_losses(self, merges: Sequence[LandedMerge], task: Task, versions: Versions) -> None:
        """Count as errors of our own what landed merges lost, each once though a crash lets it be met again."""
        errors = list(errors_of_merges(merges, task.file, versions))
        lossy, last = [error.commit for error in errors], task.stored and task.stored.last_lossy_merge
        for error in errors[lossy.index(last) + 1 if last in lossy else 0 :]:
            self._count_loss(task, error)

    @durable_step("count what a merge lost")
    def _count_loss(self, task: Task, error: RecordedError) -> None:
        self._manager.record_error(
            task.file.format,
            task.file.category,
            error.error,
            backend_type=self._backend_type,
            timestamp=error.timestamp,
            commit=error.commit,
            person=error.person,
            merge=error.commit,
        )

    @durable_step("count what landed")
    def _add(self, task: Task) -> None:
        fold = task.fold
        task.stored = self._manager.record_operations(
            task.file.format,
            task.file.category,
            fold.operations,
            backend_type=self._backend_type,
            errors=fold.errors,
            recorded_commit=fold.commit,
            recorded_blob=fold.blob,
            initialization_time=fold.began,
            total_models=fold.total_models,
        )

    @durable_step("count anew")
    def _replace(self, task: Task, own: Sequence[RecordedError]) -> None:
        if not task.touched and task.stored is None:
            return
        summary = self._summary(task)
        for error in own:
            apply_error(summary, error)
        fold = task.fold
        task.stored = self._manager.replace_metadata(
            task.file.format,
            task.file.category,
            summary,
            operations=() if task.announced else fold.operations,
            errors=own if task.announced else (*own, *fold.errors),
        )

    def _summary(self, task: Task) -> CategoryMetadata:
        """The fold as metadata; where the history never held the file, only its beginning is kept."""
        began = task.fold.began
        if began is None:
            began = task.stored.initialization_time if task.stored else 0
        return add_up(new_metadata(task.file.category, self._backend_type, began), task.fold)

    def _differences(self, task: Task) -> Iterable[Difference]:
        category, format = task.file.category, task.file.format
        stored = task.stored = self._manager.stored_metadata(format, category)
        if stored is None and not task.touched:
            return
        folded = self._summary(task)
        for name in HISTORY_FIELDS:
            here, there = getattr(stored, name, None), getattr(folded, name)
            if here != there:
                yield Difference(category, format, name, here, there)

    # The position

    @durable_step("note what is counted")
    def _keep_position(self, before: Position, tip: str, tasks: Iterable[Task]) -> None:
        files = {
            task.file.key: Seen(task.file.place, task.stored.recorded_commit if task.stored else None) for task in tasks
        }
        after = Position(tip, files)
        if after != before:
            write_position(self._position_path, after)


def _landing(walk: Sequence[LandedCommit], tasks: Sequence[Task]) -> RecordedLanding:
    return RecordedLanding(
        commits=len(walk),
        operations=tuple(operation for task in tasks for operation in _landed_operations(task)),
        errors=tuple(error for task in tasks for error in _landed_errors(task)),
        refolded=any(task.refold and task.touched for task in tasks),
    )


def _landed_operations(task: Task) -> Iterable[LandedOperation]:
    category, format = task.file.category, task.file.format
    for each in task.fold.operations:
        assert each.commit is not None  # the fold names it
        yield LandedOperation(each.commit, category, format, Operation(each.operation.value, each.model))


def _landed_errors(task: Task) -> Iterable[LandedError]:
    category, format = task.file.category, task.file.format
    for each in task.fold.errors:
        assert each.commit is not None  # the fold names it
        yield LandedError(each.commit, category, format, each.error)
