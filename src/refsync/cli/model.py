"""``refsync model``: one model, as readers get it and as history knows it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import console, print_json, shown_time

if TYPE_CHECKING:
    from refsync.sync.tracing import ModelCommit

app = typer.Typer(help="One model: its record, and its history.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def show(ctx: typer.Context, category: str, model: str, json: Json = False) -> None:
    """The record as readers get it."""
    from refsync.categories import parse_category
    from refsync.errors import RequestError

    with context_of(ctx).application() as application:
        found = parse_category(category)
        reference = application.tips().repository_of(found)
        records = application.backends[reference.name].fetch_category(found) or {}
    if model not in records:
        raise RequestError(f"{category} has no model {model!r}{_nearest(model, list(records))}")
    print_json(records[model])


@app.command()
def history(ctx: typer.Context, category: str, model: str, json: Json = False) -> None:
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


def _show_commits(commits: list[ModelCommit]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("when", "commit", "what", "batch", "by", "approved by", "subject"):
        table.add_column(heading, overflow="fold")
    for commit in commits:
        table.add_row(
            shown_time(commit.committed_at),
            commit.commit[:12],
            commit.operation,
            str(commit.batch or "-"),
            ", ".join(commit.requested_by) or commit.author,
            ", ".join(commit.approved_by) or "-",
            commit.subject,
        )
    console().print(table)


def _nearest(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    found = get_close_matches(name, known, n=1)
    return f"; the nearest is {found[0]!r}" if found else ""
