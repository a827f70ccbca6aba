"""Changes, diffs and batches for people: tables and coloured fields on a terminal, plain text elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from refsync.cli.output import console, shown_time
from refsync.pending_queue.models import (
    Batch,
    PendingChangeDiff,
    PendingChangeDiffPage,
    PendingChangeRecord,
    PendingQueuePage,
)

_STATUS_STYLES = {
    "pending": "yellow",
    "approved": "cyan",
    "applying": "cyan",
    "applied": "green",
    "rejected": "red",
    "open": "cyan",
    "sealed": "cyan",
    "held": "red",
    "landed": "green",
    "abandoned": "red",
}
_CHANGE_STYLES = {"added": ("+", "green"), "removed": ("-", "red"), "modified": ("~", "yellow")}


def show_changes(page: PendingQueuePage) -> None:
    """A page of changes as a table."""
    rows = [
        (
            str(change.change_id),
            _status(change.status),
            change.operation.value,
            change.category.value,
            shown_text(change.model_name),
            str(change.batch_id or "-"),
            shown_text(change.requested_username),
            ", ".join(map(str, change.conflicts_with or ())) or "-",
        )
        for change in page.items
    ]
    headings = ("id", "status", "what", "category", "model", "batch", "requested by", "rivals")
    out = console()
    if rows:
        out.print(table(headings, rows))
    out.print(f"{len(rows)} of {page.total} changes")


def show_batches(batches: Sequence[Batch]) -> None:
    """Batches as a table."""
    rows = [
        (
            str(batch.number),
            _status(batch.state),
            batch.repository or "-",
            batch.commit[:12] if batch.commit else "-",
            shown_text(batch.title),
            shown_text(batch.reason or "-"),
        )
        for batch in batches
    ]
    out = console()
    if rows:
        out.print(table(("batch", "state", "repository", "commit", "title", "reason"), rows))
    else:
        out.print("no batches")


def show_change(change: PendingChangeRecord) -> None:
    """One change whole: its fields, its payload, its history."""
    out = console()
    out.print(f"change {change.change_id}: {change.operation} {change.category} {shown_text(change.model_name)}")
    for label, value in _facts(change):
        out.print(f"  {label:<13}{value}")
    if change.payload is not None:
        out.print("  payload")
        out.print(_indented(json.dumps(change.payload, indent=2, ensure_ascii=False), "    "))
    out.print("  history")
    for event in change.history or ():
        to = event.to_status or "purged"
        via = f" (as {event.os_user})" if event.os_user and event.os_user != event.by else ""
        why = f": {shown_text(event.why)}" if event.why else ""
        batch = f" in batch {event.batch_id}" if event.batch_id else ""
        out.print(f"    {shown_time(event.at)}  {to}{batch} by {shown_text(event.username)}{via}{why}")


def _facts(change: PendingChangeRecord) -> Iterable[tuple[str, str | Text]]:
    yield "status", change.status.value
    yield "requested", f"{shown_time(change.requested_at)} by {shown_text(change.requested_username)}"
    if change.batch_id:
        yield "batch", f"{change.batch_id}: {shown_text(change.batch_title or '')}"
    if change.commit:
        yield "commit", change.commit
    if change.reject_reason:
        yield "rejected", shown_text(change.reject_reason)
    if change.conflicts_with:
        yield "rivals", ", ".join(map(str, change.conflicts_with))
    if change.notes:
        yield "notes", shown_text(change.notes)


def show_diffs(page: PendingChangeDiffPage) -> None:
    """Diffs field by field, critical ones marked."""
    out = console()
    for diff in page.diffs:
        critical = Text("  critical", style="bold red") if diff.is_critical else Text("")
        heading = f"change {diff.change_id}: {diff.category} {shown_text(diff.model_name)} would be {_net(diff)}"
        out.print(Text(heading, style="bold") + critical)
        for field in diff.field_diffs:
            out.print(_field(field))


def _net(diff: PendingChangeDiff) -> str:
    return {"unchanged": "left as it is"}.get(diff.net_operation, diff.net_operation)


def _field(field: dict[str, Any]) -> Text:
    mark, style = _CHANGE_STYLES[field["change_type"]]
    old, new = (json.dumps(field[side], ensure_ascii=False) for side in ("old_value", "new_value"))
    values = {"added": new, "removed": old}.get(field["change_type"], f"{old} -> {new}")
    return Text(f"  {mark} {shown_text(field['field_path'])}: {shown_text(values)}", style=style)


def table(headings: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A plain table that folds long cells instead of cutting them."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def shown_text(text: str) -> str:
    """Text that people typed, without what a terminal would obey."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def _status(status: str) -> Text:
    return Text(status, style=_STATUS_STYLES.get(status, ""))


def _indented(text: str, margin: str) -> str:
    return "\n".join(margin + line for line in text.splitlines())
