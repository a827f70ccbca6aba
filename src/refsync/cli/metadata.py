"""``refsync metadata``: what has happened, per category."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import console, counted, print_json, progress_bar, shown_text, shown_time

if TYPE_CHECKING:
    from refsync.metadata.models import CategoryMetadata
    from refsync.use_cases.metadata import Counters

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_WIDE = 100  # columns; a narrower terminal is told when the last operation was, and not what


@app.command()
def show(
    ctx: typer.Context,
    category: Annotated[str | None, typer.Argument(help="Only this category.")] = None,
    json: Json = False,
) -> None:
    """Show the counters of every category that was recorded."""
    from refsync.use_cases.questions.state import COUNTERS

    with context_of(ctx).desk() as desk:
        counters = desk.ask(COUNTERS, category=category)
    print_json(counters) if json else _show(counters)


@app.command()
def verify(ctx: typer.Context, json: Json = False) -> None:
    """Compare the counters with a fresh fold over the history; exit code 1 where they differ."""
    from refsync.cli.desk import Here
    from refsync.use_cases.metadata import verify_counters
    from refsync.use_cases.questions.state import VERIFY

    with context_of(ctx).desk() as desk:
        if isinstance(desk, Here):
            found = verify_counters(desk.application, partial(progress_bar, shown=not json))
        else:
            found = desk.ask(VERIFY)
    if json:
        print_json(found)
    else:
        for each in found.root:
            where = f"{each.repository}: {each.format} {each.category}: {each.field}"
            typer.echo(f"{where} is {each.stored!r}, the history gives {each.folded!r}")
        mend = "differs from the history; mend it: refsync metadata rebuild"
        typer.echo(mend if found.root else "equal to the history")
    if found.root:
        raise typer.Exit(1)


@app.command()
def rebuild(ctx: typer.Context, json: Json = False) -> None:
    """Replace the counters by a fresh fold over the history; errors of refsync's own stay counted."""
    from refsync.use_cases.metadata import rebuild_counters

    context_of(ctx).check_here("metadata rebuild")
    with context_of(ctx).application() as application:
        rebuilt = rebuild_counters(application, partial(progress_bar, shown=not json))
    if json:
        print_json(rebuilt)
    for name, each in {} if json else rebuilt.root.items():
        typer.echo(f"{name}: {counted(each.operations, 'operation')} of {counted(each.commits, 'commit')}")


def _show(counters: Counters) -> None:
    from refsync.cli.table import print_table

    narrow = console().width < _WIDE
    headings = ("category", "creates", "updates", "deletes", "models", "errors", "last operation")
    for repository, formats in counters.root.items():
        for form, categories in formats.items():
            typer.echo(f"{repository}, {form} records")
            print_table(headings, [_row(category, each, narrow=narrow) for category, each in categories.items()])
    if not counters.root:
        typer.echo("nothing recorded yet; refsync sync folds the history in")


def _row(category: str, each: CategoryMetadata, *, narrow: bool) -> tuple[str, ...]:
    counts = (each.total_creates, each.total_updates, each.total_deletes, each.total_models, each.error_count)
    return (category, *map(str, counts), _last(each, narrow=narrow))


def _last(each: CategoryMetadata, *, narrow: bool) -> str:
    if each.last_operation_type is None:
        return "-"
    at = shown_time(each.last_successful_operation)
    if narrow:
        return at
    return f"{each.last_operation_type} {shown_text(each.last_operation_model or '')} ({at})"
