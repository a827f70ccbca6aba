"""The config file, and the files of secrets that it names."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from refsync.commands import command
from refsync.config import RepositorySettings
from refsync.errors import CredentialError, RefsyncError
from refsync.permissions import others_may_write
from refsync.use_cases.doctor.checks import Check, Looked, Patient, exposed, or_good, unknown, wrong
from refsync.use_cases.exposure import exposed_secrets, files_of_credentials
from refsync.ways_out import credential_of


def mistake(config_file: Path, problem: str) -> Check:
    """One mistake in the config."""
    return wrong(Looked.config, config_file, problem, f'"${{EDITOR:-vi}}" {command(config_file)}')


def config_file(patient: Patient) -> Iterator[Check]:
    """Whether others may write it, or read a password in it."""
    yield from or_good(Looked.config, patient.config_file, _of_config(patient))


def _of_config(patient: Patient) -> Iterator[Check]:
    file = patient.config_file
    folder, found = file.resolve().parent, file.stat()
    if others_may_write(found):
        yield wrong(Looked.config, file, "others may write the config", command("chmod", "go-w", file))
    if others_may_write(folder.stat()) and not folder.stat().st_mode & stat.S_ISVTX:
        yield wrong(Looked.config, folder, "others may replace the config", command("chmod", "go-w", folder))
    if found.st_mode & stat.S_IROTH and _has_password(patient.config.queue.url):
        yield wrong(Looked.config, file, "everybody may read the queue's password", command("chmod", "o-r", file))


def _has_password(url: str) -> bool:
    return ":" in url.partition("://")[2].rpartition("@")[0]


def credentials(patient: Patient) -> Iterator[Check]:
    """Whether each credential can be read, and not by others."""
    for each in patient.config.repositories:
        yield from or_good(Looked.credentials, each.name, _of_repository(each, patient))


def _of_repository(each: RepositorySettings, patient: Patient) -> Iterator[Check]:
    table = each.credentials
    for file in files_of_credentials(each):
        yield from of_secret(file)
    found = exposed_secrets(files_of_credentials(each), patient.owner)
    yield from (exposed(Looked.credentials, one) for one in found)
    if not patient.is_told_the_secret(each):
        yield unknown(Looked.credentials, each.name, f"{table.token_credential!r} is handed to the daemon alone")
        return
    if each.publish == "local" or (table.app_key_file and not table.app_key_file.exists()):
        return
    try:
        if credential := credential_of(each):
            credential()
    except CredentialError as problem:
        if not (table.token_file and not table.token_file.exists()):  # which is told already
            yield wrong(Looked.credentials, each.name, str(problem), put_anew(table.token_file))
    except RefsyncError as problem:
        yield wrong(Looked.credentials, each.name, str(problem))


def of_secret(file: Path, name: Looked = Looked.credentials) -> Iterator[Check]:
    """Whether the file of a secret is there."""
    try:
        file.stat()
    except FileNotFoundError:
        yield wrong(name, file, "there is no such file", put_anew(file))
    except OSError as problem:
        yield unknown(name, file, f"this user may not look at it: {problem.strerror}")


def put_anew(file: Path | None) -> str | None:
    """The command that puts a secret into its file."""
    return command("install", "-m", "600", "/dev/stdin", file) if file else None
