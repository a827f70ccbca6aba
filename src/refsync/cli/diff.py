"""``refsync diff``: what people did to which models, for reviewers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import console, counted, json_text, print_json, shown_text
from refsync.cli.revisions import Base, Directory, Head

if TYPE_CHECKING:
    from rich.text import Text

    from refsync.review.changes import Comparison, FileChanges, ModelChange
    from refsync.review.rewriting import Rewriting
    from refsync.use_cases.clones import Question

_OPERATION_STYLES = {"create": "green", "update": "yellow", "delete": "red", "rename": "cyan"}
_FIELD_STYLES = {"added": ("+", "green"), "removed": ("-", "red"), "modified": ("~", "yellow")}
_HEADINGS = ("created", "updated", "deleted", "renamed", "critical", "unexplained lines")
_MOST_NAMES = 5
_MOST_MODELS = 500  # of a file; beyond, nobody reads them one by one
_MOST_FILES = 100


def diff(
    ctx: typer.Context,
    base: Base = None,
    head: Head = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a comment for a pull request.")] = False,
    directory: Directory = Path(),
    everything: Annotated[bool, typer.Option("--all", help="Print all models, however many there are.")] = False,
    json: Json = False,
) -> None:
    """What happened to which models between two revisions, or since one (default: HEAD) in the work tree."""
    from refsync.errors import RequestError
    from refsync.use_cases.clones import compare_revisions

    if json and markdown:
        raise RequestError("--json and --markdown: give one of them")
    answer = compare_revisions(question_of(ctx, directory, base or "HEAD", head))
    if json:
        print_json(answer)
    elif markdown:
        from refsync.review.markdown import render_comparison

        typer.echo(render_comparison(answer.root), nl=False)
    else:
        _show(answer.root, None if everything else _MOST_MODELS)


def question_of(ctx: typer.Context, directory: Path, base: str | None, head: str | None) -> Question:
    """What the command line asks about."""
    from refsync.use_cases.clones import Question

    return Question(directory, base, head, context_of(ctx).config_place())


def _show(comparison: Comparison, most: int | None) -> None:
    for changes in comparison.categories:
        for line, indent in _told(changes, most):
            _print(line, indent)
    _show_summary(comparison.categories)
    if comparison.other_files:
        shown = comparison.other_files[: None if most is None else _MOST_FILES]
        named = ", ".join(f"{shown_text(each.file)} ({each.change})" for each in shown)
        more = len(comparison.other_files) - len(shown)
        typer.echo(f"other files: {named}{f' and {more} more; --all shows them' if more else ''}")


def _print(line: Text, indent: int) -> None:
    """Print on one line or, on a terminal, on as many as it takes, the further ones indented."""
    out = console()
    if not out.is_terminal:
        typer.echo(" " * indent + line.plain)
        return
    for number, part in enumerate(line.wrap(out, out.width - indent - 2)):
        out.print(" " * (indent + 2 * bool(number)), part, sep="")


def _told(changes: FileChanges, most: int | None) -> Iterator[tuple[Text, int]]:
    """Each line with its indentation, of at most so many models."""
    from rich.text import Text

    yield Text(f"{changes.category}: {changes.file}", style="bold"), 0
    for problem in changes.problems:
        yield Text(f"cannot be compared: {shown_text(problem)}", style="red"), 2
    for model in changes.models[:most]:
        yield _heading(model), 2
        if model.operation != "delete":
            yield from ((_field(field, marked=model.touches_critical), 4) for field in model.fields)
    if most is not None and len(changes.models) > most:
        yield Text(f"and {counted(len(changes.models) - most, 'more model')}; --all shows them"), 2
    if changes.members:
        yield Text("what is no model", style="bold"), 2
    yield from ((_field(field, marked=False), 4) for field in changes.members)
    if changes.unexplained:
        yield Text("what no model explains", style="magenta"), 2
    yield from ((Text(_rewriting(each), style="magenta"), 4) for each in changes.unexplained)


def _heading(model: ModelChange) -> Text:
    from rich.text import Text

    variants = f" and {counted(len(model.variants), 'variant')}" if model.variants else ""
    before = "" if model.renamed_from is None else f"{shown_text(model.renamed_from)} to "
    told = f"{model.operation}d {before}{shown_text(model.model)}{variants}"
    line = Text(told, style=_OPERATION_STYLES[model.operation])
    return line.append("  critical", style="bold red") if model.touches_critical else line


def _field(field: dict[str, Any], *, marked: bool) -> Text:
    from rich.text import Text

    mark, style = _FIELD_STYLES[field["change_type"]]
    old, new = (json_text(field[side]) for side in ("old_value", "new_value"))
    values = {"added": new, "removed": old}.get(field["change_type"], f"{old} -> {new}")
    line = Text(f"{mark} {shown_text(field['field_path'])}: {values}", style=style)
    return line.append("  critical", style="bold red") if marked and field["critical"] else line


def _rewriting(rewriting: Rewriting) -> str:
    names = ", ".join(map(shown_text, rewriting.models[:_MOST_NAMES]))
    more = len(rewriting.models) - _MOST_NAMES
    return f"{rewriting}{f'; {names}' if names else ''}{f' and {more} more' if more > 0 else ''}"


def _show_summary(categories: list[FileChanges]) -> None:
    from refsync.cli.table import print_table

    if not categories:
        typer.echo("no category file differs")
        return
    columns = list(zip(*(each.counts for each in categories), strict=True))
    kept = [place for place, column in enumerate(columns) if any(column)]
    if not kept:
        return
    typer.echo()
    print_table(
        ("category", *(_HEADINGS[place] for place in kept)),
        [(_label(each, categories), *(str(each.counts[place]) for place in kept)) for each in categories],
    )


def _label(changes: FileChanges, categories: list[FileChanges]) -> str:
    several = sum(each.category == changes.category for each in categories) > 1
    return f"{changes.category} ({changes.format})" if several else changes.category
