"""What the machine gives: git, file events, a clock, room on its disks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from refsync.clone.ancestry import committed_at
from refsync.clone.durability import OLDEST_GIT, git_version
from refsync.clone.merging import OLDEST_GIT_FOR_PROPOSALS
from refsync.clone.repository import Repository
from refsync.commands import command
from refsync.disk_room import Shortage, ShortageKind, shortage
from refsync.errors import GitCommandError, RefsyncError, StoreError, WatchError
from refsync.file_events import FolderWatcher
from refsync.use_cases.doctor.checks import Check, Looked, Patient, good, or_good, wrong

CLOCK_SECONDS = 60.0
"""What lies so far ahead may come from another machine's clock."""
_SEE = "see what takes the room"
_INSTALL = command("sudo", "apt-get", "install", "-y", "git")
_MORE_WATCHES = command("sudo", "sysctl", "fs.inotify.max_user_watches=524288", "fs.inotify.max_user_instances=1024")
_SET_CLOCK = command("sudo", "timedatectl", "set-ntp", "true")


def git(patient: Patient) -> Iterator[Check]:
    """Whether it is there, and new enough."""
    proposes = any(each.publish in ("branch", "pull_request") for each in patient.config.repositories)
    wanted = OLDEST_GIT_FOR_PROPOSALS if proposes else OLDEST_GIT
    try:
        found = git_version()
    except GitCommandError as problem:
        yield wrong(Looked.git, "git", str(problem), _INSTALL)
        return
    if found < wanted:
        versions = [".".join(map(str, version)) for version in (found, wanted)]
        yield wrong(Looked.git, "git", f"{versions[0]} is too old, {versions[1]} is needed", _INSTALL)
    else:
        yield good(Looked.git, "git")


def watches(patient: Patient) -> Iterator[Check]:
    """Whether the kernel has room for file events of the folders that are watched."""
    if patient.config.watch.mode == "polling":
        return
    places = [each.path for each in patient.config.repositories]
    folders = [patient.config_file.parent, patient.config.state_directory, *places, *(path / ".git" for path in places)]
    try:
        there = [folder for folder in folders if folder.is_dir()]
        with FolderWatcher(there, lambda _: None, on_rescan=lambda _: None, mode="inotify"):
            yield good(Looked.watches, "inotify")
    except WatchError as problem:
        yield wrong(Looked.watches, "inotify", str(problem), _MORE_WATCHES)


def clock(patient: Patient) -> Iterator[Check]:
    """Whether something was done in the future."""
    yield from or_good(Looked.clock, "clock", _from_the_future(patient))


def _from_the_future(patient: Patient) -> Iterator[Check]:
    late = patient.now + CLOCK_SECONDS
    file = patient.store_file
    try:
        facts = patient.store_facts
    except StoreError:  # which is told of the store
        facts = None
    if facts is not None:
        if facts.approved_at > late:
            ahead = _shown(facts.approved_at - patient.now)
            what = f"the open batch was approved {ahead} in the future, and may wait for so long"
            yield wrong(Looked.clock, file, what, command("refsync", "batch", "seal"))
        if facts.newest_at > late:
            ahead = _shown(facts.newest_at - patient.now)
            yield wrong(Looked.clock, file, f"the queue's last moves were {ahead} in the future", _SET_CLOCK)
    for each in patient.config.repositories:
        try:
            with Repository(each.path, each.branch) as clone:
                committed = committed_at(clone, clone.tip())
        except RefsyncError:  # which is told of the clone
            continue
        if committed > late:
            ahead = _shown(committed - patient.now)
            yield wrong(Looked.clock, each.path, f"its newest commit is {ahead} in the future", _SET_CLOCK)


def _shown(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"


def disks(patient: Patient) -> Iterator[Check]:
    """Whether there is room where something is written."""
    for path in dict.fromkeys((patient.config.state_directory, *(each.path for each in patient.config.repositories))):
        if path.exists():
            yield from or_good(Looked.disk, path, _of_disk(path))


def _of_disk(path: Path) -> Iterator[Check]:
    match shortage(path):
        case Shortage(ShortageKind.read_only):
            mounted = next(each for each in (path.resolve(), *path.resolve().parents) if os.path.ismount(each))
            remount = command("sudo", "mount", "-o", "remount,rw", mounted)
            yield wrong(Looked.disk, path, "its disk is mounted to be read only", remount)
        case Shortage(ShortageKind.bytes, left):
            yield wrong(Looked.disk, path, f"its disk has {left >> 20} MiB left; {_SEE}", _biggest(path, "-k"))
        case Shortage(ShortageKind.files, left):
            yield wrong(
                Looked.disk, path, f"its disk has room for {left} more files; {_SEE}", _biggest(path, "--inodes")
            )


def _biggest(path: Path, counting: str) -> str:
    return f"{command('du', '-x', counting, path)} | sort -n | tail"
