"""``refsync batch``: see and steer batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.options import By, Json, Username, acting
from refsync.cli.output import counted, note, print_json

if TYPE_CHECKING:
    from refsync.application import Application
    from refsync.pending_queue.models import Batch, PendingChangeRecord

app = typer.Typer(help="See and steer batches.", no_args_is_help=True, rich_markup_mode=None)

_TOLD_OF_REVERTING = {"change_id", "status", "batch_id"}

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
        reverts, reverted_by = _reverts(application, number, changes)
    if json:
        print_json(
            batch.model_dump(mode="json")
            | {"changes": [change.model_dump(mode="json") for change in changes], "reverts": reverts}
            | {"reverted_by": [change.model_dump(mode="json", include=_TOLD_OF_REVERTING) for change in reverted_by]}
        )
        return
    from refsync.cli.tables import show_batch, show_changes, show_reverts
    from refsync.pending_queue.models import PendingQueuePage

    show_batch(batch)
    show_reverts(reverts, reverted_by)
    show_changes(PendingQueuePage(items=changes, total=len(changes), offset=0, limit=None))


@app.command(short_help="Fix the open batch's set of changes.")
def seal(ctx: typer.Context, by: By = None, username: Username = None, json: Json = False) -> None:
    """Fix the open batch's set of changes, so that the next pass lands or proposes it."""
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
    """Give a held or proposed batch up; its changes are rejected."""
    with context_of(ctx).application() as application:
        batch = application.queue.abandon_batch(number, reason=reason, actor=acting(by, username))
    _tell(batch, "is abandoned", json)


@app.command(short_help="Submit what undoes a landed batch.")
def revert(ctx: typer.Context, number: Number, by: By = None, username: Username = None, json: Json = False) -> None:
    """Submit what undoes a landed batch, to be reviewed like any change; later edits of other fields stay."""
    from refsync.clone.commits import render_ranges
    from refsync.sync.reverting import plan_reversal
    from refsync.sync.submitting import submissions_with_base

    actor = acting(by, username)
    with context_of(ctx).application() as application:
        tips = application.tips()
        reversal = plan_reversal(application.queue, tips, number, actor=actor)
        for line in reversal.conflicts:
            note(f"refsync: {line}")
        if reversal.conflicts:
            raise typer.Exit(1)
        changes = application.queue.enqueue_many(submissions_with_base(application.queue, tips, reversal.submissions))
    if json:
        print_json({"changes": [change.model_dump(mode="json") for change in changes], "remarks": reversal.remarks})
        return
    typer.echo(f"{counted(len(changes), 'change')} submitted: {render_ranges(each.change_id for each in changes)}")
    for line in reversal.remarks:
        note(f"note: {line}")


def _reverts(
    application: Application, number: int, changes: list[PendingChangeRecord]
) -> tuple[list[int], list[PendingChangeRecord]]:
    """The batches that a batch reverts, and the changes that revert it; what was rejected does not count."""
    from refsync.pending_queue.models import PendingChangeStatus, PendingQueueFilter

    reverting = PendingQueueFilter(reverts=number, statuses=set(PendingChangeStatus) - {PendingChangeStatus.REJECTED})
    reverted = {
        change.reverts
        for change in changes
        if change.reverts is not None and change.status is not PendingChangeStatus.REJECTED
    }
    return sorted(reverted), application.queue.list_changes(queue_filter=reverting).items


def _tell(batch: Batch, what: str, json: bool) -> None:
    print_json(batch) if json else typer.echo(f"batch {batch.number} {what}")
