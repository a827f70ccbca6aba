"""What waits, what is held and why, and the command that clears it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from refsync.application import Application
from refsync.categories import CategoryName
from refsync.clone.edits import local_edits
from refsync.clone.preflight import check_ready
from refsync.clone.repository import Repository
from refsync.commands import command
from refsync.errors import DocumentError, RefsyncError
from refsync.file_patterns import is_pattern
from refsync.hosts.verdict import Verdict
from refsync.pending_queue.daemon_note import DaemonNote
from refsync.pending_queue.holds import Hold, retry_command
from refsync.pending_queue.models import (
    Batch,
    BatchState,
    MassDeletion,
    PendingChangeStatus,
    PendingQueueFilter,
    Proposal,
    RepositoryNote,
)
from refsync.reference.kinds import records_at
from refsync.reference.versions import Versions
from refsync.reference.view import at_commit
from refsync.state_directory import DaemonIdentity
from refsync.sync.publisher import Publisher, Standing
from refsync.sync.reference import ReferenceRepository
from refsync.use_cases.answer import Answer
from refsync.use_cases.exposure import Exposed, exposed_clone, exposed_secrets, exposed_state, secret_files
from refsync.use_cases.links.counting import link_counts
from refsync.use_cases.serving import is_served

__all__ = ["BatchStatus", "DaemonStatus", "RepositoryStatus", "Standing", "Status", "TargetStatus", "status"]

_MASS_DELETION_TOLD_SECONDS = 7 * 24 * 3600.0
_UNLANDED = (BatchState.open, BatchState.sealed, BatchState.held, BatchState.proposed)


class BatchStatus(Answer):
    """A batch that has not landed; ``command`` is what clears it, ``None`` where no command does.

    ``reason`` is what it waits for, ``hold`` the same as data where it is held, ``proposal`` its pull request or
    branch, once it was proposed.
    """

    number: int
    title: str
    state: BatchState
    changes: int
    hold: Hold | None
    reason: str | None
    command: str | None
    proposal: Proposal | None


class RepositoryStatus(Answer):
    """One repository now.

    ``links`` counts the links in its records by what their hosts said of them the last time.
    ``is_overdue``: no pass went well for three rescan periods. ``mass_deletion`` is the newest one that others landed,
    for some days.
    """

    name: str
    path: str
    branch: str
    publish: str
    remote: Standing | None
    tip: str | None
    problem: str | None
    local_edits: list[str]
    unreadable_files: dict[str, str]
    links: dict[Verdict, int]
    batches: list[BatchStatus]
    last_landed_commit: str | None
    last_landed_at: float | None
    last_pass_at: float | None
    last_good_pass_at: float | None
    is_overdue: bool
    last_error: str | None
    last_error_at: float | None
    mass_deletion: MassDeletion | None


class TargetStatus(Answer):
    """A target of ``[[notify]]``: what waits for it, what is dead, and why the last try failed, if it did.

    ``command`` has what is dead sent again.
    """

    name: str
    waiting: int
    oldest_at: float | None
    dead: int
    failing_since: float | None
    problem: str | None
    command: str | None


class DaemonStatus(Answer):
    """The daemon that serves the state directory; ``trouble`` is why it does nothing though it lives."""

    pid: int
    user: str
    since: float
    trouble: str | None


class Status(Answer):
    """All of it.

    ``changes`` counts them by status, ``trouble`` is why the state directory takes nothing more, ``exposed`` what
    others than the service may read or write. ``daemons`` are the processes that share the queue, those of the last day
    that are gone included; none where it is not shared.
    """

    state_directory: str
    trouble: str | None
    exposed: list[Exposed]
    daemon: DaemonStatus | None
    daemons: list[DaemonNote]
    changes: dict[str, int]
    open_batch: BatchStatus | None
    repositories: list[RepositoryStatus]
    targets: list[TargetStatus]

    @property
    def clean(self) -> bool:
        """Whether passes go well, and nothing is held."""
        return not self.trouble and not any(
            each.is_overdue or each.problem or any(batch.state is BatchState.held for batch in each.batches)
            for each in self.repositories
        )


@dataclass
class _CloneLook:
    """What is seen in a clone, as far as one gets."""

    remote: Standing | None = None
    tip: str | None = None
    problem: str | None = None
    local_edits: list[str] = field(default_factory=list)
    unreadable_files: dict[str, str] = field(default_factory=dict)
    links: dict[Verdict, int] = field(default_factory=dict)


def status(application: Application) -> Status:
    """Look at the queue and at every clone; neither a remote nor a forge is asked."""
    daemon = application.state.daemon()
    unlanded = application.queue.list_batches(_UNLANDED)
    opened = next((batch for batch in unlanded if batch.state is BatchState.open), None)
    return Status(
        state_directory=str(application.state.path),
        trouble=application.state.trouble(),
        exposed=[*_exposed(application)],
        daemon=DaemonStatus(**asdict(daemon), trouble=_why_idle(application, daemon)) if daemon else None,
        daemons=application.queue.daemons(),
        changes={
            status.value: application.queue.list_changes(
                queue_filter=PendingQueueFilter(statuses={status}), limit=0
            ).total
            for status in PendingChangeStatus
        },
        open_batch=_batch(application, opened, None) if opened else None,
        repositories=[_repository(application, each, unlanded) for each in application.repositories],
        targets=[*_targets(application)],
    )


def _targets(application: Application) -> Iterator[TargetStatus]:
    """The targets that the outbox knows already; without one it is not looked at."""
    names = {each.name for each in application.config.notify}
    if not names:
        return
    with application.store.reading() as queue:
        states = queue.outbox.states()
    for each in states:
        if each.name in names:
            retry = command("refsync", "notify", "retry", each.name) if each.dead else None
            yield TargetStatus(**asdict(each), command=retry)


def _exposed(application: Application) -> Iterator[Exposed]:
    state = application.state.path
    yield from exposed_state(state)
    for each in application.config.repositories:
        yield from exposed_clone(each.path)
    yield from exposed_secrets(secret_files(application.config), state.stat())


def _why_idle(application: Application, daemon: DaemonIdentity) -> str | None:
    """Why a daemon that lives does nothing; ``None`` where it works."""
    if daemon.is_stopped:
        return f"its process is stopped and does nothing; let it go on: {command('kill', '-CONT', str(daemon.pid))}"
    if not application.publishes:  # what is noted of passes is the workers'
        return None
    passes = (note.last_pass_at for note in application.queue.repository_notes().values())
    silent = time.time() - max([daemon.since, *filter(None, passes)])
    if silent <= application.oldest_pass_seconds:
        return None
    return f"it has ended no pass for {silent / 60:.0f} minutes: a long one is under way, or it hangs; see its log"


def _repository(application: Application, reference: ReferenceRepository, batches: Sequence[Batch]) -> RepositoryStatus:
    publisher = application.publishers()[reference.name]
    note = application.queue.repository_notes().get(reference.name, RepositoryNote(name=reference.name))
    if note.mass_deletion and time.time() - note.mass_deletion.seen_at > _MASS_DELETION_TOLD_SECONDS:
        note.mass_deletion = None
    return RepositoryStatus(
        **note.model_dump(),
        **vars(_look_at_clone(application, reference, publisher)),
        path=str(reference.path),
        branch=reference.branch,
        publish=publisher.mode,
        is_overdue=time.time() - (note.last_good_pass_at or 0.0) > application.oldest_pass_seconds,
        batches=[
            _batch(application, batch, reference)
            for batch in batches
            if batch.repository == reference.name or (batch.repository is None and batch.state is BatchState.held)
        ],
    )


def _look_at_clone(application: Application, reference: ReferenceRepository, publisher: Publisher) -> _CloneLook:
    look = _CloneLook(remote=Standing(publisher.remote) if publisher.remote else None)
    documents = {file: name for name, formats in reference.files.items() for file in formats.values()}
    try:
        with Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
            look.tip = clone.tip()
            look.remote = publisher.standing(clone, reference)
            check_ready(clone)
            look.local_edits = local_edits(clone, sorted({*documents, *reference.tables.values()}))
            records, look.unreadable_files = _read_files(clone, look.tip, reference, documents)
            look.links = link_counts(application, reference, records)
    except RefsyncError as problem:
        look.problem = str(problem)
    return look


def _read_files(
    clone: Repository, tip: str, reference: ReferenceRepository, documents: Mapping[str, CategoryName]
) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
    """The records of each file, and why a file has none."""
    view = at_commit(clone, tip, Versions(clone.read_blob, editable=False))
    records: dict[str, Mapping[str, Any]] = {}
    unreadable: dict[str, str] = {}
    for path, category in sorted(documents.items()):
        try:
            if is_pattern(path) or view.content(path):
                records[path] = records_at(view, reference.catalogue[category], path)
        except DocumentError as problem:
            unreadable[path] = str(problem)
    return records, unreadable


def _batch(application: Application, batch: Batch, reference: ReferenceRepository | None) -> BatchStatus:
    queued = _why_queued(application, batch, reference)
    return BatchStatus(
        number=batch.number,
        title=batch.title,
        state=batch.state,
        changes=application.queue.list_changes(queue_filter=PendingQueueFilter(batch_id=batch.number), limit=0).total,
        hold=batch.hold,
        reason=batch.reason or queued,
        command=None if queued else _command(application, batch),
        proposal=batch.proposal,
    )


def _why_queued(application: Application, batch: Batch, reference: ReferenceRepository | None) -> str | None:
    """Why it waits for its place among the open pull requests, if it does."""
    if reference is None or batch.state is not BatchState.sealed:
        return None
    return application.publishers()[reference.name].why_not_yet(application.queue, reference, batch)


def _command(application: Application, batch: Batch) -> str | None:
    if batch.state is BatchState.held:
        retry = retry_command(batch.hold, batch.number)
        return f"{retry}, or: refsync batch abandon {batch.number} --reason TEXT"
    if batch.state is BatchState.open and application.config.apply.when != "approval":
        return "refsync batch seal"
    return None if is_served(application) or batch.state is BatchState.proposed else "refsync sync"
