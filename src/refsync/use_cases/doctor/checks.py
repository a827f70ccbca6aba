"""What was looked at, as data."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from refsync.clone.repository import Repository
from refsync.config import Config, RepositorySettings
from refsync.pending_queue.store.copying import StoreFacts, examine_store, store_file
from refsync.use_cases.answer import Answer
from refsync.use_cases.exposure import Exposed


class Looked(StrEnum):
    """The things that are looked at."""

    config = "config"
    people = "people"
    git = "git"
    watches = "watches"
    clock = "clock"
    state_directory = "state directory"
    store = "store"
    leftovers = "leftovers"
    disk = "disk"
    clone = "clone"
    ownership = "ownership"
    locks = "locks"
    files = "category files"
    schemas = "schemas"
    edits = "local edits"
    branches = "other writers' branches"
    credentials = "credentials"
    remote = "remote"
    forge = "forge"
    targets = "targets of events"
    service = "service"


class Verdict(StrEnum):
    """How it is."""

    good = "good"
    wrong = "wrong"
    unknown = "unknown"


class Check(Answer):
    """One thing that was looked at; ``mend`` is a command line, ``None`` where ``what`` says all there is to do."""

    name: Looked
    verdict: Verdict
    where: str
    what: str | None = None
    mend: str | None = None


class Diagnosis(Answer):
    """All that was looked at."""

    checks: list[Check]

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong."""
        return all(check.verdict is not Verdict.wrong for check in self.checks)


@dataclass(frozen=True)
class Patient:
    """What is examined: the settings, and whom the service runs as."""

    config_file: Path
    config: Config
    environ: Mapping[str, str]
    now: float

    @property
    def owner(self) -> os.stat_result:
        """Who owns the state directory, which is whom the service runs as; this user where there is none yet."""
        path = self.config.state_directory
        return path.stat() if path.exists() else os.stat_result((0, 0, 0, 0, os.geteuid(), os.getegid(), 0, 0, 0, 0))

    @cached_property
    def store_file(self) -> Path | None:
        """The file of the queue's store, there or not; ``None`` where it lies on a server."""
        return store_file(self.config.state_directory, self.config.queue.url)

    @cached_property
    def store_facts(self) -> StoreFacts | None:
        """What stands in it; ``None`` where there is no file. It is looked through once: a large one takes long.

        Raises:
            StoreError: it is damaged, none, or of a newer version.
        """
        file = self.store_file
        return examine_store(file) if file is not None and file.exists() else None

    def opened(self, settings: RepositorySettings) -> Repository:
        """A repository's clone.

        Raises:
            CloneError: there is none that can be used.
        """
        return Repository(settings.path, settings.branch, timeout_seconds=self.config.git.timeout_seconds)

    def is_told_the_secret(self, settings: RepositorySettings) -> bool:
        """Whether this process may know what lets a repository in: systemd hands a credential to the daemon alone."""
        return not settings.credentials.token_credential or "CREDENTIALS_DIRECTORY" in self.environ


Examination = Callable[[Patient], Iterator[Check]]
"""Looks at one thing; gives a check for all that is wrong with it, or one that says that it is good."""


def good(name: Looked, where: object) -> Check:
    """Nothing is wrong with it."""
    return Check(name=name, verdict=Verdict.good, where=str(where))


def wrong(name: Looked, where: object, what: str, mend: str | None = None) -> Check:
    """Something is."""
    return Check(name=name, verdict=Verdict.wrong, where=str(where), what=what, mend=mend)


def exposed(name: Looked, found: Exposed) -> Check:
    """Others may do too much with it."""
    return wrong(name, found.path, found.what, found.mend)


def unknown(name: Looked, where: object, what: str) -> Check:
    """It cannot be told from here."""
    return Check(name=name, verdict=Verdict.unknown, where=str(where), what=what)


def or_good(name: Looked, where: object, found: Iterator[Check]) -> Iterator[Check]:
    """What was found, or that nothing was."""
    checks = list(found)
    yield from checks or [good(name, where)]


def owner_of(stat: os.stat_result) -> str:
    """Owner and group as ``chown`` takes them."""
    try:
        user = pwd.getpwuid(stat.st_uid).pw_name
    except KeyError:
        user = str(stat.st_uid)
    try:
        return f"{user}:{grp.getgrgid(stat.st_gid).gr_name}"
    except KeyError:
        return f"{user}:{stat.st_gid}"
