"""``refsync status``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import counted, print_json, shown_age, shown_text, shown_time
from refsync.cli.proposals import proposal_lines
from refsync.commands import command

if TYPE_CHECKING:
    from refsync.pending_queue.daemon_note import DaemonNote
    from refsync.use_cases.status import BatchStatus, RepositoryStatus, Standing, Status, TargetStatus

_BATCHES_SHOWN = 20
_MODES = {"push": "by direct push", "branch": "by proposal branches", "pull_request": "by pull requests"}


def status(
    ctx: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 when no pass went well for a time, or something is held.")
    ] = False,
    json: Json = False,
) -> None:
    """What waits, what is held and why, and the command that clears it."""
    from refsync.use_cases.questions.state import STATUS

    with context_of(ctx).desk() as desk:
        answer = desk.ask(STATUS)
    print_json(answer) if json else _show(answer)
    if check and not answer.clean:
        raise typer.Exit(1)


def _show(answer: Status) -> None:
    typer.echo(f"state     {answer.state_directory}")
    if answer.trouble:
        typer.echo(f"          {shown_text(answer.trouble)}")
    for exposed in answer.exposed:
        typer.echo(f"exposed   {shown_text(f'{exposed.path}: {exposed.what}')}")
        typer.echo(f"          {exposed.mend}")
    typer.echo(f"daemon    {_daemon_line(answer)}")
    if answer.daemon and answer.daemon.trouble:
        typer.echo(f"          {shown_text(answer.daemon.trouble)}")
    for each in answer.daemons:
        typer.echo(f"          {shown_text(_shared_line(each))}")
    waiting = ", ".join(f"{count} {status}" for status, count in answer.changes.items() if count)
    typer.echo(f"changes   {waiting or 'none'}")
    if answer.changes["pending"]:
        typer.echo("          refsync queue list --status pending")
        typer.echo("          refsync queue approve ID... --title TEXT")
    if answer.open_batch:
        _show_batch(answer.open_batch, indent="")
    for target in answer.targets:
        _show_target(target)
    for repository in answer.repositories:
        _show_repository(repository)


def _shared_line(daemon: DaemonNote) -> str:
    """One of those that share the queue."""
    from refsync.pending_queue.daemon_note import tell

    if not daemon.is_alive:
        return f"gone: {daemon.role}, {tell(daemon)}, last heard {shown_age(daemon.heard_at)}"
    holds = f", works on {', '.join(daemon.holds)}" if daemon.holds else ""
    return f"{daemon.role}, {tell(daemon)}, heard {shown_age(daemon.heard_at)}{holds}"


def _show_target(target: TargetStatus) -> None:
    """What waits for a target that fails, and what is dead; nothing of one that is well."""
    if target.problem:
        waiting = f"{counted(target.waiting, 'message')} to {target.name} waiting, failing since"
        typer.echo(f"notify    {waiting} {shown_time(target.failing_since)}: {shown_text(target.problem)}")
    if target.dead:
        typer.echo(f"notify    {counted(target.dead, 'message')} to {target.name} could not be delivered")
        typer.echo(f"          {target.command}")
        typer.echo(f"          {command('refsync', 'notify', 'discard', target.name)}")


def _daemon_line(answer: Status) -> str:
    if answer.daemon is None and answer.daemons:
        return "none serves this state directory; those that share the queue:"
    if answer.daemon is None:
        return "none serves this store: refsync run is one, refsync sync runs a pass"
    daemon = answer.daemon
    return f"process {daemon.pid} of {daemon.user}, since {shown_time(daemon.since)}"


def _show_repository(repository: RepositoryStatus) -> None:
    from refsync.pending_queue.repository_note import tell

    tip = repository.tip[:12] if repository.tip else "no commit"
    where = shown_text(f"{repository.name}  {repository.path}  {repository.branch} at {tip}")
    typer.echo(f"\n{where}")
    if repository.remote:
        typer.echo(f"  remote   {_remote_line(repository.publish, repository.remote)}")
    if repository.problem:
        typer.echo(f"  held     {shown_text(repository.problem)}")
    for path in repository.local_edits:
        typer.echo(f"  edited   {path} has local edits; its changes wait until they are committed or undone")
    for path, problem in repository.unreadable_files.items():
        typer.echo(f"  broken   {path}: {problem}; its changes wait until it is mended")
    if repository.links:
        from refsync.cli.links import counts_told

        typer.echo(f"  links    {counts_told(repository.links)}: refsync probe")
    for batch in repository.batches[:_BATCHES_SHOWN]:
        _show_batch(batch, indent="  ")
    if (more := len(repository.batches) - _BATCHES_SHOWN) > 0:
        typer.echo(f"  and {more} more that have not landed: refsync batch list --all")
    landed = repository.last_landed_commit
    typer.echo(f"  landed   {f'{landed[:12]} at {shown_time(repository.last_landed_at)}' if landed else 'nothing yet'}")
    if gone := repository.mass_deletion:
        typer.echo(f"  deleted  {tell(gone)}, {shown_age(gone.seen_at)}")
        what = command("refsync", "diff", f"{gone.commit}^", gone.commit, "--directory", repository.path)
        typer.echo(f"           {what}")
    if repository.last_error and repository.last_error != repository.problem:
        typer.echo(f"  error    {shown_text(repository.last_error)} ({_shown_error_age(repository)})")
    typer.echo(f"  pass     {_shown_passes(repository)}")


def _shown_passes(repository: RepositoryStatus) -> str:
    """When the last one was, and the last good one where that is another."""
    last, good = repository.last_pass_at, repository.last_good_pass_at
    told = shown_age(last) if last == good else f"{shown_age(last)}, the last good one {shown_age(good)}"
    return f"{told} (overdue)" if repository.is_overdue else told


def _shown_error_age(repository: RepositoryStatus) -> str:
    """How old the last error is, and whether a later pass was without it."""
    is_over = (repository.last_pass_at or 0.0) > (repository.last_error_at or 0.0)
    return shown_age(repository.last_error_at) + (", gone since" if is_over else "")


def _remote_line(mode: str, remote: Standing) -> str:
    return f"{remote.name}, {_MODES[mode]}; {_distance(remote)}"


def _distance(remote: Standing) -> str:
    if remote.behind is None:
        return "not fetched yet"
    if not remote.behind and not remote.ahead:
        return "the clone is in step with what was fetched last"
    lacks = f"is {counted(remote.behind, 'commit')} behind what was fetched last" if remote.behind else ""
    has = f"has {counted(remote.ahead, 'commit')} that {remote.name} lacks" if remote.ahead else ""
    return f"the clone {' and '.join(filter(None, (lacks, has)))}"


def _show_batch(batch: BatchStatus, *, indent: str) -> None:
    typer.echo(
        f"{indent}batch {batch.number}  {batch.state}, {counted(batch.changes, 'change')}: {shown_text(batch.title)}"
    )
    if batch.proposal:
        for line in proposal_lines(batch.proposal, under_review=batch.state == "proposed"):
            typer.echo(f"{indent}         {line}")
    from refsync.pending_queue.holds import tell

    # The command has a line of its own.
    if reason := tell(batch.hold) if batch.hold else batch.reason:
        typer.echo(f"{indent}         {shown_text(reason)}")
    if batch.command:
        typer.echo(f"{indent}         {batch.command}")
