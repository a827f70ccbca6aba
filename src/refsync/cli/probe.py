"""``refsync probe``: whether the links in records hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import note, print_json, progress_bar, shown_text

if TYPE_CHECKING:
    from refsync.use_cases.links.probing import LinkAnswers


def probe(
    ctx: typer.Context,
    category: Annotated[str | None, typer.Argument(help="One category; all by default.", show_default=False)] = None,
    models: Annotated[list[str] | None, typer.Argument(help="Some of its models.", show_default=False)] = None,
    again: Annotated[bool, typer.Option("--again", help="Ask also about what was asked a short while ago.")] = False,
    json: Json = False,
) -> None:
    """Ask hosts whether the files that records link to are there, with the hash and size that they tell."""
    from refsync.use_cases.links.probing import prepare_probe

    context = context_of(ctx)
    with context.application() as application:
        name = None if category is None else context.category(category)
        found = prepare_probe(application, name, models or [], again=again)
        with progress_bar("probing", shown=not json) as tell:
            for progress in found.run():
                if tell is not None:
                    tell(progress.done, progress.total)
        answers = found.answers()
    print_json(answers) if json else _show(answers)
    if not answers.are_good:
        raise typer.Exit(1)


def _show(answers: LinkAnswers) -> None:
    from refsync.cli.links import summary, told

    for link in answers.root:
        if link.verdict != "good":
            typer.echo(shown_text(f"{link.category} {link.model_name}: {told(link)}: {link.url}"))
    note(summary(answers.root))
