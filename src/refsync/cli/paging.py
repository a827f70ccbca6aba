"""Long lists: which part is shown, what there is more of, and how to get that."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import typer

from refsync.cli.output import counted, json_lines

if TYPE_CHECKING:
    from pydantic import BaseModel

    from refsync.use_cases.paging import Window

Item = TypeVar("Item")


def check_one_of(offset: int | None, limit: int | None, everything: bool) -> None:
    """Refuse a page of all.

    Raises:
        RequestError: ``--all`` with ``--offset`` or ``--limit``.
    """
    from refsync.errors import RequestError

    if everything and (offset is not None or limit is not None):
        raise RequestError("--all shows all, --offset and --limit a part: give one or the other")


def part_of(
    items: Sequence[Item], offset: int | None, limit: int | None, *, everything: bool = False, json: bool = False
) -> tuple[Sequence[Item], Window]:
    """The part of a list that is asked for: the newest page unless told otherwise, but all of a JSON document.

    Raises:
        RequestError: ``--all`` with a part, or a part that cannot be.
    """
    from refsync.use_cases.paging import window

    check_one_of(offset, limit, everything)
    whole = everything or (json and offset is None and limit is None)
    view = window(len(items), 0, len(items)) if whole else window(len(items), offset, limit)
    return items[view.offset : view.offset + view.shown], view


def show_rest(what: str, command: Sequence[str], view: Window, arguments: Sequence[str] = ()) -> None:
    """How many were shown of how many, and the commands that show the others."""
    total = counted(view.total, what)
    if view.shown == view.total:
        typer.echo(total)
        return
    limit = str(view.limit or "")
    typer.echo(f"{view.shown} of {total}, the newest last")
    for label, offset in (("before", view.previous), ("after", view.next)):
        if offset is not None:
            size = str(min(view.limit or 0, view.offset)) if label == "before" else limit
            typer.echo(f"{label:<7}{_line(command, '--offset', str(offset), '--limit', size, *arguments)}")
    typer.echo(f"{'all':<7}{_line(command, '--all', *arguments)}")


def print_json_items(items: Iterable[BaseModel]) -> None:
    """A page with all items as one JSON document, printed as they come."""
    typer.echo('{\n  "items": [', nl=False)
    count = 0
    for count, item in enumerate(items, start=1):
        text = json_lines(item.model_dump(mode="json"), indent="    ")
        typer.echo(f"{',' if count > 1 else ''}\n    {text}", nl=False)
    rest = {"total": count, "offset": 0, "limit": None, "previous": None, "next": None}
    typer.echo(f"{chr(10) + '  ' if count else ''}],\n  {json.dumps(rest)[1:-1]}\n}}")


def _line(command: Sequence[str], *more: str) -> str:
    return shlex.join(["refsync", *command, *more])
