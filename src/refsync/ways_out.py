"""What the config chooses for each repository: its way out, with the remote, the forge and the credential for it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from refsync.clone.remotes import Remote, url_of
from refsync.clone.repository import Repository
from refsync.config import Config, RepositorySettings
from refsync.credentials import CredentialSource, keep_to_ourselves, token_source, whole_environment
from refsync.errors import RefsyncError
from refsync.forges.base import Forge, ForgeFacts, Heard, page_of_url, repository_of_url
from refsync.forges.github_facts import GITHUB
from refsync.publishing.local import Local
from refsync.publishing.proposals.forge_memory import ForgeMemory
from refsync.publishing.push import Push
from refsync.publishing.upstream import Remotes, Upstream
from refsync.sync.publisher import Publisher

if TYPE_CHECKING:
    from refsync.publishing.proposals.settings import ProposalSettings

FORGE: ForgeFacts = GITHUB
"""What is known of the forge that the pull requests are on."""


class Observer:
    """Is told what goes out, and keeps nothing."""

    def pushed(self, repository: str, failure: RefsyncError | None) -> None:
        """A push was tried; why it failed."""

    def forge_asked(self, repository: str, status: int | None, left: float | None) -> None:
        """A repository's forge was asked; see ``Heard``."""

    def notified(self, target: str, result: str) -> None:
        """A message to a target was ``delivered``, ``failed`` or is ``dead``; told by other threads, too."""


NOBODY = Observer()


def upstream_of(settings: RepositorySettings, observer: Observer = NOBODY) -> Upstream | None:
    """The remote that a repository's clone follows; ``None`` where it is published locally."""
    if settings.publish == "local":
        return None
    return Upstream(
        remote=Remote(
            settings.remote,
            credential_of(settings),
            settings.credentials.ssh_key_file,
            settings.credentials.ssh_known_hosts_file,
            url=settings.url,
            open_wire=settings.credentials.plain_http,
        ),
        fetch_seconds=settings.fetch_seconds,
        attempts=settings.push.attempts,
        proposals=None if settings.publish == "push" else settings.proposal.prefix,
        has_forge=settings.publish == "pull_request",
        pushed=partial(observer.pushed, settings.name),
    )


def publisher_of(
    config: Config,
    settings: RepositorySettings,
    upstream: Upstream | None,
    remotes: Remotes,
    memory: ForgeMemory,
    observer: Observer = NOBODY,
) -> Publisher:
    """The way out that the config chooses for a repository.

    Args:
        config: all settings.
        settings: those of the repository.
        upstream: what its clone follows; ``None`` where it is published locally.
        remotes: asks the remotes for news.
        memory: what is known of its forge.
        observer: is told of each request to the forge.
    """
    if upstream is None:
        return Local(memory)
    if settings.publish == "push":
        return Push(upstream, remotes, memory)
    from refsync.publishing.proposals.publisher import Proposals  # slow, and nothing to the other ways

    return Proposals(upstream, remotes, memory, _proposals(config, settings, observer))


def _proposals(config: Config, settings: RepositorySettings, observer: Observer) -> ProposalSettings:
    from refsync.publishing.proposals.settings import ProposalSettings, PullRequestSettings

    requests, credential = settings.pull_request, credential_of(settings)
    heard = partial(observer.forge_asked, settings.name)
    return ProposalSettings(
        prefix=settings.proposal.prefix,
        delete_branch=settings.proposal.delete_branch,
        pull_requests=None
        if settings.publish != "pull_request"
        else PullRequestSettings(
            open_forge=lambda url: forge_of(settings, url, credential, heard),
            limit=requests.limit,
            labels=requests.labels,
            reviewers=requests.reviewers,
            team_reviewers=requests.team_reviewers,
            on_close=requests.on_close,
            critical_fields=config.critical_fields(),
        ),
    )


def credential_of(settings: RepositorySettings) -> CredentialSource | None:
    """What the config names; with ``None`` git uses the machine's own settings, and the forge shows what is public."""
    table = settings.credentials
    if table.hold_a_secret:
        keep_to_ourselves(table.token_variable)
    if table.app_id and table.app_installation_id and table.app_key_file:
        from refsync.forges.github_app import app_credential  # httpx and PyJWT, only where they are needed

        return app_credential(
            app_id=table.app_id,
            installation_id=table.app_installation_id,
            key_file=table.app_key_file,
            base_url=settings.pull_request.base_url,
            repository=lambda: settings.pull_request.repository or _repository_of_remote(settings),
            is_for_review=settings.publish == "pull_request",
        )
    if not (table.token_file or table.token_variable or table.token_credential):
        return None

    return token_source(
        username=table.username,
        file=table.token_file,
        variable=table.token_variable,
        credential=table.token_credential,
        environ=whole_environment(),
    )


def forge_of(
    settings: RepositorySettings,
    url: str,
    credential: CredentialSource | None,
    heard: Heard = lambda status, left: None,
) -> Forge:
    """The forge that a remote's URL, or the config, names.

    Raises:
        ForgeRefusedError: the URL names no owner and repository.
    """
    from refsync.forges.github import open_github  # httpx, only where it is needed

    requests = settings.pull_request
    return open_github(
        requests.repository or repository_of_url(url),
        base_url=requests.base_url,
        credential=credential,
        is_app=settings.credentials.app_id is not None,
        heard=heard,
    )


def commit_link(settings: RepositorySettings, commit: str) -> str | None:
    """Where a commit can be looked at, if the remote is on a forge."""
    if settings.publish == "local":
        return None
    try:
        with Repository(settings.path, settings.branch) as clone:
            url = url_of(clone, settings.remote)
    except RefsyncError:
        return None
    page = page_of_url(url)
    is_forge = settings.publish == "pull_request" or (page or "").startswith("https://github.com/")
    return f"{page}/commit/{commit}" if page and is_forge else None


def _repository_of_remote(settings: RepositorySettings) -> str | None:
    """The ``owner/name`` of the clone's remote; ``None`` where it has no such URL."""
    try:
        with Repository(settings.path, settings.branch) as clone:
            return repository_of_url(url_of(clone, settings.remote))
    except RefsyncError:
        return None
