"""A comparison as a comment for a pull request.

What people typed stands in code spans, so that no mention, link, HTML or table of theirs takes effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from refsync.review.changes import Comparison, FileChanges, ModelChange
from refsync.review.markdown_text import code, field_change, fitting, more, names, row
from refsync.review.rewriting import Rewriting

_MAX_NAMES = 20
_HEADINGS = ("category", "created", "updated", "deleted", "renamed", "critical updates", "unexplained lines")


def render_comparison(comparison: Comparison) -> str:
    """The whole comment; what is too much for one is counted instead of shown."""
    return "\n".join(fitting(_blocks(comparison), "refsync diff")) + "\n"


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
        if changes.members:
            yield ["", "What is no model:", ""]
        yield from ([f"- {field_change(each, marked=False)}"] for each in changes.members)
        if changes.unexplained:
            yield ["", "What no model explains:", ""]
        yield from ([_rewriting(each)] for each in changes.unexplained)
    if comparison.other_files:
        named = [f"{code(each.file)} ({each.change})" for each in comparison.other_files[:_MAX_NAMES]]
        yield ["", f"Other files: {', '.join(named)}{more(comparison.other_files, _MAX_NAMES)}"]


def _summary(categories: list[FileChanges]) -> Iterator[str]:
    yield row(_HEADINGS)
    yield row(["---", *["---:"] * (len(_HEADINGS) - 1)])
    for each in categories:
        yield row([each.category, *map(str, each.counts)])


def _model(change: ModelChange) -> Iterator[str]:
    variants = f" and {len(change.variants)} variants" if change.variants else ""
    critical = " **critical**" if change.touches_critical else ""
    before = "" if change.renamed_from is None else f"{code(change.renamed_from)} to "
    yield f"- **{change.operation}d** {before}{code(change.model)}{variants}{critical}"
    if change.operation != "delete":
        yield from (f"  - {field_change(each, marked=change.touches_critical)}" for each in change.fields)


def _rewriting(rewriting: Rewriting) -> str:
    models = f": {names(rewriting.models, _MAX_NAMES)}" if rewriting.models else ""
    return f"- {rewriting}{models}"
