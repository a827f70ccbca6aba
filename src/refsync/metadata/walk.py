"""The walk over the commits that landed: where each followed file goes on, and its versions taken in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from loguru import logger

from refsync.clone.history import FileChange, HistoryRelation, LandedCommit
from refsync.file_patterns import is_pattern, starred
from refsync.metadata.fold import FileFold, new_fold
from refsync.metadata.merge_losses import MergeHistory
from refsync.metadata.models import CategoryMetadata
from refsync.metadata.position import FollowedFile, Position
from refsync.reference.versions import Versions, versions_in_order

Progress = Callable[[int, int], None]
"""Called with the commits done and the commits in all."""


class History(MergeHistory, Protocol):
    """What the recorder needs of a repository."""

    def first_parent_history(self, after: str | None, until: str, paths: Collection[str] = ()) -> list[LandedCommit]:
        """The commits after ``after`` (``None``: from the root) up to ``until``, oldest first, at these paths."""
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


@dataclass
class Task:
    """What is to be done for one file in a walk: take in its versions from ``start`` on.

    ``anew`` tells that the fold replaces the metadata, ``refold`` that this starts again at the root, and
    ``announced`` that listeners had these operations before.
    """

    file: FollowedFile
    stored: CategoryMetadata | None
    fold: FileFold
    start: int
    anew: bool
    refold: bool
    announced: bool

    @property
    def touched(self) -> bool:
        """Whether any commit of the walk holds a version of the file."""
        return self.fold.commit is not None


def plan_walk(
    history: History,
    position: Position,
    tip: str,
    stored: Sequence[tuple[FollowedFile, CategoryMetadata | None]],
) -> tuple[list[LandedCommit], list[Task]]:
    """The commits since the position; all of them where some file has to start again."""
    paths = paths_of(file for file, _ in stored)
    if position.commit is not None and _goes_on(history, position.commit, tip):
        walk = [] if position.commit == tip else history.first_parent_history(position.commit, tip, paths)
        places = _places(walk)
        tasks = [_resumed(file, metadata, position, places, whole=False) for file, metadata in stored]
        going_on = [task for task in tasks if task is not None]
        if len(going_on) == len(tasks):
            return walk, going_on
    walk = history.first_parent_history(None, tip, paths)
    places = _places(walk)
    return walk, [
        _resumed(file, metadata, position, places, whole=True) or from_the_root(file, metadata, position)
        for file, metadata in stored
    ]


def paths_of(files: Iterable[FollowedFile]) -> list[str]:
    """Where the files are: nothing else of a commit is looked at."""
    return sorted({file.path for file in files})


def _goes_on(history: History, recorded: str, tip: str) -> bool:
    standing = relation(history, recorded, tip)
    if standing == "rewritten":
        logger.warning("the branch was rewritten: {} lacks {}; it is counted anew", tip[:12], recorded[:12])
    return standing in ("same", "ahead")


def relation(history: History, after: str, until: str) -> HistoryRelation:
    """How a commit stands to another one, which may be the same."""
    return "same" if after == until else history.relation(after, until)


def _places(walk: Iterable[LandedCommit]) -> dict[str, int]:
    return {commit.sha: place for place, commit in enumerate(walk)}


def _resumed(
    file: FollowedFile, stored: CategoryMetadata | None, position: Position, places: Mapping[str, int], *, whole: bool
) -> Task | None:
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
    fold = new_fold(file.described, file.path, stored.recorded_blob if stored else None)
    return Task(file, stored, fold, start, anew=recorded is None, refold=False, announced=False)


def from_the_root(file: FollowedFile, stored: CategoryMetadata | None, position: Position) -> Task:
    """Start a file again at the root."""
    seen = position.seen(file)
    announced = seen is not None and seen.recorded is not None
    return Task(file, stored, new_fold(file.described, file.path), start=0, anew=True, refold=True, announced=announced)


def take_in_ahead(
    history: History, walk: Sequence[LandedCommit], tasks: Sequence[Task], progress: Progress | None
) -> None:
    """Take in a long history, of which each version is met once: the fold keeps the one before."""
    changed = (change for steps in _steps(walk, tasks) for changes, _ in steps for change in changes)
    blobs = (change.new_blob for change in changed if change.new_blob)
    with versions_in_order(blobs, history.read_blobs, history.read_blob) as versions:
        take_in(versions, walk, tasks, progress)


def take_in(versions: Versions, walk: Sequence[LandedCommit], tasks: Sequence[Task], progress: Progress | None) -> None:
    """Take in the versions that a walk brings, each for the file that it is of."""
    for place, steps in enumerate(_steps(walk, tasks)):
        for changes, task in steps:
            task.fold.take(walk[place], changes, versions)
        if progress is not None:
            progress(place + 1, len(walk))


def _steps(walk: Sequence[LandedCommit], tasks: Iterable[Task]) -> Iterator[list[tuple[list[FileChange], Task]]]:
    """For each commit the changes of followed files, those of each with who takes them in."""
    by_path: dict[str, list[Task]] = {}
    for task in tasks:
        by_path.setdefault(task.file.path, []).append(task)
    patterns = [path for path in by_path if is_pattern(path)]
    for place, commit in enumerate(walk):
        changed: dict[str, list[FileChange]] = {}
        for change in commit.files:
            for path in (change.path, *(each for each in patterns if starred(each, change.path) is not None)):
                changed.setdefault(path, []).append(change)
        yield [
            (changes, task)
            for path, changes in changed.items()
            for task in by_path.get(path, ())
            if place >= task.start
        ]
