"""How things are now: what ``status`` and the counters say, as figures; what nobody knows has none."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from refsync.application import Application
from refsync.metadata.models import CategoryMetadata
from refsync.pending_queue.lifecycle import OPEN_STATES
from refsync.pending_queue.models import Batch, BatchState, PendingChangeStatus, PendingQueueFilter, ProposalState
from refsync.use_cases.status import RepositoryStatus, status


def standing(application: Application) -> CollectorRegistry:
    """Look at queue, clones and counters; neither a remote nor a forge is asked.

    Raises:
        RefsyncError: the store cannot be read.
    """
    registry = CollectorRegistry()
    seen = status(application)
    _tell_queue(registry, seen.changes, _oldest_pending(application))
    _tell_batches(registry, application.queue.list_batches(OPEN_STATES))
    _tell_repositories(registry, seen.repositories)
    _tell_models(registry, _counted(application))
    return registry


def _oldest_pending(application: Application) -> int | None:
    waiting = PendingQueueFilter(statuses={PendingChangeStatus.PENDING})
    first = application.queue.list_changes(queue_filter=waiting, limit=1).items
    return first[0].requested_at if first else None


def _counted(application: Application) -> Iterator[CategoryMetadata]:
    """The counters of each category, in the format that changes of it are written in."""
    for reference in application.repositories:
        for category in reference.files:
            if counted := reference.metadata.stored_metadata(reference.written_format(category), category):
                yield counted


def _tell_queue(registry: CollectorRegistry, changes: dict[str, int], oldest_pending: int | None) -> None:
    by_status = Gauge("refsync_queue_changes", "Changes by their status.", ("status",), registry=registry)
    for name, count in changes.items():
        by_status.labels(name).set(count)
    if oldest_pending is not None:
        told = "When the change was submitted that waits longest for review."
        Gauge("refsync_queue_oldest_pending_timestamp_seconds", told, registry=registry).set(oldest_pending)


def _tell_batches(registry: CollectorRegistry, batches: Sequence[Batch]) -> None:
    by_state = Gauge("refsync_batches", "Batches that have not ended.", ("state",), registry=registry)
    count = Count(batch.state for batch in batches)
    for state in sorted(OPEN_STATES):
        by_state.labels(state.value).set(count[state])
    held = Gauge("refsync_held_batches", "Batches that wait for something.", ("repository", "kind"), registry=registry)
    for batch in batches:
        if batch.state is BatchState.held and batch.hold:
            held.labels(batch.repository or "", batch.hold.kind.value).inc()


def _tell_repositories(registry: CollectorRegistry, repositories: Iterable[RepositoryStatus]) -> None:
    def gauge(name: str, told: str) -> Gauge:
        return Gauge(f"refsync_{name}", told, ("repository",), registry=registry)

    last_pass = gauge("last_pass_timestamp_seconds", "When a pass looked at the repository last.")
    last_good = gauge("last_good_pass_timestamp_seconds", "When a pass over it went well last.")
    behind = gauge("remote_behind_commits", "Commits that the clone lacks of what was fetched last.")
    unreadable = gauge("unreadable_files", "Category files that cannot be read.")
    links = Gauge(
        "refsync_links", "Links in records by what their hosts said.", ("repository", "verdict"), registry=registry
    )
    requests = gauge("pull_requests_open", "Pull requests of refsync's that wait for people.")
    oldest = gauge("pull_request_oldest_timestamp_seconds", "When the oldest of them was opened.")
    for each in repositories:
        if each.last_pass_at is not None:
            last_pass.labels(each.name).set(each.last_pass_at)
        if each.last_good_pass_at is not None:
            last_good.labels(each.name).set(each.last_good_pass_at)
        if each.remote and each.remote.behind is not None:
            behind.labels(each.name).set(each.remote.behind)
        unreadable.labels(each.name).set(len(each.unreadable_files))
        for verdict, count in each.links.items():
            links.labels(each.name, verdict.value).set(count)
        if each.publish == "pull_request":
            opened = _pull_requests_opened_at(each)
            requests.labels(each.name).set(len(opened))
            if opened:
                oldest.labels(each.name).set(min(opened))


def _pull_requests_opened_at(repository: RepositoryStatus) -> list[float]:
    proposals = (batch.proposal for batch in repository.batches if batch.proposal)
    return [each.opened_at for each in proposals if each.number is not None and each.state is ProposalState.open]


def _tell_models(registry: CollectorRegistry, counted: Iterable[CategoryMetadata]) -> None:
    models = Gauge("refsync_models", "Models in the category.", ("category",), registry=registry)
    operations = Counter(
        "refsync_metadata_operations_total",
        "What has happened to models, in the whole history.",
        ("category", "operation"),
        registry=registry,
    )
    for each in counted:
        models.labels(each.category).set(each.total_models)
        for operation, count in (
            ("create", each.total_creates),
            ("update", each.total_updates),
            ("delete", each.total_deletes),
        ):
            operations.labels(each.category, operation).inc(count)
