"""``refsync sync``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import console, print_json

if TYPE_CHECKING:
    from refsync.application import Application
    from refsync.sync.preview import PlannedCommit
    from refsync.sync.reference import PassReport, Progress


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
    with _progress(shown=not json) as progress:
        report = application.run_pass(progress=progress)
    assert report is not None
    if json:
        print_json(asdict(report))
    else:
        _tell(report)
    return report.clean


@contextmanager
def _progress(*, shown: bool) -> Iterator[Progress | None]:
    """A progress bar for a long fold, on a terminal."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("folding history", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tell(report: PassReport) -> None:
    nothing = True
    for repository in report.repositories:
        for landed in repository.landed:
            what = f"commit {landed.commit[:12]}" if landed.commit else "nothing left to write"
            typer.echo(f"{repository.name}: batch {landed.number} landed: {_changes(landed.change_ids)}, {what}")
        for rejected in repository.rejected:
            typer.echo(f"{repository.name}: change {rejected.change_id} rejected: {rejected.reason}")
        if repository.recorded:
            typer.echo(f"{repository.name}: {repository.recorded} operations recorded")
        for held in repository.held:
            typer.echo(f"refsync: {repository.name}: batch {held.number} is held: {held.reason}", err=True)
        if repository.problem:
            typer.echo(f"refsync: {repository.name}: {repository.problem}", err=True)
        nothing &= not (
            repository.landed or repository.rejected or repository.recorded or repository.held or repository.problem
        )
    if nothing:
        typer.echo(_idle(report))


def _idle(report: PassReport) -> str:
    if report.settles_in is not None:
        return f"nothing to do yet; the open batch is sealed in {report.settles_in:.0f} s (or now: refsync batch seal)"
    return "nothing to do"


def _changes(ids: Any) -> str:
    return f"{len(ids)} change{'s' if len(ids) != 1 else ''}"


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
    from rich.syntax import Syntax

    out = console()
    if commit.problem:
        typer.echo(f"refsync: {commit.repository}: {commit.problem}", err=True)
        return
    out.print(f"batch {commit.batch} -> {commit.repository}, branch {commit.branch}")
    for refusal in commit.rejected:
        out.print(f"  would reject change {refusal.change_id}: {refusal.reason}")
    for refusal in commit.waiting:
        typer.echo(f"refsync: change {refusal.change_id} would wait: {refusal.reason}", err=True)
    if commit.message:
        out.print(f"\n{commit.message}")
    if out.is_terminal:
        out.print(Syntax(commit.diff, "diff", background_color="default"))
    else:
        typer.echo(commit.diff, nl=False)
