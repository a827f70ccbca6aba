"""``refsync login`` and ``logout``: which door later commands ask."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from refsync.cli.output import shown_text


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="https://HOST, or unix:/PATH of the door's socket.")],
) -> None:
    """Let later commands ask this door; asks for the token, and keeps it for you alone."""
    from refsync.client.login import Login, check_token, check_url, keep
    from refsync.client.there import There

    address = check_url(url)
    found = Login(address, "" if address.startswith("unix:") else check_token(_asked_token()))
    with There(found) as there:
        roles = there.roles()
    path = keep(found, os.environ)
    names = " and ".join(map(str, roles.get("roles", ()))) or "nobody who may change anything"
    who = shown_text(f"{roles.get('username')} ({roles.get('user_id')})")
    typer.echo(f"{who} is {shown_text(names)} at {address}; kept in {path}")


def logout() -> None:
    """Let later commands work on this machine's own store again."""
    from refsync.client.login import forget

    typer.echo("the login is forgotten" if forget(os.environ) else "there was no login")


def _asked_token() -> str:
    """Typed without an echo, or read from a pipe; ``REFSYNC_TOKEN`` where it is set."""
    if given := os.environ.get("REFSYNC_TOKEN"):
        return given
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass("token: ").strip()
    return sys.stdin.readline().strip()
