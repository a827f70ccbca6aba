"""The state directory and the store in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from refsync.backup import is_restoring
from refsync.commands import command
from refsync.config import Config
from refsync.errors import RefsyncError, StoreError
from refsync.opening import open_store
from refsync.use_cases.doctor.checks import Check, Looked, Patient, exposed, good, or_good, owner_of, wrong
from refsync.use_cases.doctor.settings import of_secret
from refsync.use_cases.exposure import exposed_password, exposed_state

OLD_SECONDS = 3600.0
"""A temporary file of that age is nobody's."""
_TEMPORARY = ("*.tmp.*", "*.new", "*.new-*", "*/meta/*.tmp.*", "*/meta/*/*.tmp.*")


def directory(patient: Patient) -> Iterator[Check]:
    """Whether it is there, and the group's alone."""
    path = patient.config.state_directory
    if not path.is_dir():
        made = command("install", "-d", "-m", "2770", path)
        yield wrong(Looked.state_directory, path, "there is no such folder", made)
        return
    yield from or_good(Looked.state_directory, path, _of_directory(path))


def _of_directory(path: Path) -> Iterator[Check]:
    owner = path.stat()
    yield from (exposed(Looked.state_directory, found) for found in exposed_state(path))
    if not owner.st_mode & stat.S_ISGID:
        what = "what an operator makes there does not become its group's"
        yield wrong(Looked.state_directory, path, what, command("chmod", "g+s", path))
    if strange := [each for each in _kept(path) if not _is_shared(each, owner)]:
        service = owner_of(owner)
        theirs, shared = ("sudo", "chown", "-R", service, path), ("sudo", "chmod", "-R", "u+rwX,g+rwX", path)
        mend = f"{command(*theirs)} && {command(*shared)}"
        yield wrong(Looked.state_directory, strange[0], f"{service} may not write it", mend)


def _kept(path: Path) -> Iterator[Path]:
    for pattern in ("*", "wake/*", "*/meta", "*/meta/*", "*/meta/*/*"):
        yield from (each for each in path.glob(pattern) if not each.is_symlink())


def _is_shared(path: Path, owner: os.stat_result) -> bool:
    """Whether owner or group of the directory may write it."""
    found = path.stat()
    if found.st_uid == owner.st_uid:
        return bool(found.st_mode & stat.S_IWUSR)
    return found.st_gid == owner.st_gid and bool(found.st_mode & stat.S_IWGRP)


def store(patient: Patient) -> Iterator[Check]:
    """Whether the queue's store is whole, and of a version that is known."""
    file = patient.store_file
    if file is None:
        yield from or_good(Looked.store, "queue.url", _on_server(patient.config))
    else:
        try:
            if patient.store_facts:
                yield good(Looked.store, file)
        except StoreError as problem:
            yield wrong(Looked.store, file, str(problem), command("refsync", "restore", "--force", "FILE"))


def _on_server(config: Config) -> Iterator[Check]:
    """Whether the server lets in, and only who may; whether its disks are well is for its own tools."""
    if config.queue.password_file:
        file = Path(config.queue.password_file)
        yield from of_secret(file, Looked.store)
        yield from (exposed(Looked.store, found) for found in exposed_password(file))
    try:
        open_store(config).close()
    except RefsyncError as problem:
        yield wrong(Looked.store, "queue.url", str(problem))


def leftovers(patient: Patient) -> Iterator[Check]:
    """Whether a crash has left something behind."""
    path = patient.config.state_directory
    yield from or_good(Looked.leftovers, path, _of_leftovers(path, patient.now))


def _of_leftovers(path: Path, now: float) -> Iterator[Check]:
    if is_restoring(path):
        yield wrong(Looked.leftovers, path, "a restore is not done yet", command("refsync", "status"))
    for pattern in _TEMPORARY:
        for each in path.glob(pattern):
            if now - each.stat().st_mtime > OLD_SECONDS:
                remove = ("rm", "-r", "--") if each.is_dir() else ("rm", "--")
                yield wrong(Looked.leftovers, each, "a crash has left it behind", command(*remove, each))
