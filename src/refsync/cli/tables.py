"""Changes, diffs and batches for people: tables and coloured fields on a terminal, plain text elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import typer

from refsync.cli.links import dated
from refsync.cli.output import console, json_text, shown_age, shown_text, shown_time
from refsync.cli.proposals import proposal_lines, shown_place
from refsync.cli.table import print_table
from refsync.dumping import dump
from refsync.pending_queue.models import (
    Batch,
    BatchState,
    PendingChangeDiff,
    PendingChangeDiffPage,
    PendingChangeRecord,
    PendingChangeStatus,
)
from refsync.ranges import render_ranges

if TYPE_CHECKING:
    from rich.text import Text

    from refsync.use_cases.batches import RevertingChange
    from refsync.use_cases.links.advice import AdvisedChange
    from refsync.use_cases.links.kept import LinkAnswer

_STATUS_STYLES = {
    "pending": "yellow",
    "approved": "cyan",
    "applying": "cyan",
    "applied": "green",
    "rejected": "red",
    "open": "cyan",
    "sealed": "cyan",
    "proposed": "yellow",
    "held": "red",
    "landed": "green",
    "abandoned": "red",
}
_ROWS_OF_A_TABLE = 1000  # a table is as wide as its widest row, which has to be known ahead of the first
_CHANGE_STYLES = {"added": ("+", "green"), "removed": ("-", "red"), "modified": ("~", "yellow")}


def show_changes(changes: Iterable[PendingChangeRecord]) -> int:
    """Changes as a table, or as one for each thousand of them; how many there were."""
    headings = ("id", "status", "what", "category", "model", "batch", "requested by", "rivals", "variants")
    waiting, shown = iter(changes), 0
    while rows := [_change_row(change) for change in islice(waiting, _ROWS_OF_A_TABLE)]:
        print_table(headings, rows, styles={"status": _STATUS_STYLES})
        shown += len(rows)
    return shown


def _change_row(change: PendingChangeRecord) -> Sequence[str]:
    return (
        str(change.change_id),
        change.status.value,
        change.operation.value,
        change.category,
        shown_text(change.model_name),
        str(change.batch_id or "-"),
        shown_text(change.requested_username),
        ", ".join(map(str, change.conflicts_with or ())) or "-",
        _variants(change) or "-",
    )


def show_batches(batches: Sequence[Batch]) -> None:
    """Batches as a table."""
    rows = [
        (
            str(batch.number),
            batch.state.value,
            shown_text(batch.repository or "-"),
            batch.commit[:12] if batch.commit else "-",
            shown_text(batch.title),
            *_review(batch),
            shown_text(_why(batch)),
        )
        for batch in batches
    ]
    if rows:
        review = ("pull request or branch", "opened", "checks", "reviews")
        headings = ("batch", "state", "repository", "commit", "title", *review, "reason")
        print_table(headings, rows, styles={"state": _STATUS_STYLES})
    else:
        typer.echo("no batches")


def _review(batch: Batch) -> tuple[str, str, str, str]:
    """Where it is reviewed; what is known of that, while it is."""
    proposal = batch.proposal
    if proposal is None:
        return "-", "-", "-", "-"
    if batch.state != BatchState.proposed:
        return shown_place(proposal), "-", "-", "-"
    age, checks, reviews = shown_age(proposal.opened_at), proposal.checks or "-", proposal.reviews or "-"
    return shown_place(proposal), age, shown_text(checks), shown_text(reviews)


def _why(batch: Batch) -> str:
    waits_for = batch.proposal.waits_for if batch.proposal and batch.state == BatchState.proposed else None
    return batch.reason or (f"waits for {waits_for}" if waits_for else "-")


def show_batch(batch: Batch) -> None:
    """One batch: what the table has, but its pull request or branch with all there is to say of it."""
    show_batches([batch.model_copy(update={"proposal": None})])
    if batch.proposal:
        for line in proposal_lines(batch.proposal, under_review=batch.state == BatchState.proposed):
            typer.echo(line)


def show_reverts(reverts: Iterable[int], reverted_by: Iterable[RevertingChange]) -> None:
    """Which batches a batch reverts, and which changes revert it or are to."""
    for number in reverts:
        typer.echo(f"reverts batch {number}")
    ids: dict[tuple[str, str], list[int]] = {}
    for change in reverted_by:
        done = "reverted" if change.status is PendingChangeStatus.APPLIED else "to be reverted"
        where = f"batch {change.batch_id}" if change.batch_id else "pending"
        ids.setdefault((done, where), []).append(change.change_id)
    for (done, where), some in ids.items():
        typer.echo(f"{done} by change{'' if len(some) == 1 else 's'} {render_ranges(some)} ({where})")


def show_change(change: AdvisedChange) -> None:
    """One change whole: its fields, its links, its payload, its history."""
    typer.echo(f"change {change.change_id}: {change.operation} {change.category} {shown_text(change.model_name)}")
    for label, value in _facts(change):
        typer.echo(f"  {label:<13}{value}")
    for link in change.links:
        typer.echo(f"  {'link':<13}{_link(link)}")
    if change.payload is not None:
        typer.echo("  payload")
        for line in dump(change.payload, indent=2).split("\n"):
            typer.echo(f"    {shown_text(line)}")
    typer.echo("  history")
    for event in change.history or ():
        to = event.to_status or "purged"
        via = f" (as {shown_text(event.os_user)})" if event.os_user and event.os_user != event.by else ""
        why = f": {shown_text(event.why)}" if event.why else ""
        batch = f" in batch {event.batch_id}" if event.batch_id else ""
        typer.echo(f"    {shown_time(event.at)}  {to}{batch} by {shown_text(event.username)}{via}{why}")


def _variants(change: PendingChangeRecord) -> str:
    """The models that are written in the same step."""
    return ", ".join(map(shown_text, change.related_models or ()))


def _facts(change: PendingChangeRecord) -> Iterable[tuple[str, str]]:
    from refsync.use_cases.links.evidence import evidence_of

    yield "status", change.status.value
    if change.related_models:
        yield "variants", _variants(change)
    account = "" if change.requested_provider == "system" else f" ({change.requested_provider}:{change.requested_by})"
    yield "requested", f"{shown_time(change.requested_at)} by {shown_text(change.requested_username + account)}"
    if change.batch_id:
        yield "batch", f"{change.batch_id}: {shown_text(change.batch_title or '')}"
    if change.commit:
        yield "commit", change.commit
    if change.reject_reason:
        yield "rejected", shown_text(change.reject_reason)
    if change.conflicts_with:
        yield "rivals", ", ".join(map(str, change.conflicts_with))
    if change.after is not None:
        yield "place", f"right behind {shown_text(change.after)}"
    if change.before is not None:
        yield "place", f"right ahead of {shown_text(change.before)}"
    if change.lands_with:
        yield "lands with", f"change {change.lands_with}, the other half of the rename"
    for remark in change.remarks or ():
        yield "noticed", shown_text(remark)
    if change.reverts:
        yield "reverts", f"batch {change.reverts}"
    if change.notes:
        yield "notes", shown_text(change.notes)
    if evidence := evidence_of(change):
        yield "filled from", shown_text(f"{evidence.asked}, as who submitted it says")
        for field, key in evidence.fields.items():
            yield "", shown_text(f"{field}: {key}")


def show_diffs(page: PendingChangeDiffPage, changes: Mapping[int, AdvisedChange]) -> None:
    """Diffs field by field, critical ones marked; ``changes`` are those that they are of, by id."""
    from rich.text import Text

    from refsync.use_cases.links.evidence import evidence_of

    out = console()
    for diff in page.diffs:
        critical = Text("  critical", style="bold red") if diff.is_critical else Text("")
        heading = f"change {diff.change_id}: {diff.category} {shown_text(diff.model_name)} would be {_net(diff)}"
        out.print(Text(heading, style="bold") + critical, soft_wrap=True)
        if variants := _variants(changes[diff.change_id]):
            out.print(Text(f"  with its variants {variants}"), soft_wrap=True)
        for field in diff.field_diffs:
            out.print(_field(field), soft_wrap=True)
        for remark in changes[diff.change_id].remarks or ():
            out.print(Text(f"  note: {shown_text(remark)}"), soft_wrap=True)
        if evidence := evidence_of(changes[diff.change_id]):
            named = ", ".join(f"{field} ({key})" for field, key in evidence.fields.items())
            told = f"  filled from {evidence.asked}, as who submitted it says: {named}"
            out.print(Text(shown_text(told)), soft_wrap=True)
        for link in changes[diff.change_id].links:
            out.print(Text(f"  link {_link(link)}", style="red" if link.is_wrong else ""), soft_wrap=True)


def _link(link: LinkAnswer) -> str:
    return shown_text(f"{link.url}: {dated(link)}")


def _net(diff: PendingChangeDiff) -> str:
    return {"unchanged": "left as it is"}.get(diff.net_operation, diff.net_operation)


def _field(field: dict[str, Any]) -> Text:
    from rich.text import Text

    mark, style = _CHANGE_STYLES[field["change_type"]]
    old, new = (json_text(field[side]) for side in ("old_value", "new_value"))
    values = {"added": new, "removed": old}.get(field["change_type"], f"{old} -> {new}")
    return Text(f"  {mark} {shown_text(field['field_path'])}: {values}", style=style)
