"""``refsync store``: the database that the queue is kept in."""

from __future__ import annotations

from typing import Annotated

import typer

from refsync.cli.context import Context, context_of
from refsync.cli.options import Json
from refsync.cli.output import counted, note, print_json, shown_text

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def check(ctx: typer.Context, json: Json = False) -> None:
    """Look through the whole store, and change nothing."""
    from refsync.use_cases.store import check_store

    found = check_store(_here(ctx, "store check").config())
    if json:
        print_json(found)
        return
    holds = f"{counted(found.changes, 'change')} in {counted(found.batches, 'batch')}"
    typer.echo(f"{shown_text(found.store)} is whole: version {found.version.lstrip('0')}, {holds}")


@app.command()
def upgrade(ctx: typer.Context, json: Json = False) -> None:
    """Bring the store to the tables of this refsync, once no older one works with it."""
    from refsync.use_cases.store import upgrade_store

    done = upgrade_store(_here(ctx, "store upgrade").config())
    if json:
        print_json(done)
    elif done.before == done.version:
        typer.echo(f"{shown_text(done.store)} is of version {done.version.lstrip('0')}: nothing to do")
    else:
        before, after = (each.lstrip("0") for each in (done.before, done.version))
        typer.echo(f"{shown_text(done.store)}: upgraded from version {before} to {after}")


@app.command()
def move(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="Of the other database, as `queue.url` has it.")],
    json: Json = False,
) -> None:
    """Copy the queue, whole and verified, to another database, while nothing works with it."""
    from refsync.use_cases.store import move_store

    context = _here(ctx, "store move")
    moved = move_store(context.config(), url)
    if json:
        print_json(moved)
        return
    rows = counted(sum(moved.rows.values()), "row")
    changes = counted(moved.rows["changes"], "change")
    typer.echo(f"moved to {shown_text(moved.moved_to)}: {changes}, {rows} in all, each compared")
    note(f"name it in {context.found_config_file()}, on every machine: [queue] url; until then nothing is served")


def _here(ctx: typer.Context, command: str) -> Context:
    context = context_of(ctx)
    context.check_here(f"refsync {command}")
    return context
