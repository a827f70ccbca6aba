"""``refsync model``: one model, as readers get it and as history knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.options import All, Json, Limit, Offset
from refsync.cli.output import json_text, print_json, shown_text, shown_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refsync.use_cases.models import Blame, TouchingCommit

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

CategoryArgument = Annotated[str, typer.Argument(help="The category, such as image_generation.")]
ModelName = Annotated[str, typer.Argument(help="The model's name; after -- where it begins with a dash.")]


@app.command()
def show(
    ctx: typer.Context,
    category: CategoryArgument,
    model: ModelName,
    links: Annotated[bool, typer.Option("--links", help="Show what hosts said of its links instead.")] = False,
    json: Json = False,
) -> None:
    """The record as readers get it, or what hosts said of its links the last time that they were asked."""
    from refsync.use_cases.record import show_model

    if links:
        _show_links(ctx, category, model, json)
        return
    context = context_of(ctx)
    if context.login() is None:  # a file is read, and no queue opened
        print_json(show_model(context.config(), context.category(category), model))
        return
    from refsync.use_cases.questions.models import SHOW

    with context.desk() as desk:
        print_json(desk.ask(SHOW, category=category, model=model))


def _show_links(ctx: typer.Context, category: str, model: str, json: bool) -> None:
    from refsync.cli.links import dated
    from refsync.use_cases.questions.models import LINKS

    with context_of(ctx).desk() as desk:
        answers = desk.ask(LINKS, category=category, model=model)
    if json:
        print_json(answers)
        return
    for link in answers.root:
        typer.echo(shown_text(f"{link.url}: {dated(link)}"))


@app.command()
def history(
    ctx: typer.Context,
    category: CategoryArgument,
    model: ModelName,
    offset: Offset = None,
    limit: Limit = None,
    all_: All = False,
    json: Json = False,
) -> None:
    """Which commits created, changed and deleted it, by whom, in which batch: the newest 50, last; as JSON all."""
    from refsync.cli.paging import part_of, show_rest
    from refsync.use_cases.questions.models import HISTORY

    with context_of(ctx).desk() as desk:
        commits = desk.ask(HISTORY, category=category, model=model)
    shown, view = part_of(commits.root, offset, limit, everything=all_, json=json)
    if json:
        print_json([commit.model_dump(mode="json") for commit in shown])
        return
    _show_commits(shown)
    if view.shown < view.total:
        show_rest("commit", ["model", "history"], view, ["--", category, model])


@app.command()
def blame(ctx: typer.Context, category: CategoryArgument, model: ModelName, json: Json = False) -> None:
    """For each field, the commit that gave it its present value, by whom, in which batch."""
    from refsync.use_cases.questions.models import BLAME

    with context_of(ctx).desk() as desk:
        fields = desk.ask(BLAME, category=category, model=model)
    print_json(fields) if json else _show_origins(fields)


def _show_commits(commits: Sequence[TouchingCommit]) -> None:
    from refsync.cli.table import print_table

    print_table(
        ("when", "commit", "what", "batch", "by", "approved by", "subject"),
        [
            (
                shown_time(commit.committed_at),
                commit.commit[:12],
                commit.operation if commit.renamed_from is None else f"rename from {shown_text(commit.renamed_from)}",
                str(commit.batch or "-"),
                shown_text(", ".join(commit.requested_by) or commit.author),
                shown_text(", ".join(commit.approved_by) or "-"),
                shown_text(commit.subject),
            )
            for commit in commits
        ],
    )


def _show_origins(fields: Blame) -> None:
    """The fields by the commit that they come from, oldest first."""
    commits = {each.commit: each for each in fields.root}
    for commit in sorted(commits.values(), key=lambda each: each.committed_at):
        batch = "" if commit.batch is None else f"  batch {commit.batch}"
        approved = f"  approved by {', '.join(commit.approved_by)}" if commit.approved_by else ""
        by = ", ".join(commit.requested_by) or commit.author
        typer.echo(f"{shown_time(commit.committed_at)}  {commit.commit[:12]}{batch}  {shown_text(commit.subject)}")
        typer.echo(f"  by {shown_text(by + approved)}")
        for each in fields.root:
            if each.commit == commit.commit:
                typer.echo(f"    {shown_text(each.field_path)}: {json_text(each.value)}")
