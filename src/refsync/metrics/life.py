"""What has happened since the daemon began: counters and histograms."""

from __future__ import annotations

from importlib.metadata import version
from time import time
from types import NoneType
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from refsync.config import Config
from refsync.errors import BranchMovedError, CredentialError, RefsyncError, RemoteRefusedError
from refsync.pending_queue.models import PendingChangeStatus

if TYPE_CHECKING:
    from refsync.pending_queue.store.endings import Ending

_PASS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LANDING_SECONDS = (1, 5, 15, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 4 * _HOUR, _DAY, 3 * _DAY, 7 * _DAY, 30 * _DAY)

_PUSHED: tuple[tuple[type, str], ...] = (
    (NoneType, "arrived"),
    (BranchMovedError, "lost_race"),
    (RemoteRefusedError, "refused"),
    (CredentialError, "refused"),
    (RefsyncError, "unknown"),
)


class Life:
    """The figures of one process; the config that it began with counts as its first reload."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        Info("refsync_build", "The refsync that runs.", registry=registry).info({"version": version("refsync")})
        self._reload_good = Gauge(
            "refsync_config_last_reload_successful", "Whether the config was good the last time.", registry=registry
        )
        self._reloaded_at = Gauge(
            "refsync_config_last_reload_success_timestamp_seconds",
            "When a good config was read last.",
            registry=registry,
        )
        self._passes = Histogram(
            "refsync_pass_duration_seconds", "How long passes take.", registry=registry, buckets=_PASS_SECONDS
        )
        self._heard = Counter(
            "refsync_file_events_total", "Changed files that the daemon was told of.", registry=registry
        )
        self._overflows = Counter(
            "refsync_watch_overflows_total", "How often the kernel threw file events away.", registry=registry
        )
        self._finished = Counter(
            "refsync_changes_finished_total",
            "Changes that were applied or rejected.",
            ("operation", "outcome"),
            registry=registry,
        )
        self._landings = Histogram(
            "refsync_approval_to_landed_seconds",
            "How long it takes from approval to landing.",
            ("publish",),
            registry=registry,
            buckets=_LANDING_SECONDS,
        )
        self._pushes = Counter(
            "refsync_push_attempts_total", "Pushes to the remote.", ("repository", "result"), registry=registry
        )
        self._requests = Counter(
            "refsync_forge_requests_total",
            "Requests to the forge, by the class of the answer's status.",
            ("repository", "result"),
            registry=registry,
        )
        self._requests_left = Gauge(
            "refsync_forge_rate_limit_remaining",
            "Requests that the forge takes before its limit is reset.",
            ("repository",),
            registry=registry,
        )
        self._notifications = Counter(
            "refsync_notifications_total",
            "Messages to targets: tries that were taken or failed, and what is given up.",
            ("target", "result"),
            registry=registry,
        )
        self.reloaded(good=True)

    def reloaded(self, *, good: bool) -> None:
        """See ``Measures``."""
        self._reload_good.set(good)
        if good:
            self._reloaded_at.set(time())

    def passed(self, seconds: float) -> None:
        """See ``Measures``."""
        self._passes.observe(seconds)

    def heard(self, events: int) -> None:
        """See ``Measures``."""
        self._heard.inc(events)

    def overflowed(self) -> None:
        """See ``Measures``."""
        self._overflows.inc()

    def pushed(self, repository: str, failure: RefsyncError | None) -> None:
        """See ``Observer``."""
        result = next(result for kind, result in _PUSHED if isinstance(failure, kind))
        self._pushes.labels(repository, result).inc()

    def forge_asked(self, repository: str, status: int | None, left: float | None) -> None:
        """See ``Observer``."""
        self._requests.labels(repository, f"{status // 100}xx" if status else "unanswered").inc()
        if left is not None:
            self._requests_left.labels(repository).set(left)

    def notified(self, target: str, result: str) -> None:
        """See ``Observer``."""
        self._notifications.labels(target, result).inc()

    def ended(self, ending: Ending, config: Config) -> None:
        """A change was applied or rejected, by whomever."""
        self._finished.labels(ending.operation, ending.status).inc()
        publish = (each.publish for each in config.repositories if ending.category in map(str, each.files))
        way = next(publish, None)  # none, where the config no longer has the category
        if way and ending.status is PendingChangeStatus.APPLIED and ending.approved_at is not None:
            self._landings.labels(way).observe(max(0, ending.at - ending.approved_at))
