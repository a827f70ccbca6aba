"""``refsync merge``: git's merge driver for category files."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.output import counted, json_text, note
from refsync.cli.revisions import Directory
from refsync.commands import command, git_command

if TYPE_CHECKING:
    from refsync.use_cases.merging import ConflictAnswer, InstalledAnswer, MergeAnswer

_MOST = 5
_KINDS = {"we_removed": "we removed what they changed", "they_removed": "they removed what we changed"}

Version = Annotated[Path | None, typer.Argument(show_default=False)]


def merge(
    ctx: typer.Context,
    base: Version = None,
    ours: Version = None,
    theirs: Version = None,
    file: Annotated[str | None, typer.Argument(help="The file's path in the clone.", show_default=False)] = None,
    install: Annotated[bool, typer.Option("--install", help="Have git merge the clone's category files so.")] = False,
    directory: Directory = Path(),
) -> None:
    """Merge THEIRS into OURS, record by record, as a landing does; git calls it with %O %A %B %P."""
    from refsync.errors import RequestError
    from refsync.use_cases.merging import install_driver, merge_in_place

    if install:
        _tell_installed(install_driver(directory, context_of(ctx).config_place(), _program()))
        return
    if base is None or ours is None or theirs is None:
        raise RequestError(
            "merge takes the files BASE OURS THEIRS, and is mostly called by git; "
            f"to have git call it in this clone: {command('refsync', 'merge', '--install')}"
        )
    answer = merge_in_place(base, ours, theirs, file or str(ours), context_of(ctx).config_place())
    note(f"refsync: {answer.file}: {'; '.join(_told(answer))}")
    if not answer.is_merged:
        raise typer.Exit(1)


def _program() -> list[str]:
    """How git finds this refsync: by its name, if the shell would find the same one."""
    here = Path(sys.argv[0]).absolute()
    found = shutil.which("refsync")
    if found is not None and Path(found).resolve() == here.resolve():
        return ["refsync"]
    return [command(here)] if here.name == "refsync" else [command(sys.executable, "-m", "refsync.cli.main")]


def _told(answer: MergeAnswer) -> Iterator[str]:
    if answer.as_text is not None:
        yield f"merged as text, since it cannot be merged record by record: {answer.as_text}"
        if answer.text_conflicts:
            yield f"{counted(answer.text_conflicts, 'conflict')}, marked in the file"
        return
    taken = [(answer.created, "created"), (answer.updated, "updated"), (answer.deleted, "deleted")]
    parts = [f"{verb} {_names(models)}" for models, verb in taken if models]
    yield f"took theirs: {', '.join(parts)}" if parts else "nothing of theirs to take"
    if answer.conflicts:
        shown = [_conflict(each) for each in answer.conflicts[:_MOST]]
        more = len(answer.conflicts) - _MOST
        yield f"{counted(len(answer.conflicts), 'conflict')}, marked in the file"
        yield from [*shown, f"and {more} more"] if more > 0 else shown


def _names(models: list[str]) -> str:
    shown = ", ".join(json_text(each) for each in models[:_MOST])
    return shown if len(models) <= _MOST else f"{shown} and {len(models) - _MOST} more"


def _conflict(conflict: ConflictAnswer) -> str:
    return f"{json_text(conflict.model)}: {conflict.difference or _KINDS[conflict.kind]}"


def _tell_installed(answer: InstalledAnswer) -> None:
    typer.echo(
        f"git merges {counted(len(answer.files), 'file')} of {answer.clone} by refsync: {', '.join(answer.files)}"
    )
    if answer.added:
        typer.echo(
            "added to .gitattributes; for the others, who run the same command, commit it: "
            f"{git_command(answer.clone, 'add', '.gitattributes')} && "
            f"{git_command(answer.clone, 'commit', '-m', 'Merge category files record by record')}"
        )
