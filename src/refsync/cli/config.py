"""``refsync config``: is the configuration good, and what is in force."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import note, print_json
from refsync.errors import ConfigError

if TYPE_CHECKING:
    from refsync.config import Config, RepositorySettings

app = typer.Typer(help="Check and show the settings.", no_args_is_help=True)


@app.command()
def check(ctx: typer.Context, as_json: Json = False) -> None:
    """Validate the config file and the REFSYNC_ variables; tell each mistake with its key and reason.

    A mistake is also a category file that the config lists and its clone, if it is there, has not.
    """
    from refsync.config import find_config_file, load_config

    path: Path | None = None
    try:
        path = find_config_file(context_of(ctx).config_file, os.environ)
        config = load_config(path, os.environ)
        if missing := list(_missing_files(path, config)):
            raise ConfigError(*missing)
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


def _missing_files(path: Path, config: Config) -> Iterator[str]:
    """A line for each category file that is listed and is not in its clone: neither at the branch's tip nor by hand."""
    for repository in config.repositories:
        for category, file in repository.categories.items():
            if repository.path.is_dir() and not _has_file(repository, file):
                key = f"{path}: repository.{repository.name}.categories.{category}"
                yield f"{key}: {repository.path} has no file {file!r}; correct the name, or add the file"


def _has_file(repository: RepositorySettings, file: str) -> bool:
    from refsync.clone.repository import Repository
    from refsync.errors import RefsyncError

    if (repository.path / file).is_file():
        return True
    try:
        with Repository(repository.path, repository.branch) as clone:
            return clone.file_at(clone.tip(), file) is not None  # a sparse clone need not have it in its work tree
    except RefsyncError:
        return False


def _refuse(path: Path | None, error: ConfigError, as_json: bool) -> NoReturn:
    """Tell all problems, where a command that needs the settings tells only the first."""
    if as_json:
        print_json(_verdict(path, error.problems))
    for problem in error.problems:
        note(problem)
    raise typer.Exit(1) from None


def _verdict(path: Path | None, problems: tuple[str, ...]) -> dict[str, Any]:
    return {"file": path and str(path), "valid": not problems, "problems": list(problems)}
