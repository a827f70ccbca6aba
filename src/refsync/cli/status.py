"""``refsync status``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import counted, print_json, shown_age, shown_text, shown_time
from refsync.cli.proposals import proposal_lines

if TYPE_CHECKING:
    from refsync.application import Application
    from refsync.clone.repository import Repository
    from refsync.pending_queue.models import Batch, Proposal
    from refsync.sync.reference import ReferenceRepository


_MODES = {"push": "by direct push", "branch": "by proposal branches", "pull_request": "by pull requests"}


@dataclass
class BatchStatus:
    """A batch that has not landed; ``command`` is what clears it, ``None`` where no command does.

    ``reason`` is what it waits for, ``proposal`` its pull request or branch, once it was proposed.
    """

    number: int
    title: str
    state: str
    changes: int
    reason: str | None
    command: str | None
    proposal: Proposal | None


@dataclass
class RemoteStatus:
    """The remote of a clone; how many commits the clone lacks of what was fetched last, and has beyond it."""

    name: str
    behind: int | None = None
    ahead: int | None = None


@dataclass
class RepositoryStatus:
    """One repository now; times in Unix seconds, ``None`` where there is none."""

    name: str
    path: str
    branch: str
    publish: str = "local"
    remote: RemoteStatus | None = None
    tip: str | None = None
    problem: str | None = None
    local_edits: list[str] = field(default_factory=list)
    unreadable_files: dict[str, str] = field(default_factory=dict)
    batches: list[BatchStatus] = field(default_factory=list)
    last_landed_commit: str | None = None
    last_landed_at: float | None = None
    last_pass_at: float | None = None
    last_error: str | None = None
    last_error_at: float | None = None


@dataclass
class StatusDocument:
    """What ``refsync status --json`` prints; ``changes`` counts them by status."""

    state_directory: str
    daemon: dict[str, int | str | float] | None
    changes: dict[str, int]
    open_batch: BatchStatus | None
    repositories: list[RepositoryStatus]


def status(ctx: typer.Context, json: Json = False) -> None:
    """What waits, what is held and why, and the command that clears it."""
    with context_of(ctx).application() as application:
        document = _look(application)
    if json:
        print_json(asdict(document))
    else:
        _show(document)


def _look(application: Application) -> StatusDocument:
    from refsync.pending_queue.models import BatchState, PendingChangeStatus, PendingQueueFilter

    daemon = application.state.daemon()
    queue = application.queue
    unlanded = queue.list_batches((BatchState.open, BatchState.sealed, BatchState.held, BatchState.proposed))
    openly = [batch for batch in unlanded if batch.state == BatchState.open]
    return StatusDocument(
        state_directory=str(application.state.path),
        daemon=asdict(daemon) if daemon else None,
        changes={
            status.value: queue.list_changes(queue_filter=PendingQueueFilter(statuses={status}), limit=0).total
            for status in PendingChangeStatus
        },
        open_batch=_batch(application, openly[0], None) if openly else None,
        repositories=[_repository(application, each, unlanded) for each in application.repositories],
    )


def _repository(application: Application, reference: ReferenceRepository, batches: list[Batch]) -> RepositoryStatus:
    found = RepositoryStatus(reference.name, str(reference.path), reference.branch)
    if reference.publish:
        found.publish, found.remote = reference.publish.mode, RemoteStatus(reference.publish.remote.name)
    _look_at_clone(reference, found)
    found.batches = [
        _batch(application, batch, reference)
        for batch in batches
        if batch.repository == reference.name or (batch.repository is None and batch.state == "held")
    ]
    if note := application.queue.repository_notes().get(reference.name):
        found.last_landed_commit, found.last_landed_at = note.last_landed_commit, note.last_landed_at
        found.last_pass_at = note.last_pass_at
        found.last_error, found.last_error_at = note.last_error, note.last_error_at
    return found


def _look_at_clone(reference: ReferenceRepository, found: RepositoryStatus) -> None:
    from refsync.categories import is_table
    from refsync.clone.repository import Repository
    from refsync.clone.worktree import local_edits
    from refsync.documents.category_document import read_category
    from refsync.documents.json_document import check_editable
    from refsync.errors import DocumentError, RefsyncError
    from refsync.sync.apply import content_at

    documents = {file for formats in reference.files.values() for file in formats.values()}
    paths = sorted(documents)
    try:
        with Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
            found.tip = clone.tip()
            if found.remote:
                _compare_with_remote(clone, reference, found.tip, found.remote)
            clone.preflight()
            found.local_edits = local_edits(clone, sorted(documents | {*reference.tables.values()}))
            for path in paths:
                try:
                    if content := content_at(clone, found.tip, path):
                        read_category(path, content) if is_table(path) else check_editable(content)
                except DocumentError as problem:
                    found.unreadable_files[path] = str(problem)
    except RefsyncError as problem:
        found.problem = str(problem)


def _compare_with_remote(clone: Repository, reference: ReferenceRepository, tip: str, remote: RemoteStatus) -> None:
    """With what git remembers of it: the remote itself is not asked."""
    from refsync.sync.upstream import tracking_ref

    assert reference.publish is not None
    if there := clone.commit_of(tracking_ref(reference.publish, reference.branch)):
        counts = clone.run("rev-list", "--left-right", "--count", f"{tip}...{there}", "--").output.split()
        remote.ahead, remote.behind = map(int, counts)


def _batch(application: Application, batch: Batch, reference: ReferenceRepository | None) -> BatchStatus:
    queued = _why_queued(application, batch, reference)
    return BatchStatus(
        number=batch.number,
        title=batch.title,
        state=batch.state.value,
        changes=len(application.queue.changes_of_batch(batch.number)),
        reason=batch.reason or queued,
        command=None if queued else _command(application, batch),
        proposal=batch.proposal,
    )


def _why_queued(application: Application, batch: Batch, reference: ReferenceRepository | None) -> str | None:
    """Why it waits for its place among the open pull requests, if it does."""
    if reference is None or batch.state != "sealed":
        return None
    from refsync.sync.proposals.propose import why_not_proposed_yet

    return why_not_proposed_yet(application.queue, reference, batch)


def _command(application: Application, batch: Batch) -> str | None:
    if batch.state == "held":
        return f"refsync batch retry {batch.number}, or: refsync batch abandon {batch.number} --reason TEXT"
    if batch.state == "open" and application.config.apply.when != "approval":
        return "refsync batch seal"
    return None if application.state.daemon() or batch.state == "proposed" else "refsync sync"


def _show(document: StatusDocument) -> None:
    typer.echo(f"state     {document.state_directory}")
    typer.echo(f"daemon    {_daemon_line(document)}")
    waiting = ", ".join(f"{count} {status}" for status, count in document.changes.items() if count)
    typer.echo(f"changes   {waiting or 'none'}")
    if document.changes["pending"]:
        typer.echo("          refsync queue list --status pending")
        typer.echo("          refsync queue approve ID... --title TEXT")
    if document.open_batch:
        _show_batch(document.open_batch, indent="")
    for repository in document.repositories:
        _show_repository(repository)


def _daemon_line(document: StatusDocument) -> str:
    if document.daemon is None:
        return "none serves this store: refsync run is one, refsync sync runs a pass"
    since = float(document.daemon["since"])
    return f"process {document.daemon['pid']} of {document.daemon['user']}, since {shown_time(since)}"


def _show_repository(repository: RepositoryStatus) -> None:
    tip = repository.tip[:12] if repository.tip else "no commit"
    typer.echo(f"\n{repository.name}  {repository.path}  {repository.branch} at {tip}")
    if repository.remote:
        typer.echo(f"  remote   {_remote_line(repository.publish, repository.remote)}")
    if repository.problem:
        typer.echo(f"  held     {shown_text(repository.problem)}")
    for path in repository.local_edits:
        typer.echo(f"  edited   {path} has local edits; its changes wait until they are committed or undone")
    for path, problem in repository.unreadable_files.items():
        typer.echo(f"  broken   {path}: {problem}; its changes wait until it is mended")
    for batch in repository.batches:
        _show_batch(batch, indent="  ")
    landed = repository.last_landed_commit
    typer.echo(f"  landed   {f'{landed[:12]} at {shown_time(repository.last_landed_at)}' if landed else 'nothing yet'}")
    if repository.last_error and repository.last_error != repository.problem:
        typer.echo(f"  error    {shown_text(repository.last_error)} ({_shown_error_age(repository)})")
    typer.echo(f"  pass     {shown_age(repository.last_pass_at)}")


def _shown_error_age(repository: RepositoryStatus) -> str:
    """How old the last error is, and whether a later pass was without it."""
    is_over = (repository.last_pass_at or 0.0) > (repository.last_error_at or 0.0)
    return shown_age(repository.last_error_at) + (", gone since" if is_over else "")


def _remote_line(mode: str, remote: RemoteStatus) -> str:
    return f"{remote.name}, {_MODES[mode]}; {_distance(remote)}"


def _distance(remote: RemoteStatus) -> str:
    if remote.behind is None:
        return "not fetched yet"
    if not remote.behind and not remote.ahead:
        return "the clone is in step with what was fetched last"
    lacks = f"is {counted(remote.behind, 'commit')} behind what was fetched last" if remote.behind else ""
    has = f"has {counted(remote.ahead, 'commit')} that {remote.name} lacks" if remote.ahead else ""
    return f"the clone {' and '.join(filter(None, (lacks, has)))}"


def _without_command(batch: BatchStatus) -> str:
    """The reason; the log needs the command at its end, which has a line of its own here."""
    retry = f"refsync batch retry {batch.number}"
    return (batch.reason or "").removesuffix(f", or: {retry}").removesuffix(f"; then: {retry}")


def _show_batch(batch: BatchStatus, *, indent: str) -> None:
    typer.echo(
        f"{indent}batch {batch.number}  {batch.state}, {counted(batch.changes, 'change')}: {shown_text(batch.title)}"
    )
    if batch.proposal:
        for line in proposal_lines(batch.proposal, under_review=batch.state == "proposed"):
            typer.echo(f"{indent}         {line}")
    if batch.reason:
        typer.echo(f"{indent}         {shown_text(_without_command(batch))}")
    if batch.command:
        typer.echo(f"{indent}         {batch.command}")
