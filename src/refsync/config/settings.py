"""The settings, one class for each table of the config file; frozen, and without keys that nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from refsync.categories import SPECIFIED, Catalogue, CategoryDescriptor, CategoryName, catalogue_in
from refsync.config.faults import Fault, FaultsError, only_one
from refsync.config.notify import NotifySettings
from refsync.config.ownership import faults_between
from refsync.config.repository import RepositorySettings, Table
from refsync.config.rules import RuledCategory, SpecifiedCategory, is_of_specified, rules_of
from refsync.config.values import (
    DEFAULT_SCHEDULE,
    Author,
    BindAddress,
    Category,
    CredentialName,
    FieldPath,
    File,
    FilePattern,
    Folder,
    HeaderName,
    HordeURL,
    HostURL,
    JsonFileName,
    LeaseSeconds,
    LogLevel,
    OptionalFile,
    Origin,
    OwnCategoryName,
    Person,
    PositiveSeconds,
    RecordsPlace,
    Schedule,
    Seconds,
    StoreURL,
    Textfile,
    VariableName,
    is_loopback,
    nearest,
)
from refsync.link_fields import LinkFields
from refsync.rules.category_rules import CategoryRules


class LinkSettings(Table):
    """``[category.links]``: where records keep links to files, with their hashes and sizes."""

    url: FieldPath
    name: FieldPath | None = None
    file: FieldPath | None = None
    sha256: FieldPath | None = None
    size: FieldPath | None = None

    @property
    def fields(self) -> LinkFields:
        """The same for who reads records."""
        return LinkFields(self.url, self.name or "", self.file or "", self.sha256 or "", self.size or "")


class OwnCategory(RuledCategory):
    """``[[category]]``: a category that is none of the specification's."""

    name: OwnCategoryName
    file: JsonFileName | None = None
    files: FilePattern | None = None
    records: RecordsPlace | None = None
    key: Annotated[str, Field(min_length=1)] | None = None
    ignore: tuple[str, ...] = ()
    critical: tuple[str, ...] = ()
    links: LinkSettings | None = None

    @model_validator(mode="after")
    def _say_where_its_records_are(self) -> Self:
        if (self.file is None) == (self.files is None):
            raise FaultsError([Fault(("file",), "is required, or `files` for many files; one of the two")])
        if self.key is not None and (self.files is None or self.records is not None):
            raise FaultsError([Fault(("key",), "is for `files` that are one record each, without `records`")])
        return self

    @property
    def path(self) -> str:
        """Its file, or the pattern of its files."""
        return self.file or self.files or ""

    @property
    def descriptor(self) -> CategoryDescriptor:
        """What is known of it."""
        links = self.links.fields if self.links else None
        return CategoryDescriptor.own(
            self.name,
            self.path,
            self.critical,
            links,
            records=self.records or "",
            ignored=self.ignore,
            record_files=self.files is not None and self.records is None,
            key=self.key,
        )


def _kind_of_category(table: object) -> str:
    return "specified" if is_of_specified(table) else "own"


CategoryTable = Annotated[
    Annotated[OwnCategory, Tag("own")] | Annotated[SpecifiedCategory, Tag("specified")],
    Discriminator(_kind_of_category),
]


_Named = TypeVar("_Named", OwnCategory | SpecifiedCategory, NotifySettings)


def named_once(tables: tuple[_Named, ...]) -> tuple[_Named, ...]:
    """The same, if each has a name of its own; raises FaultsError."""
    names = [each.name for each in tables]
    twice = (place for place, name in enumerate(names) if name in names[:place])
    if faults := [Fault((place, "name"), f"{names[place]} is there twice; give each its own name") for place in twice]:
        raise FaultsError(faults)
    return tables


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


class DaemonSettings(Table):
    """``[daemon]``: what the daemon does where several share a queue."""

    role: Literal["worker", "reader"] = "worker"
    lease_seconds: LeaseSeconds = 30.0


class CacheSettings(Table):
    """``[cache]``: how long readers keep what they have read."""

    ttl_seconds: Seconds = 0.0


class QueueSettings(Table):
    """``[queue]``: where changes are kept, and the rules that a team can switch on."""

    url: StoreURL = ""
    password_file: OptionalFile = ""
    password_variable: VariableName = ""
    password_credential: CredentialName = ""
    two_person_review: bool = False
    one_proposal_per_model: bool = False

    @model_validator(mode="after")
    def _name_one_source(self) -> Self:
        only_one(self, ("password_file", "password_variable", "password_credential"), "that the password is in")
        return self


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
    changes: bool = True
    submission_seconds: Annotated[float, Strict(), Field(ge=0, le=60)] = 3.0
    allow_private: bool = False
    hugging_face: HostURL = "https://huggingface.co"
    civitai: HostURL = "https://civitai.com"


class MetricsSettings(Table):
    """``[metrics]``: where the daemon writes its figures for Prometheus."""

    textfile: Textfile = ""


class LogSettings(Table):
    """``[log]``: what is logged, and how."""

    level: LogLevel = "INFO"
    format: Literal["text", "json"] = "text"


class Config(BaseModel):
    """The whole configuration.

    >>> Config(repository=[{"name": "image", "path": "/srv/reference/image"}]).apply.when
    'approval'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    state_directory: Folder = Path("/var/lib/refsync")
    repositories: Annotated[tuple[RepositorySettings, ...], Field(alias="repository")]
    category_tables: Annotated[tuple[CategoryTable, ...], Field(alias="category")] = ()
    apply: ApplySettings = ApplySettings()
    commit: CommitSettings = CommitSettings()
    watch: WatchSettings = WatchSettings()
    daemon: DaemonSettings = DaemonSettings()
    cache: CacheSettings = CacheSettings()
    queue: QueueSettings = QueueSettings()
    people: PeopleSettings | None = None
    guard: GuardSettings = GuardSettings()
    git: GitSettings = GitSettings()
    serve: ServeSettings = ServeSettings()
    probe: ProbeSettings = ProbeSettings()
    metrics: MetricsSettings = MetricsSettings()
    notify: tuple[NotifySettings, ...] = ()
    log: LogSettings = LogSettings()

    def __init__(self, catalogue: Catalogue = SPECIFIED, /, **values: Any) -> None:
        """Take only what is handed in; the loader lays the environment over the file and knows which is which.

        Args:
            catalogue: the categories that there are.
            values: by key.
        """
        self.__pydantic_validator__.validate_python(values, self_instance=self, context={"catalogue": catalogue})

    @field_validator("repositories")
    @classmethod
    def _divide_categories(
        cls, repositories: tuple[RepositorySettings, ...], info: ValidationInfo
    ) -> tuple[RepositorySettings, ...]:
        if faults := list(faults_between(catalogue_in(info.context), repositories)):
            raise FaultsError(faults)
        listed = {category for repository in repositories for category in repository.categories}
        return tuple(repository.without(listed - set(repository.categories)) for repository in repositories)

    @field_validator("category_tables")
    @classmethod
    def _name_each_once(cls, tables: tuple[CategoryTable, ...]) -> tuple[CategoryTable, ...]:
        return named_once(tables)

    @field_validator("notify")
    @classmethod
    def _name_each_target_once(cls, targets: tuple[NotifySettings, ...]) -> tuple[NotifySettings, ...]:
        return named_once(targets)

    @model_validator(mode="after")
    def _know_what_is_notified_of(self) -> Self:
        known = [repository.name for repository in self.repositories]
        if faults := [
            Fault(("notify", place, "repositories"), f"{name} is no repository{nearest(name, known)}")
            for place, target in enumerate(self.notify)
            for name in target.repositories
            if name not in known
        ]:
            raise FaultsError(faults)
        return self

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

    @property
    def own_categories(self) -> tuple[OwnCategory, ...]:
        """The categories that are none of the specification's."""
        return tuple(each for each in self.category_tables if isinstance(each, OwnCategory))

    @property
    def rules(self) -> dict[CategoryName, CategoryRules]:
        """What the records of categories have to be like, of those that have rules."""
        return rules_of(self.category_tables)

    def critical_fields(self) -> dict[CategoryName, tuple[str, ...]]:
        """List what a reviewer must not miss, for every category: the built-in fields, or those of the config."""
        fields = {category: descriptor.critical_fields for category, descriptor in self.catalogue.descriptors.items()}
        for repository in self.repositories:
            fields |= repository.critical_fields
        return fields
