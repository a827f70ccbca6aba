"""``refsync config``: is the configuration good, and what is in force."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import note, print_json
from refsync.errors import ConfigError

app = typer.Typer(help="Check and show the settings.", no_args_is_help=True)


@app.command()
def check(ctx: typer.Context, as_json: Json = False) -> None:
    """Validate the config file and the REFSYNC_ variables; tell each mistake with its key and reason."""
    from refsync.config import find_config_file, load_config

    path: Path | None = None
    try:
        path = find_config_file(context_of(ctx).config_file, os.environ)
        config = load_config(path, os.environ)
    except ConfigError as error:
        _refuse(path, error, as_json)
    if as_json:
        print_json(_verdict(path, ()))
    else:
        categories = sum(len(repository.files) for repository in config.repositories)
        names = ", ".join(repository.name for repository in config.repositories)
        typer.echo(f"{path}: good; repositories: {names}; categories: {categories}")


@app.command()
def show(ctx: typer.Context, as_json: Json = False) -> None:
    """Show every setting in force and where it came from: default, file or environment."""
    from refsync.config import find_config_file, sources

    path = find_config_file(context_of(ctx).config_file, os.environ)
    settings = sources(path, os.environ)
    if as_json:
        values = {key: {"value": value, "source": source} for key, (value, source) in settings.items()}
        print_json({"file": str(path), "settings": values})
        return
    typer.echo(f"# {path}")
    for key, (value, source) in settings.items():
        typer.echo(f"{source:<11}  {key} = {json.dumps(value, ensure_ascii=False)}")


def _refuse(path: Path | None, error: ConfigError, as_json: bool) -> NoReturn:
    """Tell all problems, where a command that needs the settings tells only the first."""
    if as_json:
        print_json(_verdict(path, error.problems))
    for problem in error.problems:
        note(problem)
    raise typer.Exit(1) from None


def _verdict(path: Path | None, problems: tuple[str, ...]) -> dict[str, Any]:
    return {"file": path and str(path), "valid": not problems, "problems": list(problems)}
