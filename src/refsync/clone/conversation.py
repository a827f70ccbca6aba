"""One git command that talks with a remote: where it may go, what lets it in, and how its failure is told.

Nothing prompts meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from refsync.clone.access import (
    has_own_ssh,
    http_environment,
    http_settings,
    origin_of,
    scrubbed,
    secrets_of,
    ssh_environment,
)
from refsync.clone.addresses import addresses_of, reached_urls
from refsync.clone.destination import is_open_wire, strangers
from refsync.clone.own_settings import check_own_settings
from refsync.clone.process import ANY_CODE, GitResult
from refsync.clone.remote_errors import Place, explain_remote
from refsync.clone.repository import Repository
from refsync.commands import git_command
from refsync.credentials import Credential, CredentialSource
from refsync.errors import CloneError, CredentialError, GitTimeoutError
from refsync.plain_text import shortened


@dataclass(frozen=True)
class Remote:
    """Where a clone's branches come from and go to, and what lets us in.

    ``name`` is git's name of it, ``url`` where it has to be, whatever the clone's own config says. ``credential`` is
    asked at each use over ``http(s)``, and goes to ``url`` alone; without it git uses what the machine's own settings
    say. ``open_wire`` allows it over plain ``http``. The two files are for ``ssh``. ``cloned_from`` is its URL while
    somebody clones it: what fails is told of that, for there is no clone yet, and with what helps at the command line.
    """

    name: str = "origin"
    credential: CredentialSource | None = None
    ssh_key_file: Path | None = None
    ssh_known_hosts_file: Path | None = None
    cloned_from: str = ""
    url: str = ""
    open_wire: bool = False


def ask(clone: Repository, remote: Remote, *arguments: str, stdin: bytes = b"") -> GitResult:
    """Run a git command that talks to the remote, of the clone's or of ``git clone`` beside it.

    Raises:
        RemoteRefusedError: no access, or the remote is not where the config says.
        RemoteUnavailableError: no answer in time, or nonsense.
        CredentialError: the credential cannot be read, or must not go there.
        CloneError: the clone has no such remote, or its config says how remotes are reached.
    """
    urls = urls_of(clone, remote)
    _check_destination(clone, remote, urls)
    credential = remote.credential() if remote.credential and any(map(origin_of, urls)) else None
    place = place_of(clone, remote, urls, credential)
    settings = http_settings(urls, credential is not None, (setting.key for setting in clone.settings()))
    try:
        with http_environment(credential, Path(os.path.expanduser("~"))) as variables:
            environment = variables | _ssh_environment(clone, remote, urls)
            result = clone.run(*arguments, stdin=stdin, environment=environment, settings=settings, accept=ANY_CODE)
    except GitTimeoutError:
        raise place.unavailable(
            f"no answer within {clone.timeout_seconds:g} seconds; check that it is up, "
            "or give it more by `timeout_seconds` in [git]"
        ) from None
    if result.code:
        secrets = secrets_of(urls, credential)
        output = scrubbed(result.output.decode(errors="replace"), secrets).encode()
        raise explain_remote(place, GitResult(result.code, output, scrubbed(result.error, secrets)))
    return result


def _check_destination(clone: Repository, remote: Remote, urls: Sequence[str]) -> None:
    """See that nobody who may write the clone's config sends us, and our secrets, elsewhere.

    Raises:
        CloneError: its config says how remotes are reached.
        RemoteRefusedError: the remote is not where the config says.
        CredentialError: the config does not say where the secret may go, or it would go there for all to read.
    """
    check_own_settings(clone.path, clone.settings(), with_remotes=True)
    if remote.url and (strange := strangers(remote.url, addresses_of(clone.settings(), remote.name))):
        back = git_command(clone.path, "remote", "set-url", remote.name, remote.url)
        raise place_of(clone, remote).refused(
            f"git's settings say that it is at {_without_secret(strange[0])}, and `url` of the config says "
            f"{_without_secret(remote.url)}; correct `url`, or run: {back}"
        )
    if remote.credential is None or not any(map(origin_of, urls)):
        return
    if not remote.url and not remote.cloned_from:
        raise CredentialError(
            f"{clone.path}: the config does not say where the token may go; say it in [[repository]]: "
            f'url = "{_without_secret(urls[0])}"'
        )
    if not remote.open_wire and (readable := next(filter(is_open_wire, urls), None)):
        raise CredentialError(
            f"{clone.path}: the token would go to {_without_secret(readable)} for all on the way to read; use https, "
            "or allow it by `plain_http = true` in [repository.credentials]"
        )


def _without_secret(url: str) -> str:
    return shortened(scrubbed(url, secrets_of([url], None)))


def urls_of(clone: Repository, remote: Remote) -> list[str]:
    """Where git fetches from and pushes to.

    Raises:
        CloneError: the clone has no such remote.
    """
    urls = reached_urls(clone.settings(), remote.name)
    if not urls:
        raise CloneError(
            f"{clone.path}: there is no remote {remote.name!r}; "
            f"run: {git_command(clone.path, 'remote', 'add', remote.name, 'URL')}, or correct `remote`"
        )
    return urls


def _ssh_environment(clone: Repository, remote: Remote, urls: Sequence[str]) -> dict[str, str]:
    if all(map(origin_of, urls)):
        return {}
    if remote.ssh_key_file or remote.ssh_known_hosts_file or not _has_own_ssh(clone):
        return ssh_environment(remote.ssh_key_file, remote.ssh_known_hosts_file)
    return {}


def _has_own_ssh(clone: Repository) -> bool:
    return has_own_ssh(os.environ, (clone.setting("core.sshcommand") or "").split())


def place_of(
    clone: Repository, remote: Remote, urls: Sequence[str] = (), credential: Credential | None = None
) -> Place:
    """Whom a failure is told of, and what was at hand."""
    origins = frozenset(filter(None, map(origin_of, urls)))
    return Place(
        clone.path,
        remote.name,
        origins,
        credential is not None,
        remote.ssh_key_file,
        remote.ssh_known_hosts_file,
        remote.cloned_from,
    )
