"""``refsync batch``: see and steer batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.options import All, By, Json, Limit, Offset, Username
from refsync.cli.output import counted, note, print_json, shown_text

if TYPE_CHECKING:
    from refsync.pending_queue.models import Batch

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Number = Annotated[int, typer.Argument(metavar="N", help="The batch's number.")]


@app.command(name="list")
def list_(
    ctx: typer.Context, offset: Offset = None, limit: Limit = None, all_: All = False, json: Json = False
) -> None:
    """List batches by number, the newest last: the newest 50 of them, unless told otherwise; as JSON all of them."""
    from refsync.cli.paging import part_of, show_rest
    from refsync.use_cases.questions.batches import LIST

    with context_of(ctx).desk() as desk:
        batches = desk.ask(LIST)
    shown, view = part_of(batches.root, offset, limit, everything=all_, json=json)
    if json:
        print_json([batch.model_dump(mode="json") for batch in shown])
        return
    from refsync.cli.tables import show_batches

    show_batches(shown)
    if view.total:
        show_rest("batch", ["batch", "list"], view)


@app.command()
def show(ctx: typer.Context, number: Number, json: Json = False) -> None:
    """Show one batch with its changes."""
    from refsync.use_cases.questions.batches import SHOW

    with context_of(ctx).desk() as desk:
        batch = desk.ask(SHOW, number=number)
    if json:
        print_json(batch)
        return
    from refsync.cli import tables
    from refsync.cli.paging import part_of, show_rest

    tables.show_batch(batch)
    tables.show_reverts(batch.reverts, batch.reverted_by)
    changes, view = part_of(batch.changes, None, None)
    tables.show_changes(changes)
    show_rest("change", ["queue", "list", f"--batch={number}"], view)


@app.command(short_help="Fix the open batch's set of changes.")
def seal(ctx: typer.Context, by: By = None, username: Username = None, json: Json = False) -> None:
    """Fix the open batch's set of changes, so that the next pass lands or proposes it."""
    from refsync.use_cases.questions.batches import SEAL

    with context_of(ctx).desk(by, username) as desk:
        sealed = desk.ask(SEAL)
    if json:
        print_json(sealed)
    for batch in () if json else sealed.root:
        where = f" for {shown_text(batch.repository)}" if batch.repository else ""
        typer.echo(f"batch {batch.number} is {batch.state}{where}")


@app.command()
def retry(
    ctx: typer.Context,
    number: Number,
    confirm: Annotated[bool, typer.Option("--confirm", help="It may delete as many models as it does.")] = False,
    by: By = None,
    username: Username = None,
    json: Json = False,
) -> None:
    """Let a held batch be worked on again."""
    from refsync.use_cases.questions.batches import RETRY

    with context_of(ctx).desk(by, username) as desk:
        batch = desk.ask(RETRY, number=number, confirmed=confirm)
    _tell(batch, "goes on with the next pass", json)


@app.command()
def abandon(
    ctx: typer.Context,
    number: Number,
    reason: Annotated[str, typer.Option("--reason", metavar="T", help="Why; its changes are rejected with it.")],
    by: By = None,
    username: Username = None,
    json: Json = False,
) -> None:
    """Give a held or proposed batch up; its changes are rejected."""
    from refsync.use_cases.questions.batches import ABANDON

    with context_of(ctx).desk(by, username) as desk:
        batch = desk.ask(ABANDON, number=number, reason=reason)
    _tell(batch, "is abandoned", json)


@app.command(short_help="Submit what undoes a landed batch.")
def revert(ctx: typer.Context, number: Number, by: By = None, username: Username = None, json: Json = False) -> None:
    """Submit what undoes a landed batch, to be reviewed like any change; later edits of other fields stay."""
    from refsync.ranges import render_ranges
    from refsync.use_cases.questions.batches import REVERT

    with context_of(ctx).desk(by, username) as desk:
        reversal = desk.ask(REVERT, number=number)
    for line in reversal.conflicts:
        note(f"refsync: {line}")
    if reversal.conflicts:
        raise typer.Exit(1)
    if json:
        print_json(reversal)
        return
    ids = render_ranges(change.change_id for change in reversal.changes)
    typer.echo(f"{counted(len(reversal.changes), 'change')} submitted: {ids}")
    for line in reversal.remarks:
        note(f"note: {line}")


def _tell(batch: Batch, what: str, json: bool) -> None:
    print_json(batch) if json else typer.echo(f"batch {batch.number} {what}")
