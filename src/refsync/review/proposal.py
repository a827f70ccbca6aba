"""The text of a pull request that proposes a batch: its title and its body, for any forge that reads Markdown.

What people typed stands in code, so that no mention, link, HTML or table of theirs takes effect.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from refsync.pending_queue.diffs import field_changes
from refsync.plain_text import cut, one_line
from refsync.review.markdown_text import code, field_change, html_code, more, names, row

MAX_TITLE_LENGTH = 250
MAX_LENGTH = 65_000
"""In UTF-16 units, where the forge does not say how much it takes."""

_ROOM_FOR_LEFT_OUT = 300
_HEADINGS = ("model", "operation", "asked by", "fields")
_MAX_NAMES = 5
_MAX_FIELDS = 100
_MAX_FIELD_NAME = 80
_MAX_NOTE_LINES = 30
_MAX_NOTE_LINE = 1000
_TOKEN = re.compile(r"^<!-- refsync-job: ([\w-]+) -->\r?$", re.MULTILINE | re.ASCII)

Record = dict[str, Any]


@dataclass(frozen=True)
class ProposedChange:
    """One change of the batch, with the record as it is on the target branch and as it is proposed.

    ``related`` are the models that follow it; ``requested_by`` is the name that is shown.
    """

    change_id: int
    operation: str
    category: str
    model: str
    requested_by: str
    before: Record | None
    after: Record | None
    related: tuple[str, ...] = ()
    notes: str | None = None
    critical_fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Overlap:
    """Somebody else's open pull request that touches some of the same models."""

    number: int
    author: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class _Change:
    """A change with its fields, critical ones first."""

    asked: ProposedChange
    fields: Sequence[dict[str, Any]]

    @property
    def is_critical(self) -> bool:
        return self.asked.operation == "update" and any(each["critical"] for each in self.fields)


@dataclass(frozen=True)
class _Section:
    """Blocks that are each shown whole or not at all, in a share of the room that is left."""

    what: str
    heading: Sequence[str]
    share: float
    blocks: Iterable[str] = field(default_factory=list)


def render_title(title: str, *, batch: int) -> str:
    """The title of the pull request: that of the batch, on one line."""
    return cut(one_line(title), MAX_TITLE_LENGTH) or f"batch {batch}"


def render_body(
    changes: Iterable[ProposedChange],
    *,
    job: str,
    batch: int,
    others: Sequence[Overlap] = (),
    warnings: Sequence[str] = (),
    max_length: int = MAX_LENGTH,
) -> str:
    """The body of the pull request; what is too much is counted instead of shown.

    Args:
        changes: of the batch, in its order.
        job: the reservation token, which :func:`find_token` reads back.
        batch: its number.
        others: open pull requests of people that touch the same models.
        warnings: what a reviewer should know besides, one line each.
        max_length: of the body; the token and the sentence that sums the changes up are always there.
    """
    reviewed = [_Change(each, _fields(each)) for each in changes]
    lines = [f"<!-- refsync-job: {job} -->", "", _summary(reviewed, batch)]
    room = max_length - _length(lines) - _ROOM_FOR_LEFT_OUT
    left_out: list[str] = []
    for section in _sections(reviewed, others, warnings):
        shown, missing = _fitting(section.blocks, int(room * section.share) - _length(section.heading))
        if shown:
            lines += [*section.heading, *shown]
            room -= _length([*section.heading, *shown])
        if missing:
            left_out.append(f"{missing} {section.what}")
    if left_out:
        told = f"Left out, because it is too much for one text: {', '.join(left_out)}."
        lines += ["", f"{told} `refsync queue list --batch {batch}` lists all changes."]
    return "\n".join(lines) + "\n"


def find_token(body: str) -> str | None:
    """The reservation token in the body of a pull request, ``None`` where there is none."""
    found = _TOKEN.search(body)
    return found[1] if found else None


def _fields(change: ProposedChange) -> list[dict[str, Any]]:
    fields = field_changes(change.before, change.after, critical=change.critical_fields)
    return sorted(fields, key=lambda each: not each["critical"])


def _sections(changes: list[_Change], others: Sequence[Overlap], warnings: Sequence[str]) -> Iterator[_Section]:
    """What is shown, in this order, each when the ones before it have taken their room."""
    overlaps = ["", "Open pull requests that touch the same models:", ""]
    yield _Section("open pull requests", overlaps, 0.25, map(_overlap, others))
    yield _Section("warnings", ["", "Warnings:", ""], 0.25, (f"- {code(each)}" for each in warnings))
    yield _Section("rows of the table", ["", row(_HEADINGS), row(["---"] * len(_HEADINGS))], 0.5, map(_row, changes))
    yield _Section("notes", [], 0.5, (_notes(each.asked) for each in changes if _note_lines(each.asked)))
    yield _Section("field diffs", [], 1, (_details(each) for each in changes if each.fields))


def _fitting(blocks: Iterable[str], room: int) -> tuple[list[str], int]:
    """The blocks that there is room for, and how many there is none for."""
    shown: list[str] = []
    left_out = 0
    for block in blocks:
        length = _length([block])
        if length <= room:
            shown.append(block)
            room -= length
        else:
            left_out += 1
    return shown, left_out


def _length(lines: Iterable[str]) -> int:
    """As the strictest forge counts: UTF-16 units, and two for each line's end."""
    return sum(len(line.encode("utf-16-le")) // 2 + line.count("\n") + 2 for line in lines)


def _summary(changes: list[_Change], batch: int) -> str:
    operations = Counter(each.asked.operation for each in changes)
    counts = ", ".join(f"{operations[each]} {each}" for each in ("create", "update", "delete") if operations[each])
    critical = sum(each.is_critical for each in changes)
    told = f"; **{critical} of critical fields**" if critical else ""
    return f"Batch {batch} of refsync: {len(changes)} change{'' if len(changes) == 1 else 's'} ({counts}){told}."


def _overlap(other: Overlap) -> str:
    return f"- #{other.number} by {code(other.author)}: {names(other.models, _MAX_NAMES)}"


def _row(change: _Change) -> str:
    asked = change.asked
    return row([f"{_name(asked)}{_variants(asked)}", asked.operation, code(asked.requested_by), _field_names(change)])


def _name(change: ProposedChange) -> str:
    return f"{change.category} {code(change.model)}"


def _variants(change: ProposedChange) -> str:
    count = len(change.related)
    return f" and {count} variant{'' if count == 1 else 's'}" if count else ""


def _field_names(change: _Change) -> str:
    if change.asked.operation != "update":
        return str(len(change.fields))
    shown = [
        ("**critical** " if each["critical"] else "") + code(cut(each["field_path"], _MAX_FIELD_NAME))
        for each in change.fields[:_MAX_NAMES]
    ]
    return f"{len(change.fields)}: {', '.join(shown)}{more(change.fields, _MAX_NAMES)}" if shown else "0"


def _note_lines(change: ProposedChange) -> list[str]:
    return [line for line in (change.notes or "").splitlines() if line.strip()]


def _notes(change: ProposedChange) -> str:
    """Each line in a code span of its own, for a block of text could be left by a line of it."""
    lines = _note_lines(change)
    shown = [code(cut(line, _MAX_NOTE_LINE)) for line in lines[:_MAX_NOTE_LINES]]
    if len(lines) > _MAX_NOTE_LINES:
        shown.append(f"and {len(lines) - _MAX_NOTE_LINES} more lines")
    quoted = "\\\n".join(f"> {line}" for line in shown)
    return f"\n{code(change.requested_by)} notes on {_name(change)}:\n\n{quoted}"


def _details(change: _Change) -> str:
    asked = change.asked
    lines = [f"- {field_change(each, marked=asked.operation == 'update')}" for each in change.fields[:_MAX_FIELDS]]
    if len(change.fields) > _MAX_FIELDS:
        lines.append(f"- and {len(change.fields) - _MAX_FIELDS} more fields")
    heading = f"{asked.operation} {asked.category} {html_code(asked.model)}{_variants(asked)}"
    return "\n".join(["", f"<details><summary>{heading}</summary>", "", *lines, "", "</details>"])
