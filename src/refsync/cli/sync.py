"""``refsync sync``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import counted, note, print_json, progress_bar, shown_text

if TYPE_CHECKING:
    from refsync.application import Application
    from refsync.sync.preview import PlannedCommit
    from refsync.sync.reference import PassReport

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
    _say_if_not_our_turn(application)
    with progress_bar("folding history", shown=not json) as progress:
        report = application.run_pass(progress=progress)
    assert report is not None
    if json:
        print_json(asdict(report))
    else:
        _tell(report)
    return report.clean


def _say_if_not_our_turn(application: Application) -> None:
    from filelock import Timeout

    lock = application.state.pass_lock()
    try:
        lock.acquire(timeout=0)
    except Timeout:
        note("note: another pass is running; waiting for its end")
    else:
        lock.release()


def _tell(report: PassReport) -> None:
    nothing = not report.unserved
    for unserved in report.unserved:
        note(f"refsync: batch {unserved.number} is held: {unserved.reason}")
    for repository in report.repositories:
        for landed in repository.landed:
            what = f"commit {landed.commit[:12]}" if landed.commit else "nothing left to write"
            typer.echo(
                f"{repository.name}: batch {landed.number} landed: {counted(len(landed.change_ids), 'change')}, {what}"
            )
        for rejected in repository.rejected:
            typer.echo(f"{repository.name}: change {rejected.change_id} rejected: {shown_text(rejected.reason)}")
        if repository.recorded:
            typer.echo(f"{repository.name}: {counted(repository.recorded, 'operation')} recorded")
        for failure in repository.already_red:
            note(f"refsync: {repository.name}: {failure}")
        for held in repository.held:
            note(f"refsync: {repository.name}: batch {held.number} is held: {held.reason}")
        if repository.problem:
            note(f"refsync: {repository.name}: {repository.problem}")
        nothing &= not (
            repository.landed or repository.rejected or repository.recorded or repository.held or repository.problem
        )
    if nothing:
        typer.echo(_idle(report))


def _idle(report: PassReport) -> str:
    if report.settles_in is not None:
        return f"nothing to do yet; the open batch is sealed in {report.settles_in:.0f} s (or now: refsync batch seal)"
    return "nothing to do"


def _preview(application: Application, json: bool) -> bool:
    from refsync.sync.preview import preview

    planned = preview(application.queue, application.repositories, application.apply_settings)
    if json:
        print_json([asdict(commit) for commit in planned])
    else:
        for commit in planned:
            _show_commit(commit)
        if not planned:
            typer.echo("no commit to make")
    return not any(commit.problem or commit.waiting for commit in planned)


def _show_commit(commit: PlannedCommit) -> None:
    if commit.problem:
        note(f"refsync: {commit.repository}: {commit.problem}")
        return
    typer.echo(f"batch {commit.batch} -> {commit.repository}, branch {commit.branch}")
    for refusal in commit.rejected:
        typer.echo(f"  would reject change {refusal.change_id}: {shown_text(refusal.reason)}")
    for refusal in commit.waiting:
        note(f"refsync: change {refusal.change_id} would wait: {refusal.reason}")
    if commit.message:
        typer.echo(f"\n{commit.message}")
    _show_diff(commit.diff)


def _show_diff(diff: str) -> None:
    """With colours on a terminal, and as it is elsewhere."""
    if not sys.stdout.isatty():
        typer.echo(diff, nl=False)
        return
    for line in diff.split("\n")[:-1]:
        shown = "\t".join(map(shown_text, line.removesuffix("\r").split("\t")))
        typer.secho(shown, fg=_DIFF_COLOURS.get(line[:1]), bold=line.startswith(("+++", "---")))
