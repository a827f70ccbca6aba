"""The parts put together from settings: what the command line, the daemon and embedding programs work with.

Each part is loaded when it is first asked for: a command that lists the queue need not load what reads git.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from refsync.accounts import acting_account
from refsync.categories import CategoryName, not_held
from refsync.config import Config, RepositorySettings, next_time
from refsync.credentials import keep_to_ourselves
from refsync.errors import ConfigError
from refsync.opening import open_store

if TYPE_CHECKING:
    from refsync.backends.clone_reader import CloneReader
    from refsync.backends.git_backend import GitBackend
    from refsync.leasing import Leasing
    from refsync.metadata.models import ModelMetadataHandlerProtocol
    from refsync.pending_queue.diffs import PendingChangeDiffService
    from refsync.pending_queue.models import Submission
    from refsync.pending_queue.people import People
    from refsync.pending_queue.service import PendingQueueService
    from refsync.pending_queue.store import PendingQueueStore
    from refsync.publishing.proposals.forge_memory import ForgeMemories
    from refsync.publishing.upstream import Remotes, Upstream
    from refsync.reference.versions import VersionCache
    from refsync.state_directory import StateDirectory
    from refsync.sync.checking import CheckSettings
    from refsync.sync.publisher import Publisher
    from refsync.sync.reference import ApplySettings, PassReport, Progress, ReferenceRepository
    from refsync.sync.submitting import ReferenceTips
    from refsync.ways_out import Observer

OLDEST_PASS_IN_RESCANS = 3
"""After how many rescan periods without a pass a backend's health check says so."""


class Application:
    """Everything of one configuration; a context manager that closes the store.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from refsync import load_config, open_application
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "refsync.toml")
    ...     _ = file.write_text("repository = [{ name = 'image', path = 'image' }]")
    ...     with open_application(load_config(file, {"REFSYNC_STATE_DIRECTORY": folder})) as application:
    ...         application.queue.list_changes().total, list(application.backends)
    (0, ['image'])
    """

    def __init__(
        self, config: Config, state: StateDirectory, store: PendingQueueStore, queue: PendingQueueService
    ) -> None:
        self.config = config
        self.state = state
        self.store = store
        self.queue = queue
        self.metadata_handler: ModelMetadataHandlerProtocol | None = None
        self._failing: set[str] = set()
        self.observer: Observer | None = None
        """Is told what goes out; given before anything does."""

    def __enter__(self) -> Application:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    @cached_property
    def repositories(self) -> tuple[ReferenceRepository, ...]:
        """The repositories in the config's order."""
        return tuple(
            _reference(self.config, settings, self.state, self.metadata_handler)
            for settings in self.config.repositories
        )

    @cached_property
    def backends(self) -> dict[str, GitBackend]:
        """A reader and writer for each repository, by its name."""
        return {each.name: self._backend(each) for each in self.repositories}

    @cached_property
    def people(self) -> People:
        """Who may do what through a door that proves who they are; nobody who is not named."""
        return people_of(self.config)

    @cached_property
    def leasing(self) -> Leasing:
        """Who may run a pass: the kind of lease that the config chooses."""
        from refsync.leasing import leasing_of

        return leasing_of(self.config, self.state, self.store)

    @cached_property
    def _pass_cache(self) -> VersionCache:
        from refsync.reference.versions import VersionCache

        return VersionCache()

    @property
    def publishes(self) -> bool:
        """Whether passes of this config seal and publish, or only follow."""
        return self.config.daemon.role == "worker"

    @property
    def oldest_pass_seconds(self) -> float:
        """How long ago the last pass may be before something is wrong."""
        return OLDEST_PASS_IN_RESCANS * self.config.watch.rescan_seconds

    def _backend(self, reference: ReferenceRepository) -> GitBackend:
        from refsync.backends.base import ReplicateMode
        from refsync.backends.git_backend import GitBackend
        from refsync.sync.health import health_checks
        from refsync.sync.writing import OneChangeBatches

        return GitBackend(
            reference.path,
            reference.files,
            canonical_format=reference.format,
            mode=ReplicateMode.PRIMARY,
            cache_ttl_seconds=ceil(self.config.cache.ttl_seconds) or None,
            metadata=reference.metadata,
            write_path=OneChangeBatches(
                self.queue,
                reference,
                self.publishers()[reference.name],
                run_pass=partial(self.run_pass, waits=True),
                lease=partial(self.leasing.for_repository, reference.name),
            )
            if self.publishes
            else None,
            health_checks=health_checks(
                reference, self.queue, self.state, oldest_pass_seconds=self.oldest_pass_seconds
            ),
            catalogue=self.config.catalogue,
        )

    def tips(self) -> ReferenceTips:
        """What the target branches hold now, read when asked for."""
        from refsync.sync.submitting import ReferenceTips

        return ReferenceTips(self.repositories)

    def diffs(self) -> PendingChangeDiffService:
        """Changes against the reference as it is now."""
        from refsync.pending_queue.diffs import PendingChangeDiffService

        tips = self.tips()
        return PendingChangeDiffService(
            queue_service=self.queue,
            current_record=tips.record,
            stamps_of=lambda category: tips.repository_of(category).stamps,
            critical_fields=self.config.critical_fields(),
            catalogue=self.config.catalogue,
        )

    @cached_property
    def forges(self) -> ForgeMemories:
        """What the forges of the repositories said, for as long as this process lives."""
        from refsync.publishing.proposals.forge_memory import ForgeMemories
        from refsync.ways_out import FORGE

        return ForgeMemories(FORGE)

    @cached_property
    def upstreams(self) -> dict[str, Upstream]:
        """The remotes that clones follow, by the repository's name; not of those that are published locally."""
        from refsync.ways_out import NOBODY, upstream_of

        observer = self.observer or NOBODY
        found = ((each.name, upstream_of(each, observer)) for each in self.config.repositories)
        return {name: upstream for name, upstream in found if upstream}

    def publishers(self, remotes: Remotes | None = None) -> dict[str, Publisher]:
        """Each repository's way out, by its name; without ``remotes`` each asks its remote for news itself."""
        from refsync.publishing.upstream import AskAtOnce
        from refsync.ways_out import NOBODY, publisher_of

        asking, observer, upstreams = remotes or AskAtOnce(), self.observer or NOBODY, self.upstreams
        return {
            each.name: publisher_of(
                self.config, each, upstreams.get(each.name), asking, self.forges[each.name], observer
            )
            for each in self.config.repositories
        }

    def run_pass(
        self,
        *,
        progress: Progress | None = None,
        stopping: Callable[[], bool] = lambda: False,
        remotes: Remotes | None = None,
        waits: bool = False,
    ) -> PassReport | None:
        """Wait for this state directory's turn and run one pass; ``None`` if told to stop while waiting.

        Where several processes share the queue, what another one works on is only followed.

        Args:
            progress: told of a long fold, as commits done and commits in all.
            stopping: asked now and then whether to give up.
            remotes: asks the remotes for news; without it the pass does so itself.
            waits: whether to wait for what another process works on, and bring it on, too.
        """
        from refsync.sync.reconcile import reconcile
        from refsync.sync.turn import Pass
        from refsync.targets import wants_foreign_commits

        with self.leasing.for_pass(stopping, waits=waits) as leases:
            if leases is None:
                return None
            return reconcile(
                Pass(
                    self.queue.under(leases.whole),
                    self.repositories,
                    self.publishers(remotes),
                    self.apply_settings,
                    progress=progress,
                    stopping=stopping,
                    lease_of=leases.of,
                    publishes=self.publishes,
                    failing=self._failing,
                    cache=self._pass_cache,
                    tells_commits=wants_foreign_commits(self.config),
                )
            )

    @property
    def apply_settings(self) -> ApplySettings:
        """When the open batch is sealed, as the config says."""
        from refsync.sync.reference import ApplySettings

        settings = self.config.apply

        return ApplySettings(settings.when, settings.settle_seconds, partial(next_time, settings.schedule))


def open_application(
    config: Config, *, wakes_daemon: bool = True, metadata_handler: ModelMetadataHandlerProtocol | None = None
) -> Application:
    """Put the parts together.

    Args:
        config: checked settings.
        wakes_daemon: whether what is done to the queue wakes the daemon; the daemon itself says no.
        metadata_handler: has the last word on the stamps of each record that this process writes, where records
            are stamped; an error in it refuses that change only.

    Raises:
        StateDirectoryError: the state directory cannot be used.
        StoreError: the store cannot be used.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from refsync import load_config
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "refsync.toml")
        ...     _ = file.write_text("repository = [{ name = 'image', path = 'image' }]")
        ...     with open_application(load_config(file, {"REFSYNC_STATE_DIRECTORY": folder})) as application:
        ...         print(application.queue.list_batches(), application.apply_settings.when)
        [] approval
    """
    if not isinstance(config, Config):
        raise ConfigError(f"expected a Config, as load_config gives it, not {type(config).__name__}")
    from refsync.backup import is_restoring
    from refsync.state_directory import prepare

    state = prepare(config.state_directory)
    if is_restoring(state.path):
        from refsync.backup.restoring import finish_restore
        from refsync.pending_queue.store.copying import store_file

        finish_restore(state, store_file(state.path, config.queue.url))
    application = assemble(config, state, open_store(config), wakes_daemon=wakes_daemon)
    application.metadata_handler = metadata_handler
    return application


def assemble(config: Config, state: StateDirectory, store: PendingQueueStore, *, wakes_daemon: bool) -> Application:
    """Put the parts together around a store that is open already, to keep it over a change of the settings."""
    for each in config.repositories:
        if each.credentials.hold_a_secret:
            keep_to_ourselves(each.credentials.token_variable)
    from refsync.pending_queue.service import PendingQueueService
    from refsync.pending_queue.submissions import OpenLimits
    from refsync.targets import outbox_of

    for target in config.notify:
        keep_to_ourselves(target.secret_variable)
    store.catalogue = config.catalogue

    def complete(submissions: Iterable[Submission]) -> Iterable[Submission]:
        from refsync.sync.submitting import submissions_with_base

        return submissions_with_base(queue, application.tips(), submissions)

    guard = config.guard
    queue = PendingQueueService(
        store=store,
        two_person_review=config.queue.two_person_review,
        one_proposal_per_model=config.queue.one_proposal_per_model,
        on_change=state.wake if wakes_daemon else None,
        outbox=outbox_of(config),
        complete=complete,
        people=people_of(config) if config.people else None,
        limits=OpenLimits(guard.open_changes, guard.open_changes_by_person),
        process_user=acting_account(os.environ),
    )
    application = Application(config, state, store, queue)
    return application


def people_of(config: Config) -> People:
    """Who may do what: the config's people, and whose token says so; the tokens are read anew when they change."""
    from refsync.config.settings import PeopleSettings
    from refsync.pending_queue.people import Identity, People, Role
    from refsync.tokens import PROVIDER, TokensFile

    tokens = TokensFile(config.serve.tokens_file)

    def named(people: Iterable[str]) -> frozenset[Identity]:
        return frozenset(map(Identity.parse, people))

    def with_token(role: Role) -> frozenset[Identity]:
        return frozenset(Identity(PROVIDER, each.id) for each in tokens.good() if each.role == role)

    given = config.people or PeopleSettings()
    by_category = {str(category): named(people) for category, people in given.category_approvers.items()}
    return People(named(given.requestors), named(given.approvers), by_category, named(given.operators), with_token)


def open_reader(config: Config, category: CategoryName) -> CloneReader:
    """What readers of one category get, which needs neither state directory nor queue.

    Raises:
        UnknownCategoryError: no repository holds the category.
        ConfigError: a category file outside the clone.
    """
    from refsync.backends.clone_reader import CloneReader

    for each in config.repositories:
        if category in each.files:
            return CloneReader(each.path, each.files, catalogue=config.catalogue)
    raise not_held(category, (name for each in config.repositories for name in each.files))


def _reference(
    config: Config, settings: RepositorySettings, state: StateDirectory, handler: ModelMetadataHandlerProtocol | None
) -> ReferenceRepository:
    from refsync.metadata.manager import MetadataManager
    from refsync.metadata.recorder import Recorder
    from refsync.metadata.records import ModelMetadataManager
    from refsync.sync.reference import DeletionLimit, ReferenceRepository

    folder = state.repository_folder(settings.name)
    metadata = MetadataManager(folder, ModelMetadataManager(handler), catalogue=config.catalogue)
    deletions = config.guard.deletions
    return ReferenceRepository(
        name=settings.name,
        path=settings.path,
        branch=settings.branch,
        format=settings.format,
        files=settings.files,
        metadata=metadata,
        recorder=Recorder(metadata, settings.files, catalogue=config.catalogue),
        author=config.commit.author,
        stamp_records=settings.stamps,
        timeout_seconds=config.git.timeout_seconds,
        tables=settings.tables,
        catalogue=config.catalogue,
        check=_check_of(settings, folder),
        deletions=DeletionLimit(deletions.count, deletions.share),
        rules={category: rules for category, rules in config.rules.items() if category in settings.files},
    )


def _check_of(settings: RepositorySettings, folder: Path) -> CheckSettings | None:
    if not settings.check.commands:
        return None
    from refsync.sync.checking import CheckSettings

    return CheckSettings(settings.check.commands, settings.check.timeout_seconds, folder)
