"""``refsync queue``: submit changes and review them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.options import All, By, Json, Limit, Offset, Username, acting
from refsync.cli.output import counted, note, print_json, print_json_line, progress_bar
from refsync.cli.queue_add import Notes, add
from refsync.cli.queue_filter import BatchNumber, Categories, FilterOptions, ModelText, Requesters, Statuses
from refsync.cli.submitted import read_source, say_if_unserved, tell_conflicts

if TYPE_CHECKING:
    from refsync.cli.desk import Desk
    from refsync.pending_queue.models import PendingBatchResult
    from refsync.use_cases.reviewing import ReviewedChanges
    from refsync.use_cases.submitting import SubmittedChanges

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_REMARKS_SHOWN = 20

Ids = Annotated[list[int], typer.Argument(metavar="ID...", help="Change ids.")]
MaybeIds = Annotated[list[int] | None, typer.Argument(metavar="ID...", help="Change ids.")]


app.command()(add)


@app.command()
def rename(
    ctx: typer.Context,
    category: Annotated[str, typer.Argument(help="The category, such as image_generation.")],
    old: Annotated[str, typer.Argument(metavar="OLD", help="The model's name.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The name that it is to get.")],
    notes: Notes = None,
    by: By = None,
    username: Username = None,
    json: Json = False,
) -> None:
    """Submit a model's new name; prints the ids of the two changes, which land together or not at all."""
    from refsync.use_cases.questions.changes import RENAME

    with context_of(ctx).desk(by, username) as desk:
        changes = desk.ask(RENAME, category=category, old=old, new=new, notes=notes)
        say_if_unserved(desk)
    for change in changes.root:
        tell_conflicts(change)
    print_json(changes) if json else typer.echo(_ranges(change.change_id for change in changes.root))


@app.command(name="import")
def import_(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|-|FOLDER",
            help="JSON Lines, one change a line; what `queue export` wrote; or a queue folder of the ecosystem.",
        ),
    ],
    by: By = None,
    username: Username = None,
    json: Json = False,
) -> None:
    """Submit many changes, all or none, one JSON object a line.

    Each line has operation, category, model_name and, but for a delete, payload; notes may be given, and after or
    before: the model that a new one is to stand next to.
    """
    from refsync.use_cases.moving import import_folder, import_queue, is_export

    content = None if source != "-" and Path(source).is_dir() else read_source(source)
    if content is not None and not is_export(content):
        with context_of(ctx).desk(by, username) as desk:
            _import_lines(desk, content, json)
        return
    context_of(ctx).check_here("taking in a whole queue")
    actor = acting(by, username)
    with context_of(ctx).application() as application:
        if content is None:
            imported = import_folder(application, Path(source), actor=actor)
        else:
            imported = import_queue(application, content, actor=actor)
    if json:
        print_json(imported)
        return
    typer.echo(f"{counted(imported.root.changes, 'change')} imported")
    for line in (*imported.root.repaired, *imported.root.not_understood):
        note(line)


@app.command()
def export(ctx: typer.Context) -> None:
    """Print the whole queue with its history as JSON Lines, for `queue import` on another machine."""
    from refsync.use_cases.moving import export_queue

    context_of(ctx).check_here("queue export")
    with context_of(ctx).application() as application:
        for line in export_queue(application):
            print_json_line(line)


@app.command(name="list")
def list_(
    ctx: typer.Context,
    status: Statuses = None,
    category: Categories = None,
    batch: BatchNumber = None,
    model: ModelText = None,
    requested_by: Requesters = None,
    offset: Offset = None,
    limit: Limit = None,
    all_: All = False,
    json: Json = False,
) -> None:
    """List changes by id, the newest last: the newest 50 of them, unless told otherwise."""
    from refsync.cli.desk import every_change
    from refsync.cli.paging import check_one_of, print_json_items, show_rest
    from refsync.use_cases.paging import window
    from refsync.use_cases.questions.listing import LIST

    check_one_of(offset, limit, all_)
    asked = FilterOptions(status, category, batch, model, requested_by)
    wanted = asked.arguments()
    with context_of(ctx).desk() as desk:
        if all_ and json:
            print_json_items(every_change(desk, wanted))
            return
        if all_:
            from refsync.cli.tables import show_changes

            typer.echo(counted(show_changes(every_change(desk, wanted)), "change"))
            return
        page = desk.ask(LIST, **wanted, offset=offset, limit=limit)
    if json:
        print_json(page)
        return
    from refsync.cli.tables import show_changes

    show_changes(page.items)
    show_rest("change", ["queue", "list", *asked.words()], window(page.total, offset, limit))


@app.command()
def show(ctx: typer.Context, change_id: Annotated[int, typer.Argument(metavar="ID")], json: Json = False) -> None:
    """Show one change whole, with its history and the commit it landed in."""
    from refsync.use_cases.questions.changes import SHOW

    with context_of(ctx).desk() as desk:
        change = desk.ask(SHOW, change_id=change_id)
    if json:
        print_json(change)
        return
    from refsync.cli import tables

    tables.show_change(change)


@app.command()
def diff(ctx: typer.Context, change_ids: Ids, json: Json = False) -> None:
    """Compare changes, field by field, with the reference as it is now."""
    from refsync.use_cases.questions.changes import COMPARE, SHOW

    with context_of(ctx).desk() as desk:
        page = desk.ask(COMPARE, change_ids=change_ids)
        changes = {diff.change_id: desk.ask(SHOW, change_id=diff.change_id) for diff in page.diffs}
    if json:
        print_json(page)
    else:
        from refsync.cli.tables import show_diffs

        show_diffs(page, changes)
    for error in page.errors:
        note(f"refsync: {error['message']}")
    if page.errors:
        raise typer.Exit(1)


@app.command()
def approve(
    ctx: typer.Context,
    change_ids: MaybeIds = None,
    all_: Annotated[bool, typer.Option("--all", help="Every pending change.")] = False,
    title: Annotated[str, typer.Option("--title", metavar="T", help="The batch's title: the commit's subject.")] = "",
    by: By = None,
    username: Username = None,
    json: Json = False,
) -> None:
    """Approve changes into the open batch."""
    from refsync.errors import RequestError
    from refsync.use_cases.questions.changes import APPROVE

    with context_of(ctx).desk(by, username) as desk:
        if all_ == bool(change_ids):
            raise RequestError("name the changes to approve by their ids, or all pending ones by --all")
        result = desk.ask(APPROVE, change_ids=None if all_ else change_ids, title=title)
        say_if_unserved(desk)
    print_json(result) if json else _tell_review(result)


@app.command()
def reject(
    ctx: typer.Context,
    change_ids: Ids,
    reason: Annotated[str, typer.Option("--reason", metavar="T", help="Why; the proposer reads it.")],
    by: By = None,
    username: Username = None,
    json: Json = False,
) -> None:
    """Reject pending changes."""
    from refsync.use_cases.questions.changes import REJECT

    with context_of(ctx).desk(by, username) as desk:
        result = desk.ask(REJECT, change_ids=change_ids, reason=reason)
    print_json(result) if json else _tell_review(result)


@app.command()
def withdraw(ctx: typer.Context, change_ids: Ids, by: By = None, username: Username = None, json: Json = False) -> None:
    """Take approvals back while their batch is open."""
    from refsync.use_cases.questions.changes import WITHDRAW

    with context_of(ctx).desk(by, username) as desk:
        changes = desk.ask(WITHDRAW, change_ids=change_ids)
    _tell_changes(changes, "withdrawn: pending again", json)


@app.command()
def purge(
    ctx: typer.Context,
    status: Statuses = None,
    category: Categories = None,
    batch: BatchNumber = None,
    model: ModelText = None,
    requested_by: Requesters = None,
    all_: Annotated[bool, typer.Option("--all", help="Every change that is not just being applied.")] = False,
    by: By = None,
    username: Username = None,
    json: Json = False,
) -> None:
    """Remove changes from the queue for good; the history of landed ones stays in git."""
    from refsync.errors import RequestError
    from refsync.use_cases.questions.changes import PURGE

    wanted = FilterOptions(status, category, batch, model, requested_by).arguments()
    if not wanted and not all_:
        raise RequestError("say what to purge: filters such as --status applied, or --all")
    if wanted and all_:
        raise RequestError("--all purges every change, filters only some: give one or the other")
    with context_of(ctx).desk(by, username) as desk:
        changes = desk.ask(PURGE, **wanted, everything=all_)
    _tell_changes(changes, "purged", json)


def _import_lines(desk: Desk, content: bytes, json: bool) -> None:
    changes = _submitted(desk, content, json).root
    say_if_unserved(desk)
    remarks = [f"note: change {change.change_id}: {remark}" for change in changes for remark in change.remarks or ()]
    for line in remarks[:_REMARKS_SHOWN]:
        note(line)
    if len(remarks) > _REMARKS_SHOWN:
        note(f"note: and {len(remarks) - _REMARKS_SHOWN} more; each stands in: refsync queue show ID")
    if json:
        print_json(changes)
    else:
        ids = _ranges(change.change_id for change in changes)
        typer.echo(f"{counted(len(changes), 'change')} submitted" + (f": {ids}" if ids else ""))


def _submitted(desk: Desk, content: bytes, json: bool) -> SubmittedChanges:
    from refsync.cli.desk import Here
    from refsync.use_cases.questions.changes import SUBMIT_LINES
    from refsync.use_cases.submitting import read_lines, submit_lines

    if not isinstance(desk, Here):
        return desk.ask(SUBMIT_LINES, lines=content.decode("utf-8", "surrogateescape"))
    lines = read_lines(content, desk.application.config.catalogue, actor=desk.actor)
    with progress_bar("submitting", shown=not json) as progress:
        return submit_lines(desk.application, lines, progress)


def _tell_review(result: PendingBatchResult) -> None:
    if result.approved:
        ids = _ranges(change.change_id for change in result.approved)
        typer.echo(f"approved {ids} into batch {result.batch_id}: {result.batch_title}")
    if result.rejected:
        typer.echo(f"rejected {_ranges(change.change_id for change in result.rejected)}")


def _tell_changes(changes: ReviewedChanges, what: str, json: bool) -> None:
    if json:
        print_json(changes)
    else:
        typer.echo(f"{what}: {_ranges(change.change_id for change in changes.root) or 'nothing'}")


def _ranges(numbers: Iterable[int]) -> str:
    from refsync.ranges import render_ranges

    return render_ranges(numbers)
