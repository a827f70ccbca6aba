"""``refsync batch``: see and steer batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.options import By, Json, Username, acting
from refsync.cli.output import print_json

if TYPE_CHECKING:
    from refsync.pending_queue.models import Batch

app = typer.Typer(help="See and steer batches.", no_args_is_help=True, rich_markup_mode=None)

Number = Annotated[int, typer.Argument(metavar="N", help="The batch's number.")]


@app.command(name="list")
def list_(ctx: typer.Context, json: Json = False) -> None:
    """List all batches."""
    with context_of(ctx).application() as application:
        batches = application.queue.list_batches()
    if json:
        print_json([batch.model_dump(mode="json") for batch in batches])
        return
    from refsync.cli.tables import show_batches

    show_batches(batches)


@app.command()
def show(ctx: typer.Context, number: Number, json: Json = False) -> None:
    """Show one batch with its changes."""
    with context_of(ctx).application() as application:
        batch = application.queue.get_batch(number)
        changes = application.queue.changes_of_batch(number)
    if json:
        print_json(batch.model_dump(mode="json") | {"changes": [change.model_dump(mode="json") for change in changes]})
        return
    from refsync.cli.tables import show_batches, show_changes
    from refsync.pending_queue.models import PendingQueuePage

    show_batches([batch])
    show_changes(PendingQueuePage(items=changes, total=len(changes), offset=0, limit=None))


@app.command()
def seal(ctx: typer.Context, by: By = None, username: Username = None, json: Json = False) -> None:
    """Fix the open batch's set of changes, so that the next pass lands it."""
    from refsync.errors import RequestError
    from refsync.sync.sealing import seal_now

    with context_of(ctx).application() as application:
        sealed = seal_now(application.queue, application.repositories, actor=acting(by, username))
    if not sealed:
        raise RequestError("no batch is open; approve a change first: refsync queue approve ID --title TEXT")
    if json:
        print_json([batch.model_dump(mode="json") for batch in sealed])
    for batch in () if json else sealed:
        typer.echo(f"batch {batch.number} is {batch.state}" + (f" for {batch.repository}" if batch.repository else ""))


@app.command()
def retry(ctx: typer.Context, number: Number, by: By = None, username: Username = None, json: Json = False) -> None:
    """Let a held batch be worked on again."""
    with context_of(ctx).application() as application:
        batch = application.queue.retry_batch(number, actor=acting(by, username))
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
    """Give a held batch up; its changes are rejected."""
    with context_of(ctx).application() as application:
        batch = application.queue.abandon_batch(number, reason=reason, actor=acting(by, username))
    _tell(batch, "is abandoned", json)


def _tell(batch: Batch, what: str, json: bool) -> None:
    print_json(batch) if json else typer.echo(f"batch {batch.number} {what}")
