"""Which files on disk the daemon listens to: its config, its wake file, and what tells of a change in a clone."""

from __future__ import annotations

import os
from pathlib import Path

from loguru import logger

from refsync.application import Application
from refsync.clone.repository import Repository
from refsync.daemon.wakeups import Wakeups
from refsync.errors import RefsyncError
from refsync.file_events import FolderWatcher
from refsync.file_patterns import is_pattern, pattern_of
from refsync.metrics.measures import Measures
from refsync.sync.reference import ReferenceRepository

# Not index.lock: every look that a person's git takes makes one.
_GIT_FILES = ("HEAD", "index", "packed-refs", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG")
_GIT_FOLDERS = ("rebase-merge", "rebase-apply")

_MOST_LINKS = 40  # as the kernel follows

Ground = frozenset[tuple[Path, tuple[int, int]]]
"""Paths to listen to, each with the identity of the folder that it stands in."""


class Watch:
    """Turns file events of these paths into wake-ups, from the moment it is made until ``stop``.

    Readers are told of a category file at once, and so is the loop of the wake file, whose every touch is an order of
    its own; of all else a burst is one wake-up.

    Raises:
        WatchError: the folders cannot be watched in the way the config asks for.
    """

    def __init__(self, ground: Ground, application: Application, wakeups: Wakeups, measures: Measures) -> None:
        self.ground = ground
        self._measures = measures
        self._wakeups = wakeups
        self._backends = tuple(application.backends.values())
        self._wake_file = application.state.wake_file
        self._paths = frozenset(path for path, _ in ground)
        self._patterns = [path for path in self._paths if is_pattern(path.name)]
        settings = application.config.watch
        self._watcher = FolderWatcher(
            sorted({path.parent for path in self._paths}),
            self._hear,
            at_once=self._hear_at_once,
            on_rescan=self._rescan,
            on_overflow=measures.overflowed,
            mode=settings.mode,
            rescan_seconds=settings.rescan_seconds,
        ).start()

    def stop(self) -> None:
        """End it, with its threads."""
        self._watcher.stop()

    def _hear_at_once(self, paths: frozenset[Path]) -> None:
        self._measures.heard(len(self._of_ours(paths)))
        if self._wake_file in paths:
            self._wakeups.wake()
        for backend in self._backends:
            backend.mark_touched(paths)

    def _hear(self, paths: frozenset[Path]) -> None:
        if heard := self._of_ours(paths) - {self._wake_file}:
            self._wakeups.changed(heard)

    def _of_ours(self, paths: frozenset[Path]) -> set[Path]:
        """Those that are listened to, be it for a pattern."""
        return {path for path in paths if path in self._paths or pattern_of(path, self._patterns)}

    def _rescan(self, reason: str) -> None:
        logger.debug("looking at everything: {}", reason)
        self._wakeups.ask_rescan()


def ground_of(application: Application, config_file: Path) -> Ground:
    """What has to be listened to now; differs once a clone has appeared, gone or been replaced."""
    paths = places_of(config_file) | {application.state.wake_file, application.state.path}
    for reference in application.repositories:
        paths |= _paths_of(reference)
    nearest = {_nearest(path) for path in paths}
    return frozenset((path, _identity(path.parent)) for path in nearest)


def places_of(file: Path) -> set[Path]:
    """A file, every link on the way to it, and where it lies: by any of them another file may come to its place."""
    links = {file, file.resolve()}
    path = Path(os.path.abspath(file))
    for _ in range(_MOST_LINKS):
        link = next((each for each in [*reversed(path.parents), path] if each.is_symlink()), None)
        if link is None:
            break
        links.add(link)
        path = Path(os.path.normpath(link.parent / os.readlink(link) / path.relative_to(link)))
    return links


def _paths_of(reference: ReferenceRepository) -> set[Path]:
    """A clone's folder, its category files, the target branch, and git's own state."""
    paths = {reference.path / file for file in reference.data_paths()}
    paths.add(reference.path)
    try:
        with Repository(reference.path, reference.branch) as clone:
            paths |= {clone.git_directory / name for name in _GIT_FILES + _GIT_FOLDERS}
            paths |= {clone.common_directory / "packed-refs", clone.common_directory / clone.ref}
    except (RefsyncError, OSError):
        paths.add(reference.path / ".git")  # what is wrong with the clone is the pass's to say
    return paths


def _nearest(path: Path) -> Path:
    """The path, or the topmost missing folder above it, whose coming is heard in a folder that exists."""
    while not path.parent.is_dir() and path.parent != path:
        path = path.parent
    return path


def _identity(folder: Path) -> tuple[int, int]:
    try:
        found = os.stat(folder)
    except OSError:  # gone just now: the next look sees another one
        return 0, 0
    return found.st_dev, found.st_ino
