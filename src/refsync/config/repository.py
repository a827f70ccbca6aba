"""``[[repository]]``: the settings of one clone, and which files of it hold which category."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    PrivateAttr,
    Strict,
    StrictBool,
    ValidationInfo,
    model_validator,
)

from refsync.categories import (
    SPECIFIED,
    CanonicalFormat,
    Catalogue,
    CategoryName,
    Layout,
    canonical_format,
    catalogue_in,
    is_table,
)
from refsync.clone.destination import is_open_wire
from refsync.config.faults import Fault, FaultsError, only_one
from refsync.config.values import (
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
    PositiveSeconds,
    RemoteName,
    RemoteURL,
    RepositoryName,
    UserName,
    VariableName,
    shown,
)
from refsync.deferred import Deferred
from refsync.file_patterns import is_pattern

Files = Mapping[CategoryName, Mapping[CanonicalFormat, str]]
"""A repository's files, relative to the clone; categories in their own order."""


class Table(Deferred):
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
        sources = ("token_file", "token_variable", "token_credential", "app_id")
        only_one(self, sources, "that the secret comes from")
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
        if faults := list(_faults_within(self)):
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


def files_of(catalogue: Catalogue, layout: Layout, listed: Mapping[CategoryName, str]) -> Files:
    """Put the listed files over the layout's default ones, in the format that the layout writes.

    Of a table that changes are written to, the document that is made from it; it has to be listed.
    """
    files = {}
    for category, descriptor in catalogue.descriptors.items():
        written = canonical_format(layout)
        found = {
            form: file for form, file in descriptor.files(layout).items() if form is not written or not is_table(file)
        }
        if category in listed:
            file = listed[category]
            found[written] = descriptor.read_file(file)
        if found:
            files[category] = MappingProxyType(found)
    return MappingProxyType(files)


def _faults_within(repository: RepositorySettings) -> Iterator[Fault]:
    """Find what cannot be right in one repository, whatever the others are."""
    for category in repository.categories:
        if repository.layout is Layout.upstream and repository.catalogue[category].legacy_file is None:
            reason = "has no legacy format; only a clone of layout 'primary' can hold it"
            yield Fault(("categories", category), reason)
    for category, file in repository.categories.items():
        may_be_table = repository.catalogue[category].table is not None and repository.layout is Layout.upstream
        if is_table(file) and not may_be_table:
            named = " and ".join(each for each, known in repository.catalogue.descriptors.items() if known.table)
            reason = (
                f"{shown(file)} is a CSV table, which is written only for {named} of layout 'upstream'; "
                "name a JSON file"
            )
            yield Fault(("categories", category), reason)
    for category, file in repository.categories.items():
        usual = repository.catalogue[category].v2_file
        if is_pattern(file) != is_pattern(usual) or (is_pattern(file) and file != usual):
            reason = f"{shown(file)} is not what its [[category]] says; list it as {shown(usual)}"
            yield Fault(("categories", category), reason)
    if repository.stamp_records and repository.tables:
        yield Fault(("stamp_records",), "no column of a CSV table holds a stamp; leave it false for this repository")
    for category in repository.critical_fields:
        if category not in repository.files:
            yield Fault(("critical_fields", category), "is a category that this repository does not hold")
    for file, users in _users(repository.files).items():
        if len(users) > 1:
            reason = f"{shown(file)} is the file of {' and of '.join(users)}; give each its own"
            yield Fault(("categories",), reason)


def _users(files: Files) -> dict[str, list[str]]:
    users: dict[str, list[str]] = defaultdict(list)
    for category, by_format in files.items():
        for form, file in by_format.items():
            users[file].append(f"{category} ({form})")
    return users
