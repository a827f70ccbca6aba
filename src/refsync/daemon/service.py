"""The long-running shell: wake up, invalidate what changed, run a pass, go back to sleep."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from loguru import logger

from refsync import log
from refsync.application import Application, assemble, open_application
from refsync.categories import MODEL_REFERENCE_CATEGORY
from refsync.clone.repository import Repository
from refsync.config import Config, cron_trigger, load_config, restart_keys
from refsync.daemon import systemd
from refsync.daemon.wakeups import Seen, Timers, Wakeups, signals
from refsync.errors import ConfigError, RefsyncError
from refsync.file_events import FolderWatcher
from refsync.sync.reference import PassReport, ReferenceRepository, RepositoryReport

HOUSEKEEPING_SECONDS = 24 * 3600.0
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 300.0
_GIT_FILES = {"HEAD", "index", "packed-refs", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG"}
_GIT_FOLDERS = {"rebase-merge", "rebase-apply"}


def serve(config_file: Path, environ: Mapping[str, str]) -> None:
    """Be the daemon of a state directory until SIGTERM or SIGINT.

    Args:
        config_file: the config file; watched while the daemon runs.
        environ: the environment, whose ``REFSYNC_`` variables win over the file.

    Raises:
        ConfigError: the config cannot be used.
        AlreadyRunningError: another daemon serves the state directory.
        StateDirectoryError: the state directory cannot be used.
        StoreError: the store cannot be used.
    """
    config = load_config(config_file, environ)
    log.configure(config.log.level, config.log.format)
    wakeups = Wakeups()
    with ExitStack() as stack:
        application = stack.enter_context(open_application(config, wakes_daemon=False))
        stack.enter_context(application.state.serve())
        stack.enter_context(signals(wakeups))
        timers = stack.enter_context(Timers(wakeups))
        daemon = Daemon(config_file, environ, application, wakeups, timers)
        stack.callback(daemon.close)
        daemon.run()


class Daemon:
    """The loop and what it remembers between passes; passes run in the thread that calls :meth:`run`."""

    def __init__(
        self,
        config_file: Path,
        environ: Mapping[str, str],
        application: Application,
        wakeups: Wakeups,
        timers: Timers,
    ) -> None:
        self._config_file = config_file
        self._environ = environ
        self._application = application
        self._wakeups = wakeups
        self._timers = timers
        self._watcher: FolderWatcher | None = None
        self._watched: frozenset[Path] = frozenset()
        self._failures = 0
        self._problems: dict[str, str] = {}

    def run(self) -> None:
        """Work until told to stop."""
        self._settle_in()
        systemd.ready(self._summary())
        logger.info("refsync serves {}: {}", self._application.state.path, self._summary())
        self._wakeups.wake()  # the world may have changed while nobody looked
        while not self._wakeups.stopping:
            seen = self._wakeups.wait()
            if not self._wakeups.stopping:
                self._wake(seen)
        systemd.stopping()
        logger.info("refsync stops")

    def close(self) -> None:
        """End the watcher's thread."""
        if self._watcher:
            self._watcher.stop()

    def _wake(self, seen: Seen) -> None:
        if seen.reload or self._config_file in seen.paths:
            self._reload()
        self._invalidate(seen)
        if seen.housekeeping:
            self._tidy()
        self._pass()

    # --- passes ---------------------------------------------------------------------------------------------------

    def _pass(self) -> None:
        try:
            report = self._application.run_pass(progress=self._show_progress, stopping=lambda: self._wakeups.stopping)
        except KeyboardInterrupt:  # told to stop in the middle of a fold, which is lost without harm
            return
        except RefsyncError as problem:
            logger.error("the pass failed: {}", problem)
            self._retry_later()
            return
        except Exception as bug:
            logger.opt(exception=bug).error("the pass failed by a bug in refsync: {!r}", bug)
            self._retry_later()
            return
        if report:
            self._digest(report)

    def _digest(self, report: PassReport) -> None:
        for repository in report.repositories:
            self._tell_problem(repository)
        if any(repository.temporary for repository in report.problems):
            self._retry_later()
        else:
            self._failures = 0
        if report.settles_in is not None and self._application.config.apply.when == "approval":
            self._timers.once("settle", report.settles_in)
        systemd.status(self._summary())

    def _tell_problem(self, repository: RepositoryReport) -> None:
        """Log a problem when it appears and when it is gone, not at every pass in between."""
        before = self._problems.pop(repository.name, None)
        if repository.problem:
            self._problems[repository.name] = repository.problem
            if repository.problem != before:
                logger.error("{}: held: {}", repository.name, repository.problem)
        elif before:
            logger.info("{}: goes on", repository.name)

    def _retry_later(self) -> None:
        delay = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2**self._failures) * random.uniform(0.5, 1.0)
        self._failures = min(self._failures + 1, 16)
        logger.info("trying again in {:.1f} seconds", delay)
        self._timers.once("retry", delay)

    def _show_progress(self, done: int, total: int) -> None:
        if self._wakeups.stopping:
            raise KeyboardInterrupt
        systemd.status(f"folding history: {done} of {total} commits")

    def _summary(self) -> str:
        if self._problems:
            return "held: " + "; ".join(self._problems.values())
        return ", ".join(f"{each.name} ({each.path}, {each.branch})" for each in self._application.repositories)

    # --- what changed on disk -------------------------------------------------------------------------------------

    def _invalidate(self, seen: Seen) -> None:
        """Mark exactly the categories stale whose files changed; all that differ, where events may be lost."""
        for backend in self._application.backends.values():
            if seen.rescan:
                backend.mark_changed_categories()
            for category in {found for path in seen.paths for found in backend.categories_of_path(path)}:
                backend.mark_stale(category)

    def _tidy(self) -> None:
        """Let git pack what it wants to; a landing leaves loose objects."""
        for each in self._application.repositories:
            try:
                with Repository(each.path, each.branch, timeout_seconds=3600) as clone:
                    clone.run("-c", "gc.autoDetach=false", "maintenance", "run", "--auto", "--quiet")
            except RefsyncError as problem:
                logger.warning("{}: housekeeping failed: {}", each.name, problem)

    # --- settings -------------------------------------------------------------------------------------------------

    def _reload(self) -> None:
        """Take a changed config file; a bad one leaves everything as it is."""
        systemd.reloading()
        try:
            config = load_config(self._config_file, self._environ)
            self._take(config)
        except ConfigError as problem:
            logger.error("the changed config is refused, the old settings stay in force: {}", problem)
        except RefsyncError as problem:
            logger.error("the changed config cannot be used, the old settings stay in force: {}", problem)
        systemd.ready(self._summary())

    def _take(self, config: Config) -> None:
        current = self._application.config
        for key in restart_keys(current, config):
            logger.warning("{} changed in the config file; it takes effect after a restart", key)
        queue = config.queue.model_copy(update={"url": current.queue.url})
        config = config.model_copy(update={"state_directory": current.state_directory, "queue": queue})
        if config == current:
            return
        before = self._application
        self._application = assemble(config, before.state, before.store, wakes_daemon=False)
        log.configure(config.log.level, config.log.format)
        self._problems.clear()
        self._settle_in()
        logger.info("the changed config is in force: {}", self._summary())

    def _settle_in(self) -> None:
        """Set watches and timers as the settings say."""
        config = self._application.config
        for name, backend in self._application.backends.items():
            backend.register_invalidation_callback(partial(_log_invalidation, name))
        scheduled = config.apply.when == "schedule"
        self._timers.on_schedule("apply", cron_trigger(config.apply.schedule) if scheduled else None)
        self._timers.every("housekeeping", HOUSEKEEPING_SECONDS, self._wakeups.ask_housekeeping)
        self._watch(config)

    def _watch(self, config: Config) -> None:
        self.close()
        state = self._application.state
        interesting = {self._config_file, state.wake_file}
        for each in self._application.repositories:
            interesting |= watched_paths(each)
        self._watched = frozenset(interesting)
        self._watcher = FolderWatcher(
            {path.parent for path in interesting},
            self._hear,
            on_rescan=self._rescan,
            mode=config.watch.mode,
            rescan_seconds=config.watch.rescan_seconds,
        ).start()

    def _hear(self, paths: Iterable[Path]) -> None:
        if heard := self._watched.intersection(paths):
            self._wakeups.changed(heard)

    def _rescan(self, reason: str) -> None:
        logger.debug("looking at everything: {}", reason)
        self._wakeups.ask_rescan()


def _log_invalidation(repository: str, category: MODEL_REFERENCE_CATEGORY) -> None:
    logger.info("{}: {} changed on disk; its cache is stale", repository, category)


def watched_paths(reference: ReferenceRepository) -> set[Path]:
    """What tells of a change in a clone: its category files, the target branch, and git's own state."""
    paths = {reference.path / file for formats in reference.files.values() for file in formats.values()}
    try:
        with Repository(reference.path, reference.branch) as clone:
            paths |= {clone.git_directory / name for name in _GIT_FILES | _GIT_FOLDERS}
            paths |= {clone.common_directory / "packed-refs", clone.common_directory / clone.ref}
    except RefsyncError:
        paths.add(reference.path)  # told when the clone appears
    return paths
