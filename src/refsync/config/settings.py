"""The settings, one class for each table of the config file; frozen, and without keys that nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    Strict,
    StrictBool,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from refsync.categories import (
    SPECIFIED,
    CanonicalFormat,
    Catalogue,
    CategoryName,
    Layout,
    canonical_format,
    catalogue_in,
)
from refsync.clone.destination import is_open_wire
from refsync.config.ownership import Fault, FaultsError, Files, faults_between, faults_within, files_of
from refsync.config.values import (
    DEFAULT_SCHEDULE,
    Author,
    BindAddress,
    BranchName,
    BranchPrefix,
    Category,
    CategoryFile,
    CheckRule,
    Command,
    CredentialName,
    File,
    Folder,
    ForgeRepository,
    ForgeURL,
    HeaderName,
    HordeURL,
    HostURL,
    LogLevel,
    OptionalFile,
    Origin,
    Person,
    PositiveSeconds,
    RemoteName,
    RemoteURL,
    RepositoryName,
    Schedule,
    Seconds,
    StoreURL,
    UserName,
    VariableName,
    is_loopback,
)


class Table(BaseModel):
    """One table of the config file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CheckTable(Table):
    """``[repository.check]``: what has to end well before a commit is published, and what ``check`` leaves out."""

    commands: tuple[Command, ...] = ()
    timeout_seconds: Annotated[PositiveSeconds, Strict()] = 300.0
    switched_off: tuple[CheckRule, ...] = ()


class CredentialsTable(Table):
    """``[repository.credentials]``: what lets refsync into the remote and the forge; where secrets are, never one."""

    username: UserName = "x-access-token"
    token_file: File | None = None
    token_variable: VariableName = ""
    token_credential: CredentialName = ""
    app_id: Annotated[int, Strict(), Field(ge=1)] | None = None
    app_installation_id: Annotated[int, Strict(), Field(ge=1)] | None = None
    app_key_file: File | None = None
    plain_http: StrictBool = False
    ssh_key_file: File | None = None
    ssh_known_hosts_file: File | None = None

    @model_validator(mode="after")
    def _name_one_source(self) -> Self:
        app = {
            "app_id": self.app_id,
            "app_installation_id": self.app_installation_id,
            "app_key_file": self.app_key_file,
        }
        missing = [key for key, value in app.items() if value is None]
        if len(missing) in (1, 2):
            raise FaultsError(
                [Fault((missing[0],), "is needed too: a GitHub App has an id, an installation and a key")]
            )
        tokens = {key: getattr(self, key) for key in ("token_file", "token_variable", "token_credential")}
        named = [key for key, value in (tokens | {"app_id": self.app_id}).items() if value]
        if len(named) > 1:
            raise FaultsError(
                [Fault((named[1],), f"{named[0]} is given too; name one place that the secret comes from")]
            )
        return self

    @property
    def hold_a_secret(self) -> bool:
        """Whether something is named that is sent to remote or forge."""
        return bool(self.token_file or self.token_variable or self.token_credential or self.app_key_file)


class PushTable(Table):
    """``[repository.push]``: how the remote's target branch is pushed to."""

    attempts: Annotated[int, Strict(), Field(ge=1, le=100)] = 5


class ProposalTable(Table):
    """``[repository.proposal]``: the branches that people review."""

    prefix: BranchPrefix = "refsync/"
    delete_branch: StrictBool = True


class PullRequestTable(Table):
    """``[repository.pull_request]``: how pull requests are opened and followed."""

    repository: ForgeRepository = ""
    base_url: ForgeURL = "https://api.github.com"
    limit: Annotated[int, Strict(), Field(ge=1)] = 10
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    team_reviewers: tuple[str, ...] = ()
    on_close: Literal["hold", "abandon"] = "hold"


class RepositorySettings(Table):
    """``[[repository]]``: one clone and the category files in it.

    ``categories`` is what the config file lists; ``files`` is everything that the repository holds.
    """

    name: RepositoryName
    path: Folder
    branch: BranchName = "main"
    layout: Layout = Layout.upstream
    publish: Literal["local", "push", "branch", "pull_request"] = "local"
    remote: RemoteName = "origin"
    url: RemoteURL = ""
    fetch_seconds: PositiveSeconds = 60.0
    stamp_records: StrictBool | None = None
    categories: Mapping[Category, CategoryFile] = {}
    critical_fields: Mapping[Category, tuple[str, ...]] = {}
    check: CheckTable = CheckTable()
    credentials: CredentialsTable = CredentialsTable()
    push: PushTable = PushTable()
    proposal: ProposalTable = ProposalTable()
    pull_request: PullRequestTable = PullRequestTable()
    _catalogue: Catalogue = PrivateAttr(default_factory=lambda: SPECIFIED)
    _files: Files = PrivateAttr(default={})

    @model_validator(mode="after")
    def _find_files(self, info: ValidationInfo) -> Self:
        self._catalogue = catalogue_in(info.context)
        self._files = files_of(self._catalogue, self.layout, self.categories)
        if faults := list(faults_within(self)):
            raise FaultsError(faults)
        return self

    @model_validator(mode="after")
    def _keep_secrets_off_open_wires(self) -> Self:
        table = self.credentials
        if table.hold_a_secret and not table.plain_http and is_open_wire(self.pull_request.base_url):
            reason = "the token would go there for all on the way to read; write https, or plain_http = true"
            raise FaultsError([Fault(("pull_request", "base_url"), f"{reason} in [repository.credentials]")])
        return self

    @property
    def catalogue(self) -> Catalogue:
        """Which categories there are."""
        return self._catalogue

    @property
    def files(self) -> Files:
        """The files of every category that this repository holds, relative to the clone, by format."""
        return self._files

    @property
    def tables(self) -> dict[CategoryName, str]:
        """The tables that people edit and whose documents are in ``files``: ``models.csv`` of a text reference."""
        return {category: file for category, file in self.categories.items() if self.catalogue[category].table_of(file)}

    @property
    def format(self) -> CanonicalFormat:
        """The format that changes are written in."""
        return canonical_format(self.layout)

    @property
    def stamps(self) -> bool:
        """Whether records get stamps: ``stamp_records``, and where it is unset, whether they are v2."""
        return self.format is CanonicalFormat.v2 if self.stamp_records is None else self.stamp_records

    def without(self, categories: set[CategoryName]) -> RepositorySettings:
        """Give up categories that other repositories list."""
        copy = self.model_copy()
        copy._files = MappingProxyType({held: files for held, files in self.files.items() if held not in categories})
        return copy


class ApplySettings(Table):
    """``[apply]``: when approved changes are committed."""

    when: Literal["approval", "schedule", "manual"] = "approval"
    settle_seconds: Seconds = 0.0
    schedule: Schedule = DEFAULT_SCHEDULE


class CommitSettings(Table):
    """``[commit]``: who commits."""

    author: Author = "refsync <refsync@localhost>"


class WatchSettings(Table):
    """``[watch]``: how changes on disk are noticed."""

    mode: Literal["auto", "inotify", "polling"] = "auto"
    rescan_seconds: PositiveSeconds = 300.0


class CacheSettings(Table):
    """``[cache]``: how long readers keep what they have read."""

    ttl_seconds: Seconds = 0.0


class QueueSettings(Table):
    """``[queue]``: where changes are kept, and the rules that a team can switch on."""

    url: StoreURL = ""
    two_person_review: bool = False
    one_proposal_per_model: bool = False


class PeopleSettings(Table):
    """``[people]``: who may do what, each by login name or ``PROVIDER:ID``; whoever is not named may nothing."""

    requestors: tuple[Person, ...] = ()
    approvers: tuple[Person, ...] = ()
    operators: tuple[Person, ...] = ()
    category_approvers: Mapping[Category, tuple[Person, ...]] = {}


class DeletionLimit(Table):
    """How many models of a category may go at once: a batch is held that goes beyond both."""

    count: Annotated[int, Strict(), Field(ge=0)] = 5
    share: Annotated[float, Strict(), Field(ge=0, le=1)] = 0.2


class GuardSettings(Table):
    """``[guard]``: what one slip, or one person, must not do."""

    deletions: DeletionLimit = DeletionLimit()
    open_changes: Annotated[int, Strict(), Field(ge=1)] = 10_000
    open_changes_by_person: Annotated[int, Strict(), Field(ge=1)] = 5_000


class GitSettings(Table):
    """``[git]``: how git is run."""

    timeout_seconds: PositiveSeconds = 60.0


class ServeSettings(Table):
    """``[serve]``: the door, ``refsync serve``; ``bind`` and ``socket`` say where it listens."""

    bind: BindAddress = "127.0.0.1:19800"
    socket: OptionalFile = ""
    allow_http: bool = False
    origins: tuple[Origin, ...] = ()
    replicate_mode: Literal["object", "string"] = "object"
    apply_seconds: PositiveSeconds = 30.0
    identity: tuple[Literal["token", "horde", "proxy", "system"], ...] = ("token", "system")
    tokens_file: File = Path("/etc/refsync/tokens")
    horde_url: HordeURL = "https://aihorde.net"
    proxy_header: HeaderName = "x-remote-user"
    proxy_users: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _keep_keys_off_the_wire(self) -> Self:
        if self.bind and not self.allow_http and not is_loopback(self.bind):
            reason = "keys would travel there unencrypted; bind loopback behind a TLS proxy, or set allow_http = true"
            raise FaultsError([Fault(("bind",), reason)])
        return self


class ProbeSettings(Table):
    """``[probe]``: how hosts are asked about the links in records."""

    again_after_hours: Annotated[float, Strict(), Field(ge=0)] = 24.0
    most_a_day: Annotated[int, Strict(), Field(ge=1)] = 2_000
    allow_private: bool = False
    hugging_face: HostURL = "https://huggingface.co"
    civitai: HostURL = "https://civitai.com"


class LogSettings(Table):
    """``[log]``: what is logged, and how."""

    level: LogLevel = "INFO"
    format: Literal["text", "json"] = "text"


class Config(BaseSettings):
    """The whole configuration.

    >>> Config(repository=[{"name": "image", "path": "/srv/reference/image"}]).apply.when
    'approval'
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    state_directory: Folder = Path("/var/lib/refsync")
    repositories: Annotated[tuple[RepositorySettings, ...], Field(alias="repository")]
    apply: ApplySettings = ApplySettings()
    commit: CommitSettings = CommitSettings()
    watch: WatchSettings = WatchSettings()
    cache: CacheSettings = CacheSettings()
    queue: QueueSettings = QueueSettings()
    people: PeopleSettings | None = None
    guard: GuardSettings = GuardSettings()
    git: GitSettings = GitSettings()
    serve: ServeSettings = ServeSettings()
    probe: ProbeSettings = ProbeSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what is handed in; the loader lays the environment over the file and knows which is which."""
        return (init_settings,)

    @field_validator("repositories")
    @classmethod
    def _divide_categories(
        cls, repositories: tuple[RepositorySettings, ...], info: ValidationInfo
    ) -> tuple[RepositorySettings, ...]:
        if faults := list(faults_between(catalogue_in(info.context), repositories)):
            raise FaultsError(faults)
        listed = {category for repository in repositories for category in repository.categories}
        return tuple(repository.without(listed - set(repository.categories)) for repository in repositories)

    @model_validator(mode="after")
    def _keep_state_out_of_clones(self) -> Self:
        for repository in self.repositories:
            if self.state_directory.is_relative_to(repository.path):
                reason = f"lies inside the clone of repository {repository.name!r}; name a folder outside"
                raise FaultsError([Fault(("state_directory",), reason)])
        return self

    @property
    def catalogue(self) -> Catalogue:
        """Which categories there are."""
        return self.repositories[0].catalogue

    def repository_of(self, category: CategoryName) -> RepositorySettings | None:
        """Find the repository that holds a category; ``None`` where none does."""
        return next((repository for repository in self.repositories if category in repository.files), None)

    def critical_fields(self) -> dict[CategoryName, tuple[str, ...]]:
        """List what a reviewer must not miss, for every category: the built-in fields, or those of the config."""
        fields = {category: descriptor.critical_fields for category, descriptor in self.catalogue.descriptors.items()}
        for repository in self.repositories:
            fields |= repository.critical_fields
        return fields
