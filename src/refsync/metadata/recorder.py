"""Landed commits -> operations -> metadata, each counted exactly once.

Every metadata file names the newest commit that it counts, and one small position file, written last, says up to
which commit all files were seen and what each metadata file then named. After a crash the two together tell what
is still to be counted, and what has to be folded anew because the history it came from is gone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from loguru import logger

from refsync.categories import CanonicalFormat, CategoryName
from refsync.clone.history import FileChange, HistoryRelation, LandedCommit
from refsync.documents.operations import Operation
from refsync.durable import write_durably
from refsync.durable_steps import durable_step
from refsync.metadata.fold import FileFold, add_up, apply_error, new_metadata
from refsync.metadata.manager import MetadataManager
from refsync.metadata.models import CategoryMetadata, RecordedError
from refsync.reference.versions import Versions

Progress = Callable[[int, int], None]
"""Called with the commits done and the commits in all."""

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


class History(Protocol):
    """What the recorder needs of a repository."""

    def first_parent_history(self, after: str | None, until: str) -> list[LandedCommit]:
        """The commits after ``after`` (``None``: from the root) up to ``until``, oldest first."""
        ...

    def relation(self, after: str, until: str) -> HistoryRelation:
        """How ``after`` stands to ``until``; a commit that is not there at all is ``"rewritten"``."""
        ...

    def read_blob(self, blob: str) -> bytes:
        """The content of a blob."""
        ...

    def read_blobs(self, blobs: Iterable[str]) -> Generator[tuple[str, bytes]]:
        """Those of these blobs that are there, each with its id, in their order."""
        ...


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


class _File(NamedTuple):
    """A category file that is followed."""

    category: CategoryName
    format: CanonicalFormat
    path: str

    @property
    def key(self) -> str:
        return f"{self.format}/{self.category}"


@dataclass(frozen=True)
class _Seen:
    """What the position says of a file: where it was, and the ``recorded_commit`` of its metadata."""

    path: str
    recorded: str | None


@dataclass(frozen=True)
class _Position:
    """Up to which commit all followed files were seen."""

    commit: str | None = None
    files: Mapping[str, _Seen] = field(default_factory=dict)

    def seen(self, file: _File) -> _Seen | None:
        """What is known of the file; nothing where it was followed elsewhere or not at all."""
        seen = self.files.get(file.key)
        return seen if seen is not None and seen.path == file.path else None

    def moved(self, file: _File) -> bool:
        """Whether the category was followed under another path."""
        seen = self.files.get(file.key)
        return seen is not None and seen.path != file.path


@dataclass
class _Task:
    """What is to be done for one file in a walk: take in its versions from ``start`` on.

    ``anew`` tells that the fold replaces the metadata, ``refold`` that this starts again at the root, and
    ``announced`` that listeners had these operations before.
    """

    file: _File
    stored: CategoryMetadata | None
    fold: FileFold
    start: int
    anew: bool
    refold: bool
    announced: bool

    @property
    def touched(self) -> bool:
        return self.fold.commit is not None


class Recorder:
    """Keeps the metadata of one repository's categories equal to the fold over its first-parent history."""

    def __init__(
        self,
        manager: MetadataManager,
        files: Mapping[CategoryName, Mapping[CanonicalFormat, str]],
        *,
        backend_type: str = "GitBackend",
    ) -> None:
        """Follow the files.

        Args:
            manager: where the operations go.
            files: category to format to path in the repository.
            backend_type: noted in new metadata.
        """
        self._manager = manager
        self._backend_type = backend_type
        self._files = [
            _File(category, format, path) for category, paths in files.items() for format, path in paths.items()
        ]
        self._position_path = manager.base_path / "meta" / "position.json"

    @property
    def recorded_tip(self) -> str | None:
        """The commit up to which everything was counted; ``None`` before the first call."""
        return _read_position(self._position_path).commit

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
        position = _read_position(self._position_path)
        stored = [(file, self._manager.stored_metadata(file.format, file.category)) for file in self._files]
        walk, tasks = self._plan(history, position, tip, stored)
        if versions and len(walk) <= _FEW:
            _take_in(versions, walk, tasks, progress)
        else:
            _take_in_ahead(history, walk, tasks, progress)
        for task in tasks:
            self._count(history, tip, task)
        self._keep_position(position, tip, tasks)
        return _landing(walk, tasks)

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
        position = _read_position(self._position_path)
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
        recorded = _read_position(self._position_path).commit
        until = tip if recorded is None or _relation(history, recorded, tip) == "rewritten" else recorded
        return [
            difference for task in self._fold_all(history, until, progress)[1] for difference in self._differences(task)
        ]

    # Planning

    def _plan(
        self,
        history: History,
        position: _Position,
        tip: str,
        stored: Sequence[tuple[_File, CategoryMetadata | None]],
    ) -> tuple[list[LandedCommit], list[_Task]]:
        """The commits since the position; all of them where some file has to start again."""
        if position.commit is not None and self._goes_on(history, position.commit, tip):
            walk = [] if position.commit == tip else history.first_parent_history(position.commit, tip)
            places = _places(walk)
            tasks = [_resumed(file, metadata, position, places, whole=False) for file, metadata in stored]
            going_on = [task for task in tasks if task is not None]
            if len(going_on) == len(tasks):
                return walk, going_on
        walk = history.first_parent_history(None, tip)
        places = _places(walk)
        return walk, [
            _resumed(file, metadata, position, places, whole=True) or _from_the_root(file, metadata, position)
            for file, metadata in stored
        ]

    def _goes_on(self, history: History, recorded: str, tip: str) -> bool:
        relation = _relation(history, recorded, tip)
        if relation == "rewritten":
            logger.warning("the branch was rewritten: {} lacks {}; it is counted anew", tip[:12], recorded[:12])
        return relation in ("same", "ahead")

    # Counting

    def _fold_all(
        self, history: History, tip: str, progress: Progress | None
    ) -> tuple[list[LandedCommit], list[_Task]]:
        walk = history.first_parent_history(None, tip)
        tasks = [_from_the_root(file, None, _Position()) for file in self._files]
        _take_in_ahead(history, walk, tasks, progress)
        return walk, tasks

    def _count(self, history: History, tip: str, task: _Task) -> None:
        for error in task.fold.errors:
            logger.warning("not counted: {}", error.error)
        if task.refold:
            self._replace(task, self._lost_history(history, tip, task))
        elif task.anew and task.touched:
            self._replace(task, ())
        elif task.touched:
            self._add(task)

    def _lost_history(self, history: History, tip: str, task: _Task) -> tuple[RecordedError, ...]:
        """The one error of our own for a file whose counted commits are no longer in the branch."""
        recorded = task.stored.recorded_commit if task.stored else None
        if recorded is None or _relation(history, recorded, tip) != "rewritten":
            return ()
        fault = f"the branch was rewritten: it no longer contains {recorded}"
        return (RecordedError(fault, int(time.time()), recorded),)

    @durable_step("count what landed")
    def _add(self, task: _Task) -> None:
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
    def _replace(self, task: _Task, own: Sequence[RecordedError]) -> None:
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

    def _summary(self, task: _Task) -> CategoryMetadata:
        """The fold as metadata; where the history never held the file, only its beginning is kept."""
        began = task.fold.began
        if began is None:
            began = task.stored.initialization_time if task.stored else 0
        return add_up(new_metadata(task.file.category, self._backend_type, began), task.fold)

    def _differences(self, task: _Task) -> Iterable[Difference]:
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
    def _keep_position(self, before: _Position, tip: str, tasks: Iterable[_Task]) -> None:
        files = {
            task.file.key: _Seen(task.file.path, task.stored.recorded_commit if task.stored else None) for task in tasks
        }
        after = _Position(tip, files)
        if after != before:
            write_durably(self._position_path, json.dumps(asdict(after), indent=2) + "\n")


def _relation(history: History, after: str, until: str) -> HistoryRelation:
    return "same" if after == until else history.relation(after, until)


def _places(walk: Iterable[LandedCommit]) -> dict[str, int]:
    return {commit.sha: place for place, commit in enumerate(walk)}


def _resumed(
    file: _File, stored: CategoryMetadata | None, position: _Position, places: Mapping[str, int], *, whole: bool
) -> _Task | None:
    """Where to go on in the walk; ``None`` where the file has to start again at the root."""
    seen = position.seen(file)
    recorded = stored.recorded_commit if stored else None
    if position.moved(file):
        return None
    if recorded is not None and recorded in places:
        start = places[recorded] + 1
    elif not whole and seen is not None and seen.recorded == recorded:
        start = 0
    else:
        return None
    fold = FileFold(file.path, stored.recorded_blob if stored else None)
    return _Task(file, stored, fold, start, anew=recorded is None, refold=False, announced=False)


def _from_the_root(file: _File, stored: CategoryMetadata | None, position: _Position) -> _Task:
    seen = position.seen(file)
    announced = seen is not None and seen.recorded is not None
    return _Task(file, stored, FileFold(file.path), start=0, anew=True, refold=True, announced=announced)


def _take_in_ahead(
    history: History, walk: Sequence[LandedCommit], tasks: Sequence[_Task], progress: Progress | None
) -> None:
    """Take in a long history, of which each version is met once: the fold keeps the one before."""
    wanted = (change.new_blob for commit in _steps(walk, tasks) for change, _ in commit if change.new_blob)
    with closing(history.read_blobs(blob for blob, _ in groupby(wanted))) as coming:

        def read(blob: str) -> bytes:
            met = next((content for id, content in coming if id == blob), None)
            return history.read_blob(blob) if met is None else met  # which says why it cannot be read

        _take_in(Versions(read, editable=False, kept_bytes=0), walk, tasks, progress)


def _take_in(
    versions: Versions, walk: Sequence[LandedCommit], tasks: Sequence[_Task], progress: Progress | None
) -> None:
    for place, steps in enumerate(_steps(walk, tasks)):
        for change, task in steps:
            task.fold.take(walk[place], change, versions)
        if progress is not None:
            progress(place + 1, len(walk))


def _steps(walk: Sequence[LandedCommit], tasks: Iterable[_Task]) -> Iterator[list[tuple[FileChange, _Task]]]:
    """For each commit the changes of followed files, each with who takes it in."""
    by_path: dict[str, list[_Task]] = {}
    for task in tasks:
        by_path.setdefault(task.file.path, []).append(task)
    for place, commit in enumerate(walk):
        yield [
            (change, task) for change in commit.files for task in by_path.get(change.path, ()) if place >= task.start
        ]


def _landing(walk: Sequence[LandedCommit], tasks: Sequence[_Task]) -> RecordedLanding:
    return RecordedLanding(
        commits=len(walk),
        operations=tuple(operation for task in tasks for operation in _landed_operations(task)),
        errors=tuple(error for task in tasks for error in _landed_errors(task)),
        refolded=any(task.refold and task.touched for task in tasks),
    )


def _landed_operations(task: _Task) -> Iterable[LandedOperation]:
    category, format, _ = task.file
    for each in task.fold.operations:
        assert each.commit is not None  # the fold names it
        yield LandedOperation(each.commit, category, format, Operation(each.operation.value, each.model))


def _landed_errors(task: _Task) -> Iterable[LandedError]:
    category, format, _ = task.file
    for each in task.fold.errors:
        assert each.commit is not None  # the fold names it
        yield LandedError(each.commit, category, format, each.error)


def _read_position(path: Path) -> _Position:
    """The stored position; none where there is no file, or one that cannot be read."""
    try:
        content = json.loads(path.read_bytes())
        files = {key: _Seen(**seen) for key, seen in content["files"].items()}
        return _Position(content["commit"], files)
    except FileNotFoundError:
        return _Position()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        logger.error("{} cannot be read: {!r}; the history is walked from its beginning", path, error)
        return _Position()
