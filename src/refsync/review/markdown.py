"""A comparison as a comment for a pull request.

What people typed stands in code spans, so that no mention, link, HTML or table of theirs takes effect.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from refsync.review.changes import Comparison, FileChanges, ModelChange
from refsync.review.rewriting import Rewriting

MAX_LENGTH = 60_000
"""A forge takes some 65,000 characters."""

_MAX_VALUE = 200
_MAX_NAMES = 20
_MARKS = {"added": "added", "removed": "removed", "modified": "changed"}
_HEADINGS = ("category", "created", "updated", "deleted", "critical updates", "unexplained lines")


def render_comparison(comparison: Comparison) -> str:
    """The whole comment; what is too much for one is counted instead of shown."""
    lines: list[str] = []
    length = left_out = 0
    for block in _blocks(comparison):
        length += sum(map(len, block)) + len(block)
        if length > MAX_LENGTH:
            left_out += 1
        else:
            lines += block
    if left_out:
        lines += ["", f"And {left_out} more, too many for one comment: `refsync diff` shows them all."]
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """Text on one line in a code span that it cannot leave."""
    shown = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text) or '""'
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    pad = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _blocks(comparison: Comparison) -> Iterator[list[str]]:
    """What is shown whole or not at all."""
    if not comparison.categories:
        yield ["No category file differs."]
    else:
        yield list(_summary(comparison.categories))
    for changes in comparison.categories:
        yield ["", f"#### {changes.category} ({code(changes.file)})", ""]
        yield from ([f"- **cannot be compared**: {code(problem)}"] for problem in changes.problems)
        yield from (list(_model(model)) for model in changes.models)
        if changes.unexplained:
            yield ["", "What no model explains:", ""]
        yield from ([_rewriting(each)] for each in changes.unexplained)
    if comparison.other_files:
        named = [f"{code(each.file)} ({each.change})" for each in comparison.other_files[:_MAX_NAMES]]
        yield ["", f"Other files: {', '.join(named)}{_more(len(comparison.other_files))}"]


def _summary(categories: list[FileChanges]) -> Iterator[str]:
    yield _row(_HEADINGS)
    yield _row(["---", *["---:"] * (len(_HEADINGS) - 1)])
    for each in categories:
        yield _row([each.category.value, *map(str, each.counts)])


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _model(change: ModelChange) -> Iterator[str]:
    variants = f" and {len(change.variants)} variants" if change.variants else ""
    critical = " **critical**" if change.critical and change.operation == "update" else ""
    yield f"- **{change.operation}d** {code(change.model)}{variants}{critical}"
    if change.operation != "delete":
        yield from (f"  - {_field(each, change.operation)}" for each in change.fields)


def _field(field: dict[str, Any], operation: str) -> str:
    old, new = (_value(field[side]) for side in ("old_value", "new_value"))
    values = {"added": new, "removed": old}.get(field["change_type"], f"{old} → {new}")
    critical = "**critical** " if field["critical"] and operation == "update" else ""
    return f"{critical}{_MARKS[field['change_type']]} {code(field['field_path'])}: {values}"


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return code(text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 1] + "…")


def _rewriting(rewriting: Rewriting) -> str:
    names = ", ".join(map(code, rewriting.models[:_MAX_NAMES]))
    models = f": {names}{_more(len(rewriting.models))}" if names else ""
    return f"- {rewriting}{models}"


def _more(number: int) -> str:
    return f" and {number - _MAX_NAMES} more" if number > _MAX_NAMES else ""
