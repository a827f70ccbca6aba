"""``refsync backup`` and ``refsync restore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import counted, note, print_json, shown_text, shown_time

if TYPE_CHECKING:
    from refsync.use_cases.backup import Backup

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


def backup(
    ctx: typer.Context,
    file: File,
    force: Annotated[bool, typer.Option("--force", help="Replace a backup that stands there.")] = False,
    json: Json = False,
) -> None:
    """Write queue and metadata, as they are at one moment, to one file; the daemon may work meanwhile."""
    from refsync.use_cases.backup import backup as make

    context = context_of(ctx)
    with context.application() as application:
        made = make(application, context.found_config_file(), file, force=force)
    print_json(made) if json else _show("wrote", made)
    if made.changes is None:
        note("the queue lies on a server and is not in it; that has a tool of its own, as pg_dump is PostgreSQL's")


def restore(
    ctx: typer.Context,
    file: File,
    force: Annotated[bool, typer.Option("--force", help="Replace a queue that holds something.")] = False,
    json: Json = False,
) -> None:
    """Replace queue and metadata by those of a backup, while no daemon runs."""
    from refsync.use_cases.backup import restore as take_back

    restored = take_back(context_of(ctx).config(), file, force=force)
    print_json(restored) if json else _show("restored", restored)


def _show(what: str, backup: Backup) -> None:
    queue = "no queue" if backup.changes is None else counted(backup.changes, "change")
    metadata = ", ".join(backup.repositories)
    typer.echo(f"{what} {shown_text(backup.file)}: {queue}, metadata of {metadata}, as of {shown_time(backup.made_at)}")
