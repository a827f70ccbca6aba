"""``refsync sync``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import counted, note, print_json, progress_bar, shown_text

if TYPE_CHECKING:
    from refsync.application import Application
    from refsync.use_cases.passes import PassReport, RepositoryReport
    from refsync.use_cases.preview import PlannedCommit, PullRequestText

_DIFF_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def sync(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the commits that a pass would make, and change nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Run one pass; beside a running daemon it waits its turn."""
    with context_of(ctx).application() as application:
        clean = _preview(application, json) if dry_run else _pass(application, json)
    if not clean:
        raise typer.Exit(1)


def _pass(application: Application, json: bool) -> bool:
    from refsync.use_cases.passes import run_pass
    from refsync.use_cases.serving import ask_from_within, is_passing

    if ask_from_within(application):
        note("note: a pass started this command, and waits for it; the daemon looks again when that pass has ended")
        return True
    if is_passing(application):
        note("note: another pass is running; waiting for its end")
    with progress_bar("folding history", shown=not json) as progress:
        report = run_pass(application, progress)
    if json:
        print_json(report)
    else:
        _tell(report.root, publishes=application.publishes)
    return report.root.clean


def _tell(report: PassReport, *, publishes: bool) -> None:
    for unserved in report.unserved:
        note(f"refsync: batch {unserved.number} is held: {unserved.reason}")
    told = [_tell_repository(repository) for repository in report.repositories]
    if not any(told) and not report.unserved:
        typer.echo(_idle(report, publishes))


def _tell_repository(repository: RepositoryReport) -> bool:
    """Say what was done and what was not; whether there was anything to say."""
    from refsync.pending_queue.repository_note import tell

    _tell_progress(repository)
    for failure in repository.already_red:
        note(f"refsync: {repository.name}: {failure}")
    for held in repository.held:
        note(f"refsync: {repository.name}: batch {held.number} is held: {held.reason}")
    for gone in repository.mass_deletions:
        note(f"refsync: {repository.name}: {tell(gone)}")
    if repository.forge_problem:
        note(f"refsync: {repository.name}: {repository.forge_problem}; everything else went on")
    if repository.problem:
        note(f"refsync: {repository.name}: {repository.problem}")
    refused = repository.rejected or repository.returned
    done = repository.landed or refused or repository.proposed or repository.recorded
    waits = repository.queued or repository.held or repository.forge_problem or repository.problem
    return bool(done or waits)


def _tell_progress(repository: RepositoryReport) -> None:
    name = repository.name
    for landed in repository.landed:
        what = f"commit {landed.commit[:12]}" if landed.commit else "nothing left to write"
        typer.echo(f"{name}: batch {landed.number} landed: {counted(len(landed.change_ids), 'change')}, {what}")
    for rejected in repository.rejected:
        typer.echo(f"{name}: change {rejected.change_id} rejected: {shown_text(rejected.reason)}")
    for returned in repository.returned:
        typer.echo(f"{name}: change {returned.change_id} waits for review again: {shown_text(returned.reason)}")
    for proposed in repository.proposed:
        where = shown_text(proposed.url or f"branch {proposed.branch}")
        typer.echo(f"{name}: batch {proposed.number} proposed: {where}, commit {proposed.commit[:12]}")
    for queued in repository.queued:
        typer.echo(f"{name}: batch {queued.number} waits: {shown_text(queued.reason)}")
    if repository.recorded:
        typer.echo(f"{name}: {counted(repository.recorded, 'operation')} recorded")


def _idle(report: PassReport, publishes: bool) -> str:
    if not publishes:
        return "nothing new; this is a reader (daemon.role), which leaves what is approved to workers"
    if report.settles_in is not None:
        return f"nothing to do yet; the open batch is sealed in {report.settles_in:.0f} s (or now: refsync batch seal)"
    return "nothing to do"


def _preview(application: Application, json: bool) -> bool:
    from refsync.use_cases.preview import plan_pass

    planned = plan_pass(application)
    if json:
        print_json(planned)
    else:
        for commit in planned.root:
            _show_commit(commit)
        if not planned.root:
            typer.echo("no commit to make")
    return planned.clean


def _show_commit(commit: PlannedCommit) -> None:
    if commit.problem:
        note(f"refsync: {commit.repository}: {commit.problem}")
        return
    typer.echo(f"batch {commit.batch} -> {commit.repository}, {_destination(commit)}")
    if commit.proposal and commit.proposal.endswith("-TOKEN"):
        typer.echo("  TOKEN: a part of its token, which is given when the batch is sealed")
    for refusal in commit.rejected:
        typer.echo(f"  would reject change {refusal.change_id}: {shown_text(refusal.reason)}")
    for refusal in commit.waiting:
        note(f"refsync: change {refusal.change_id} would wait: {refusal.reason}")
    if commit.queued:
        typer.echo(f"  would wait: {shown_text(commit.queued)}")
    if commit.unchecked:
        checks = ", ".join(f"`{shown_text(command)}`" for command in commit.unchecked)
        typer.echo(f"  not checked yet: {checks} will run on it before it is published")
    if commit.message:
        typer.echo(f"\n{commit.message}")
    _show_diff(commit.diff)
    if commit.pull_request:
        _show_request(commit.pull_request)


def _destination(commit: PlannedCommit) -> str:
    if commit.remote is None:
        return f"branch {commit.branch}"
    if commit.proposal is None:
        return f"remote {commit.remote}, branch {commit.branch}"
    how = "pull request" if commit.publish == "pull_request" else "proposal"
    return f"remote {commit.remote}, {how} of {commit.proposal} into {commit.branch}"


def _show_request(request: PullRequestText) -> None:
    typer.echo(f"\npull request: {shown_text(request.title)}\n")
    for line in request.body.splitlines():
        typer.echo(f"  {shown_text(line)}".rstrip())
    typer.echo()


def _show_diff(diff: str) -> None:
    """With colours on a terminal, and as it is elsewhere."""
    if not sys.stdout.isatty():
        typer.echo(diff, nl=False)
        return
    for line in diff.split("\n")[:-1]:
        shown = "\t".join(map(shown_text, line.removesuffix("\r").split("\t")))
        typer.secho(shown, fg=_DIFF_COLOURS.get(line[:1]), bold=line.startswith(("+++", "---")))
