"""Options that many commands share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from refsync.pending_queue.models import Actor

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
By = Annotated[str | None, typer.Option("--by", metavar="ID", help="Act as this identity instead of yourself.")]
Username = Annotated[str | None, typer.Option("--username", metavar="NAME", help="The display name of --by.")]

Offset = Annotated[int | None, typer.Option("--offset", metavar="N", help="Leave out the first N.")]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", help="Show at most N.")]
All = Annotated[bool, typer.Option("--all", help="Show all instead of a page.")]


def acting(by: str | None, username: str | None) -> Actor:
    """Who acts: the operating system's user, or the identity that they name; both are kept.

    With ``sudo`` to root it is the one who called it.

    Raises:
        RequestError: ``--username`` without ``--by``.
    """
    from refsync.accounts import acting_account
    from refsync.errors import RequestError
    from refsync.pending_queue.models import Actor

    if username is not None and by is None:
        raise RequestError("--username names the identity of --by: give both")
    user = acting_account(os.environ)
    identity = user if by is None else by
    return Actor(id=identity, username=identity if username is None else username, os_user=user)
