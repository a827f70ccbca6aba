"""``refsync model``: one model, as readers get it and as history knows it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import json_text, print_json, shown_text, shown_time

if TYPE_CHECKING:
    from refsync.application import Application
    from refsync.categories import MODEL_REFERENCE_CATEGORY
    from refsync.review.blame import Origin
    from refsync.sync.tracing import ModelCommit

app = typer.Typer(help="One model: its record, and its history.", no_args_is_help=True, rich_markup_mode=None)

CategoryName = Annotated[str, typer.Argument(help="The category, such as image_generation.")]
ModelName = Annotated[str, typer.Argument(help="The model's name; after -- where it begins with a dash.")]


@app.command()
def show(ctx: typer.Context, category: CategoryName, model: ModelName, json: Json = False) -> None:
    """The record as readers get it."""
    from refsync.categories import parse_category
    from refsync.errors import RequestError

    with context_of(ctx).application() as application:
        records = _records(application, parse_category(category))
    if model not in records:
        raise RequestError(f"{category} has no model {model!r}{_nearest(model, list(records))}")
    print_json(records[model])


@app.command()
def history(ctx: typer.Context, category: CategoryName, model: ModelName, json: Json = False) -> None:
    """Which commits created, changed and deleted it, by whom, in which batch."""
    from refsync.categories import parse_category
    from refsync.errors import RequestError
    from refsync.sync.tracing import trace_model

    with context_of(ctx).application() as application:
        found = parse_category(category)
        commits = list(trace_model(application.tips().repository_of(found), found, model))
    if not commits:
        raise RequestError(f"no commit ever touched {category} {model!r}")
    if json:
        print_json([asdict(commit) for commit in commits])
    else:
        _show_commits(commits)


@app.command()
def blame(ctx: typer.Context, category: CategoryName, model: ModelName, json: Json = False) -> None:
    """For each field, the commit that gave it its present value, by whom, in which batch."""
    from refsync.categories import parse_category
    from refsync.errors import RequestError
    from refsync.sync.tracing import blame_model

    with context_of(ctx).application() as application:
        found = parse_category(category)
        fields = blame_model(application.tips().repository_of(found), found, model)
    if not fields:
        raise RequestError(f"{category} has no model {model!r} in what has landed")
    if json:
        print_json([{"field_path": each.field_path, "value": each.value} | asdict(each.commit) for each in fields])
    else:
        _show_origins(fields)


def _records(application: Application, category: MODEL_REFERENCE_CATEGORY) -> dict[str, Any]:
    """What readers get of a category; where they get nothing, why."""
    from refsync.errors import CloneError

    backend = application.backends[application.tips().repository_of(category).name]
    records = backend.fetch_category(category, force_refresh=True)
    if records is None:
        raise CloneError(
            f"{backend.get_category_file_path(category)}: there is no such file, so {category} has no models"
        )
    return records


def _show_commits(commits: list[ModelCommit]) -> None:
    from refsync.cli.tables import print_table

    print_table(
        ("when", "commit", "what", "batch", "by", "approved by", "subject"),
        [
            (
                shown_time(commit.committed_at),
                commit.commit[:12],
                commit.operation,
                str(commit.batch or "-"),
                shown_text(", ".join(commit.requested_by) or commit.author),
                shown_text(", ".join(commit.approved_by) or "-"),
                shown_text(commit.subject),
            )
            for commit in commits
        ],
    )


def _show_origins(fields: list[Origin[ModelCommit]]) -> None:
    """The fields by the commit that they come from, oldest first."""
    commits = {each.commit.commit: each.commit for each in fields}
    for commit in sorted(commits.values(), key=lambda each: each.committed_at):
        batch = "" if commit.batch is None else f"  batch {commit.batch}"
        approved = f"  approved by {', '.join(commit.approved_by)}" if commit.approved_by else ""
        by = ", ".join(commit.requested_by) or commit.author
        typer.echo(f"{shown_time(commit.committed_at)}  {commit.commit[:12]}{batch}  {shown_text(commit.subject)}")
        typer.echo(f"  by {shown_text(by + approved)}")
        for each in fields:
            if each.commit.commit == commit.commit:
                typer.echo(f"    {shown_text(each.field_path)}: {json_text(each.value)}")


def _nearest(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    lowered = {each.lower(): each for each in known}
    found = get_close_matches(name.lower(), lowered, n=1)
    return f"; the nearest is {lowered[found[0]]!r}" if found else ""
