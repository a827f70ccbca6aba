"""The clones: what kind, whose, what is in the way there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from refsync.categories import CategoryName
from refsync.clone.edits import local_edits
from refsync.clone.git_locks import CONFIG_LOCKS, TIDYING_LOCKS, dead_locks
from refsync.clone.journal import is_ours
from refsync.clone.preflight import check_ready
from refsync.clone.repository import Repository
from refsync.commands import command, git_command
from refsync.config import RepositorySettings
from refsync.documents.shape import shape_of
from refsync.errors import CloneError, DocumentError, RefsyncError
from refsync.reference.judges import schema_at
from refsync.reference.versions import Versions
from refsync.reference.view import at_commit
from refsync.rules.category_rules import CategoryRules
from refsync.use_cases.doctor.checks import Check, Looked, Patient, exposed, good, or_good, owner_of, wrong
from refsync.use_cases.exposure import exposed_clone
from refsync.use_cases.settings import missing_files

LOCK_SECONDS = 30.0
"""A lock that is younger may be a living git's that cannot be seen from here."""


def kind(patient: Patient) -> Iterator[Check]:
    """Whether each is one that can be served, and shows its target branch."""
    for each in patient.config.repositories:
        try:
            with patient.opened(each) as clone:
                clone.tip()
                check_ready(clone)
            yield good(Looked.clone, each.path)
        except CloneError as problem:
            yield wrong(Looked.clone, each.path, _without(str(problem), each.path))


def _without(text: str, path: Path) -> str:
    """A refusal names the clone, which stands in front already."""
    return text.removeprefix(f"{path}: ")


def ownership(patient: Patient) -> Iterator[Check]:
    """Whether the service may write each, and nobody else its settings."""
    for each in patient.config.repositories:
        if (each.path / ".git").exists():
            yield from or_good(Looked.ownership, each.path, _of_owner(each.path, patient.owner))


def _of_owner(path: Path, service: os.stat_result) -> Iterator[Check]:
    names = ("", ".git", ".git/HEAD", ".git/config", ".git/index", ".git/objects", ".git/refs", ".git/refs/heads")
    places = [place for place in (path / name for name in names) if place.exists()]
    if strange := [place for place in places if not _may_write(place, service)]:
        mend = command("sudo", "chown", "-R", owner_of(service), path)
        yield wrong(Looked.ownership, strange[0], f"the service ({owner_of(service)}) may not write it", mend)
    yield from (exposed(Looked.ownership, found) for found in exposed_clone(path))


def _may_write(path: Path, service: os.stat_result) -> bool:
    found = path.stat()
    if service.st_uid in (0, found.st_uid):
        return True
    return found.st_gid == service.st_gid and bool(found.st_mode & stat.S_IWGRP)


def locks(patient: Patient) -> Iterator[Check]:
    """Whether a killed git has left a lock."""
    for each in patient.config.repositories:
        with suppress(CloneError), patient.opened(each) as clone:
            yield from or_good(Looked.locks, each.path, _of_locks(clone, patient.now))


def _of_locks(clone: Repository, now: float) -> Iterator[Check]:
    for lock in dead_locks(clone, ("index.lock", *TIDYING_LOCKS, *CONFIG_LOCKS)):
        with suppress(FileNotFoundError):
            if now - lock.stat().st_mtime > LOCK_SECONDS:
                ours = lock.name == "index.lock" and is_ours(clone)
                mend = command("refsync", "sync") if ours else command("rm", "--", lock)
                yield wrong(Looked.locks, lock, "a git that is gone has left its lock behind", mend)


def files(patient: Patient) -> Iterator[Check]:
    """Whether each category file that the config lists is there."""
    for each in patient.config.repositories:
        with suppress(CloneError):
            patient.opened(each).close()  # what cannot be looked into is told of the clone
            yield from or_good(Looked.files, each.path, _of_files(each, patient.config_file))


def _of_files(each: RepositorySettings, config_file: Path) -> Iterator[Check]:
    for category, file in missing_files(each).items():
        what = f"there is no file {file!r}, which the config lists for {category}; correct the name, or add it"
        yield wrong(Looked.files, each.path, what, f'"${{EDITOR:-vi}}" {command(config_file)}')


def schemas(patient: Patient) -> Iterator[Check]:
    """Whether each schema that rules name is on the target branch, and can be used."""
    for each in patient.config.repositories:
        named = {category: rules for category, rules in patient.config.rules.items() if category in each.files}
        if any(rules.schema for rules in named.values()):
            with suppress(CloneError), patient.opened(each) as clone:
                yield from or_good(Looked.schemas, each.path, _of_schemas(each, clone, named))


def _of_schemas(
    each: RepositorySettings, clone: Repository, named: Mapping[CategoryName, CategoryRules]
) -> Iterator[Check]:
    view = at_commit(clone, clone.tip(), Versions(clone.read_blob))
    for category, rules in named.items():
        try:
            schema_at(rules, shape_of(each.catalogue[category]), view.version)
        except DocumentError as fault:
            what = f"the schema of {category}, {rules.schema_file}: {fault}"
            yield wrong(Looked.schemas, each.path, f"{what}; nothing is checked by it, so mend and commit it")


def edits(patient: Patient) -> Iterator[Check]:
    """Whether a person's uncommitted work keeps changes waiting."""
    for each in patient.config.repositories:
        with suppress(RefsyncError), patient.opened(each) as clone:
            paths = sorted({file for formats in each.files.values() for file in formats.values()})
            edited = local_edits(clone, [*paths, *each.tables.values()])
            yield from or_good(Looked.edits, each.path, _of_edits(each.path, edited))


def _of_edits(path: Path, edited: list[str]) -> Iterator[Check]:
    for file in edited:
        aside = git_command(path, "stash", "push", "--include-untracked", "--", file)
        yield wrong(Looked.edits, path, f"{file} has local edits, for which its changes wait; put them aside", aside)
