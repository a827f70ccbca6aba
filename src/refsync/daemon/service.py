"""The long-running shell: wake up, run a pass, go back to sleep."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from loguru import logger

from refsync import log
from refsync.application import Application, assemble, open_application
from refsync.categories import CategoryName
from refsync.clone.repository import Repository
from refsync.clone.upkeep import tidy
from refsync.config import STORE_KEYS, Config, load_config, restart_keys
from refsync.daemon import systemd
from refsync.daemon.fetching import Fetching
from refsync.daemon.listening import listening
from refsync.daemon.notifying import Notifying
from refsync.daemon.probing import started
from refsync.daemon.wakeups import Seen, Timers, Wakeups, signals
from refsync.daemon.watching import Watch, ground_of, places_of
from refsync.errors import RefsyncError, StateDirectoryError, told
from refsync.metrics.measures import Measures, measures_to
from refsync.state_directory import made_for_the_group, prepare
from refsync.sync.reference import PassReport
from refsync.targets import keep_outbox_to_targets, links_of, targets_of

HOUSEKEEPING_SECONDS = 24 * 3600.0
HOUSEKEEPING_LIMIT_SECONDS = 3600.0
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0
PROGRESS_SECONDS = 0.5
LONGEST_COMMIT_SECONDS = 300.0
"""What the fold of one commit takes at the most."""
LONGEST_SLEEP_SECONDS = 300.0
"""After this long a pass looks at the clock again while a batch waits for its time: somebody may have set it."""


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
        WatchError: the folders cannot be watched in the way the config asks for.
    """
    wakeups = Wakeups()
    try:
        with made_for_the_group(), wakeups, signals(wakeups), ExitStack() as stack:
            config_text = _text_of(config_file)  # before it is read, so that an edit in between is noticed
            config = load_config(config_file, environ)
            log.configure(config.log.level, config.log.format)
            measures = measures_to(config.metrics.textfile)
            state = prepare(config.state_directory)
            state.check_writable()
            is_ours = stack.enter_context(state.serve())
            application = stack.enter_context(open_application(config, wakes_daemon=False))
            stack.enter_context(listening(application.store, wakeups.wake))
            timers = stack.enter_context(Timers())
            daemon = Daemon(config_file, config_text, environ, application, wakeups, timers, measures, is_ours)
            stack.callback(daemon.close)
            daemon.run()
    except KeyboardInterrupt:
        if not wakeups.stopping:
            raise


class Daemon:
    """The loop and what it remembers between passes; passes run in the thread that calls :meth:`run`."""

    def __init__(
        self,
        config_file: Path,
        config_text: bytes | None,
        environ: Mapping[str, str],
        application: Application,
        wakeups: Wakeups,
        timers: Timers,
        measures: Measures,
        is_ours: Callable[[], bool] = lambda: True,
    ) -> None:
        self._config_file = config_file
        self._config_text = config_text
        self._environ = environ
        self._application = application
        self._wakeups = wakeups
        self._timers = timers
        self._measures = application.observer = measures
        self._is_ours = is_ours
        self._watchdog = systemd.Watchdog(environ)
        self._attendance = _attended(application)
        self._watch = Watch(ground_of(application, config_file), application, wakeups, measures)
        self._begin_beside()
        self._settle_in()
        self._passes = 0
        self._failures = 0
        self._problems: dict[str, str] = {}
        self._told_progress_at = 0.0

    def run(self) -> None:
        """Work until told to stop.

        Raises:
            StateDirectoryError: the state directory, or the store in it, was deleted or replaced.
        """
        systemd.ready(self._summary())
        logger.info("refsync serves {}: {}", self._application.state.path, self._summary())
        self._wakeups.ask_rescan()  # the world may have changed while nobody looked
        try:
            while not self._wakeups.stopping:
                self._watchdog.feed()
                if not self._wakeups.sleep(self._watchdog.pause):
                    continue
                seen = self._wakeups.wait()
                if not self._wakeups.stopping:
                    self._check_state()
                    self._notifying.wake()  # what others did need not wait for the pass
                    self._attempt(seen)
                    self._notifying.wake()
                    self._measure()
                    self._probing.wake()
                    logger.debug("pass {} is over", self._passes)
        except KeyboardInterrupt:
            if not self._wakeups.stopping:
                raise
            logger.info("the step in hand is given up; the next start takes it up again")
        systemd.stopping()
        logger.info("refsync stops")

    def close(self) -> None:
        """End the threads of watcher, remotes, hosts and targets, and leave the daemons that share the queue."""
        self._watch.stop()
        self._end_beside()
        self._attendance.close()

    def _begin_beside(self) -> None:
        """Begin what goes on in threads beside the passes."""
        application = self._application
        self._fetching = Fetching(application.repositories, application.upstreams, self._wakeups.wake)
        self._probing = started(application)
        self._notifying = _notifying(application, self._measures)

    def _end_beside(self) -> None:
        self._fetching.stop()
        self._probing.stop()
        self._notifying.stop()

    def _check_state(self) -> None:
        """End rather than work on in a store that nobody else sees, beside another daemon perhaps."""
        if not self._is_ours():
            raise StateDirectoryError(
                f"{self._application.state.path}: the state directory was deleted or replaced while the daemon ran, so "
                "it ends; put it back if that was a mistake, and start the daemon again (systemd does so by itself)"
            )
        self._application.store.check_in_place()

    # --- passes ---------------------------------------------------------------------------------------------------

    def _attempt(self, seen: Seen) -> None:
        """Do what a wake-up asks for; whatever fails is tried again, and nothing ends the process."""
        try:
            report = self._answer(seen)
        except (RefsyncError, OSError) as problem:
            self._tell("the pass failed", told(problem))
        except Exception as bug:
            self._tell("the pass failed", f"a bug in refsync: {bug!r}", bug)
        else:
            if report:
                self._digest(report)
            return
        self._retry_later()

    def _answer(self, seen: Seen) -> PassReport | None:
        while seen.reload or self._config_was_edited(seen):
            self._reload()
            seen.reload, seen.rescan = False, True  # it may have been edited again before it was watched anew
        self._follow_clones(seen)
        if seen.rescan:
            self._find_changed_files()
        if seen.housekeeping:
            self._tidy()
        self._passes += 1
        logger.debug("pass {}", self._passes)
        began = time.monotonic()
        report = self._application.run_pass(
            progress=self._show_progress, stopping=self._is_stopping, remotes=self._fetching
        )
        self._measures.passed(time.monotonic() - began)
        return report

    def _measure(self) -> None:
        """Write the figures, now or a little later; nothing else depends on them."""
        what = "the metrics cannot be written"
        try:
            rest = self._measures.write(self._application)
        except (RefsyncError, OSError) as problem:
            self._tell(what, told(problem))
        except Exception as bug:
            self._tell(what, f"a bug in refsync: {bug!r}", bug)
        else:
            self._tell(what, None)
            if rest is not None:
                self._timers.once("metrics", rest, self._wakeups.wake)

    def _is_stopping(self) -> bool:
        """Asked between the steps of a pass, and while it waits for its turn or a check; so it gets on."""
        self._watchdog.feed()
        return self._wakeups.stopping

    def _digest(self, report: PassReport) -> None:
        self._tell("the pass failed", None)
        for repository in report.repositories:
            self._tell(f"{repository.name}: held", repository.problem)
            self._tell(f"{repository.name}: the forge", repository.forge_problem)
        if report.may_pass:
            self._retry_later()
        else:
            self._failures = 0
            self._timers.cancel("retry")
        if report.settles_in is not None:
            self._timers.once("settle", min(report.settles_in, LONGEST_SLEEP_SECONDS), self._wakeups.wake)
        if any(repository.is_elsewhere for repository in report.repositories):  # unless whoever has it dies
            self._timers.once("lease", self._application.config.daemon.lease_seconds, self._wakeups.wake)
        systemd.status(self._summary())

    def _tell(self, what: str, problem: str | None, bug: Exception | None = None) -> None:
        """Log a problem when it appears and when it is gone, not at every pass in between."""
        before = self._problems.pop(what, None)
        if problem:
            self._problems[what] = problem
            if problem != before:
                logger.opt(exception=bug).error("{}: {}", what, problem)
        elif before:
            logger.info("{}: no longer", what)

    def _retry_later(self) -> None:
        delay = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2**self._failures) * random.uniform(0.5, 1.0)
        self._failures = min(self._failures + 1, 16)
        logger.debug("trying again in {:.1f} seconds", delay)
        self._timers.once("retry", delay, self._wakeups.ask_rescan)
        systemd.status(self._summary())

    def _show_progress(self, done: int, total: int) -> None:
        if self._wakeups.stopping:  # a fold that is given up is done again, without harm
            raise KeyboardInterrupt
        if time.monotonic() - self._told_progress_at >= PROGRESS_SECONDS:
            self._told_progress_at = time.monotonic()
            self._watchdog.feed()
            systemd.extend_timeout(LONGEST_COMMIT_SECONDS)
            systemd.status(f"folding history: {done} of {total} commits")

    def _summary(self) -> str:
        if self._problems:
            return "; ".join(f"{what}: {problem}" for what, problem in self._problems.items())
        return ", ".join(f"{each.name} ({each.path}, {each.branch})" for each in self._application.repositories)

    # --- what changed on disk -------------------------------------------------------------------------------------

    def _follow_clones(self, seen: Seen) -> None:
        """Watch anew where a clone has appeared, gone or been replaced."""
        ground = ground_of(self._application, self._config_file)
        if ground != self._watch.ground:
            self._change_watch(Watch(ground, self._application, self._wakeups, self._measures))
            seen.rescan = True  # for what happened before it was watched

    def _change_watch(self, watch: Watch) -> None:
        before, self._watch = self._watch, watch
        before.stop()

    def _find_changed_files(self) -> None:
        """Mark the categories stale whose files differ from what was seen: their events may have been lost."""
        for backend in self._application.backends.values():
            backend.mark_changed_categories()

    def _tidy(self) -> None:
        """Let go of old news, and let git pack what it wants to; a landing leaves loose objects."""
        self._keep_outbox()
        for each in self._application.repositories:
            self._watchdog.allow(2 * HOUSEKEEPING_LIMIT_SECONDS)
            try:
                with Repository(each.path, each.branch, timeout_seconds=HOUSEKEEPING_LIMIT_SECONDS) as clone:
                    tidy(clone)
            except (RefsyncError, OSError) as problem:
                logger.warning("{}: housekeeping failed: {}", each.name, told(problem))
        self._allow_steps()

    # --- settings -------------------------------------------------------------------------------------------------

    def _config_was_edited(self, seen: Seen) -> bool:
        return (
            bool(seen.rescan or places_of(self._config_file) & seen.paths)
            and _text_of(self._config_file) != self._config_text
        )

    def _reload(self) -> None:
        """Take a changed config file; a bad one leaves everything as it is."""
        systemd.reloading()
        self._config_text = _text_of(self._config_file)
        try:
            self._take(load_config(self._config_file, self._environ))
            self._measures.reloaded(good=True)
        except (RefsyncError, OSError) as problem:
            self._measures.reloaded(good=False)
            logger.error("the changed config is refused, the old settings stay in force: {}", told(problem))
        systemd.ready(self._summary())

    def _take(self, config: Config) -> None:
        before = self._application
        for key in restart_keys(before.config, config):
            logger.warning("{} changed in the config file; it takes effect after a restart", key)
        queue = config.queue.model_copy(update={key: getattr(before.config.queue, key) for key in STORE_KEYS})
        config = config.model_copy(update={"state_directory": before.config.state_directory, "queue": queue})
        if config == before.config:
            logger.info("the config was read again: nothing to change")
            return
        measures = self._measures
        if config.metrics != before.config.metrics:
            measures = measures_to(config.metrics.textfile)
        application = assemble(config, before.state, before.store, wakes_daemon=False)
        application.observer = measures
        attendance, self._attendance = self._attendance, _attended(application)
        attendance.close()
        self._change_watch(Watch(ground_of(application, self._config_file), application, self._wakeups, measures))
        self._measures = measures
        self._application = application
        self._end_beside()
        self._begin_beside()
        self._problems.clear()
        self._settle_in()
        log.configure(config.log.level, config.log.format)
        logger.info("the changed config is in force: {}", self._summary())

    def _allow_steps(self) -> None:
        """Let the watchdog wait for a git command that takes all the time it may."""
        self._watchdog.allow(2 * self._application.config.git.timeout_seconds)

    def _settle_in(self) -> None:
        """Set listeners, timers, the outbox and the watchdog as the settings say."""
        self._allow_steps()
        self._keep_outbox()
        for name, backend in self._application.backends.items():
            backend.register_invalidation_callback(partial(_log_invalidation, name))
        apply = self._application.apply_settings
        if apply.when == "schedule":
            self._timers.at("schedule", apply.next_time, self._wakeups.wake)
        else:
            self._timers.cancel("schedule")
        self._timers.every("housekeeping", HOUSEKEEPING_SECONDS, self._wakeups.ask_housekeeping)

    def _keep_outbox(self) -> None:
        try:
            keep_outbox_to_targets(self._application.config, self._application.store)
        except RefsyncError as problem:  # the next housekeeping does it
            logger.warning("the outbox cannot be looked through: {}", told(problem))


def _notifying(application: Application, measures: Measures) -> Notifying:
    """The threads that send news, one for each target; none in a reader, which need not be told the secrets."""
    targets = targets_of(application.config) if application.publishes else ()
    return Notifying(targets, application.store, links_of(application.config), measures.notified)


def _attended(application: Application) -> ExitStack:
    """Be one of the daemons of the queue, until the stack is closed."""
    stack = ExitStack()
    stack.enter_context(application.leasing.attend())
    return stack


def _text_of(config_file: Path) -> bytes | None:
    try:
        return config_file.read_bytes()
    except OSError:  # reading it as a config says why
        return None


def _log_invalidation(repository: str, category: CategoryName) -> None:
    logger.info("{}: {} changed on disk; its cache is stale", repository, category)
