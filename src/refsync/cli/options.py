"""Options that many commands share."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from refsync.pending_queue.models import Actor

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
By = Annotated[str | None, typer.Option("--by", metavar="ID", help="Act as this identity instead of yourself.")]
Username = Annotated[str | None, typer.Option("--username", metavar="NAME", help="The display name of --by.")]


def acting(by: str | None, username: str | None) -> Actor:
    """Who acts: the operating system's user, or the identity that they name; both are kept.

    With ``sudo`` it is the one who called it.

    Raises:
        RequestError: ``--username`` without ``--by``.
    """
    from refsync.errors import RequestError
    from refsync.pending_queue.models import Actor

    if username is not None and by is None:
        raise RequestError("--username names the identity of --by: give both")
    user = operating_system_user()
    return Actor(id=by or user, username=username or by or user, os_user=user)


def operating_system_user() -> str:
    """The login name of who runs the command."""
    if os.geteuid() == 0 and os.environ.get("SUDO_USER"):
        return os.environ["SUDO_USER"]
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return str(os.getuid())
