"""What others than the service may read or write, and the command that ends it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from refsync.accounts import account_name
from refsync.commands import command
from refsync.config import Config, RepositorySettings
from refsync.permissions import others_may_read, others_may_write
from refsync.use_cases.answer import Answer, Text

_OF_GIT = (
    ".git",
    ".git/HEAD",
    ".git/config",
    ".git/hooks",
    ".git/index",
    ".git/objects",
    ".git/refs",
    ".git/refs/heads",
)


class Exposed(Answer):
    """A file or folder, what others may do with it, and the command that ends it."""

    path: Text
    what: Text
    mend: Text


def exposed_clone(path: Path) -> Iterator[Exposed]:
    """What of a clone others may write: who writes its ``.git`` runs commands as the service."""
    places = [place for place in (path, *(path / name for name in _OF_GIT)) if place.exists()]
    if to_all := next((place for place in places if place.stat().st_mode & stat.S_IWOTH), None):
        yield _exposed(to_all, "everybody may write it", "chmod", "-R", "o-w", path)
    elif to_group := next((place for place in places if others_may_write(place.stat())), None):
        what = f"everybody in the group {_group(to_group)} may write it, and with it run commands as the service"
        yield _exposed(to_group, what, "chmod", "-R", "g-w", path)


def secret_files(config: Config) -> Iterator[Path]:
    """The files of secrets that the config names."""
    for each in config.repositories:
        yield from files_of_credentials(each)
    yield from (target.secret_file for target in config.notify if target.secret_file)


def files_of_credentials(settings: RepositorySettings) -> Iterator[Path]:
    """The files of secrets that let a repository in."""
    table = settings.credentials
    yield from filter(None, (table.token_file, table.app_key_file, table.ssh_key_file))


def exposed_password(file: Path) -> Iterator[Exposed]:
    """Whether others than the group of those who work with the queue may read or write its password."""
    with suppress(OSError):  # which whoever needs it tells
        if file.stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP):
            yield _exposed(file, "others may read or write the secret", "chmod", "o=,g-w", file)


def exposed_secrets(files: Iterable[Path], service: os.stat_result) -> Iterator[Exposed]:
    """Those of these files of secrets that others than the service may read or write."""
    for file in files:
        try:
            found = file.stat()
        except OSError:  # which whoever needs it tells
            continue
        if found.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
            yield _exposed(file, "others may read or write the secret", "chmod", "o=,g-w", file)
        elif others_may_read(found):
            given = command("sudo", "chown", account_name(service.st_uid), file)
            away = f"{given} && {command('sudo', 'chmod', '600', file)}"
            what = f"everybody in the group {_group(file)} may read the secret"
            yield Exposed(path=str(file), what=what, mend=away)


def exposed_state(path: Path) -> Iterator[Exposed]:
    """Whether others than its group may enter the state directory."""
    if path.stat().st_mode & stat.S_IRWXO:
        yield _exposed(path, "others may look into it", "chmod", "o=", path)


def _exposed(place: Path, what: str, *words: str | Path) -> Exposed:
    return Exposed(path=str(place), what=what, mend=command(*words))


def _group(path: Path) -> str:
    try:
        return path.group()
    except KeyError:
        return str(path.stat().st_gid)
