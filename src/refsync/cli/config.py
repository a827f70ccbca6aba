"""``refsync config``: is the configuration good, and what is in force."""

from __future__ import annotations

import json

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import note, print_json, shown_text

app = typer.Typer(no_args_is_help=True)


@app.command()
def check(ctx: typer.Context, as_json: Json = False) -> None:
    """Validate the config file and the REFSYNC_ variables; tell each mistake with its key and reason.

    A mistake is also a category file that the config lists and its clone, if it is there, has not.
    """
    from refsync.use_cases.settings import check_config

    verdict = check_config(context_of(ctx).config_place())
    if as_json:
        print_json(verdict)
    for problem in verdict.problems:  # all, where a command that needs the settings tells only the first
        note(problem)
    if not verdict.valid:
        raise typer.Exit(1)
    if not as_json:
        names, categories = ", ".join(verdict.categories), sum(verdict.categories.values())
        typer.echo(shown_text(f"{verdict.file}: good; repositories: {names}; categories: {categories}"))


@app.command()
def show(ctx: typer.Context, as_json: Json = False) -> None:
    """Show every setting in force and where it came from: default, file or environment."""
    from refsync.use_cases.settings import show_config

    shown = show_config(context_of(ctx).config_place())
    if as_json:
        print_json(shown)
        return
    typer.echo(shown_text(f"# {shown.file}"))
    for key, setting in shown.settings.items():
        typer.echo(shown_text(f"{setting.source:<11}  {key} = {json.dumps(setting.value, ensure_ascii=False)}"))
