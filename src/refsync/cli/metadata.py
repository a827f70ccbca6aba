"""``refsync metadata``: what has happened, per category."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import console, counted, print_json, progress_bar, shown_text, shown_time

if TYPE_CHECKING:
    from refsync.application import Application
    from refsync.categories import MODEL_REFERENCE_CATEGORY
    from refsync.clone.repository import Repository
    from refsync.sync.reference import ReferenceRepository

app = typer.Typer(help="What has happened, per category.", no_args_is_help=True, rich_markup_mode=None)

_WIDE = 100  # columns; a narrower terminal is told when the last operation was, and not what
Counters = dict[str, dict[str, dict[str, dict[str, Any]]]]


@app.command()
def show(
    ctx: typer.Context,
    category: Annotated[str | None, typer.Argument(help="Only this category.")] = None,
    json: Json = False,
) -> None:
    """Show the counters of every category that was recorded."""
    from refsync.categories import parse_category

    only = parse_category(category) if category else None
    with context_of(ctx).application() as application:
        if only:
            application.tips().repository_of(only)  # refuses a category that nobody holds
        counters = _counters(application, only)
    print_json(counters) if json else _show(counters)


@app.command()
def verify(ctx: typer.Context, json: Json = False) -> None:
    """Compare the counters with a fresh fold over the history; exit code 1 where they differ."""
    found: list[dict[str, Any]] = []
    with context_of(ctx).application() as application:
        for reference in application.repositories:
            with _opened(application, reference) as clone, progress_bar(reference.name, shown=not json) as progress:
                for difference in reference.recorder.verify(clone, clone.tip(), progress=progress):
                    found.append({"repository": reference.name, **asdict(difference)})
    if json:
        print_json(found)
    else:
        for each in found:
            where = f"{each['repository']}: {each['format']} {each['category']}: {each['field']}"
            typer.echo(f"{where} is {each['stored']!r}, the history gives {each['folded']!r}")
        typer.echo("differs from the history; mend it: refsync metadata rebuild" if found else "equal to the history")
    if found:
        raise typer.Exit(1)


@app.command()
def rebuild(ctx: typer.Context, json: Json = False) -> None:
    """Replace the counters by a fresh fold over the history; errors of refsync's own stay counted."""
    rebuilt: dict[str, Any] = {}
    with context_of(ctx).application() as application:
        for reference in application.repositories:
            with _opened(application, reference) as clone, progress_bar(reference.name, shown=not json) as progress:
                landing = reference.recorder.rebuild(clone, clone.tip(), progress=progress)
            rebuilt[reference.name] = {"commits": landing.commits, "operations": len(landing.operations)}
    if json:
        print_json(rebuilt)
    for name, each in {} if json else rebuilt.items():
        typer.echo(f"{name}: {counted(each['operations'], 'operation')} of {counted(each['commits'], 'commit')}")


@contextmanager
def _opened(application: Application, reference: ReferenceRepository) -> Iterator[Repository]:
    """The clone, while no pass is running."""
    from refsync.clone.repository import Repository

    with (
        application.state.pass_lock(),
        Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone,
    ):
        yield clone


def _counters(application: Application, only: MODEL_REFERENCE_CATEGORY | None) -> Counters:
    counters: Counters = {}
    for reference in application.repositories:
        for category, files in reference.files.items():
            for form in files:
                stored = reference.metadata.stored_metadata(form, category)
                if stored is not None and only in (None, category):
                    by_format = counters.setdefault(reference.name, {}).setdefault(form.value, {})
                    by_format[category.value] = stored.model_dump(mode="json")
    return counters


def _show(counters: Counters) -> None:
    from refsync.cli.tables import print_table

    narrow = console().width < _WIDE
    headings = ("category", "creates", "updates", "deletes", "models", "errors", "last operation")
    for repository, formats in counters.items():
        for form, categories in formats.items():
            typer.echo(f"{repository}, {form} records")
            print_table(headings, [_row(category, each, narrow=narrow) for category, each in categories.items()])
    if not counters:
        typer.echo("nothing recorded yet; refsync sync folds the history in")


def _row(category: str, each: dict[str, Any], *, narrow: bool) -> tuple[str, ...]:
    counts = ("total_creates", "total_updates", "total_deletes", "total_models", "error_count")
    return (category, *(str(each[name]) for name in counts), _last(each, narrow=narrow))


def _last(each: dict[str, Any], *, narrow: bool) -> str:
    if each["last_operation_type"] is None:
        return "-"
    at = shown_time(each["last_successful_operation"])
    if narrow:
        return at
    return f"{each['last_operation_type']} {shown_text(each['last_operation_model'])} ({at})"
