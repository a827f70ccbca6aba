"""``refsync init``: from a URL, or an existing clone, to a config file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refsync.categories import Layout
from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import print_json, progress_bar, shown_text

if TYPE_CHECKING:
    from refsync.use_cases.init import NewConfig

_STATE_HELP = "The state directory; else /var/lib/refsync where this user may write there, or ~/.local/state/refsync."


class Publish(StrEnum):
    """How batches are published."""

    local = "local"
    push = "push"
    branch = "branch"
    pull_request = "pull_request"


def init(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="An existing clone, or the URL to clone from.", metavar="PATH|URL")],
    path: Annotated[Path | None, typer.Argument(help="Where to clone to; else ./ and the URL's last part.")] = None,
    name: Annotated[str | None, typer.Option(help="The repository's name; else that of its folder.")] = None,
    layout: Annotated[Layout | None, typer.Option(help="Where the clone keeps its files; else as found.")] = None,
    branch: Annotated[str | None, typer.Option(help="The target branch; else the one checked out.")] = None,
    state: Annotated[Path | None, typer.Option(help=_STATE_HELP, metavar="DIR")] = None,
    publish: Annotated[
        Publish | None,
        typer.Option(help="How batches land; else pull_request from github.com, branch from elsewhere."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token for the remote.", metavar="FILE")
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(
            help="The file of a category with another name than usual, or of one of your own; repeatable.",
            metavar="NAME=FILE[:RECORDS]",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing config file.")] = False,
    as_json: Json = False,
) -> None:
    """Look at a clone, or make one of a URL, find its category files, and write a config file for it."""
    from refsync.use_cases.init import Wanted, write_config
    from refsync.use_cases.survey import named_files

    written = write_config(
        source,
        path,
        Wanted(name, layout, branch, state, publish, token_file, named_files(category or ())),
        target=Path(os.path.abspath(context_of(ctx).config_file or "refsync.toml")),
        force=force,
        cloning=progress_bar("Cloning", shown=not as_json),
    )
    if as_json:
        print_json(written)
    else:
        typer.echo("\n".join(map(shown_text, _told(written))))


def _told(written: NewConfig) -> Iterator[str]:
    repository = written.repository
    yield f"Wrote {written.file}"
    yield f"  repository {repository.name}: {repository.path}, branch {repository.branch}, layout {repository.layout}"
    yield f"  publish {repository.publish}; state in {written.state_directory}"
    yield "Category files:"
    width = max(map(len, written.categories))
    yield from (f"  {category:<{width}}  {file}" for category, file in written.categories.items())
    if written.left_out:
        yield "Left out:"
        yield from (f"  {file}: {reason}" for file, reason in written.left_out.items())
    for file, lines in written.offered.items():
        yield f"{file} could be a category of your own, by these lines in the config:"
        yield from (f"  {line}" for line in lines.splitlines())
    yield "Next:"
    yield from (f"  {command}" for command in written.next)
