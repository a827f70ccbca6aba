"""``refsync serve``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from refsync.cli.context import context_of


def serve(
    ctx: typer.Context,
    bind: Annotated[
        str | None, typer.Option("--bind", metavar="ADDRESS:PORT", help="Listen there; '' on no port.")
    ] = None,
    uds: Annotated[
        Path | None,
        typer.Option(
            "--uds", metavar="PATH", help="Listen on this Unix socket, and on no port unless --bind names one."
        ),
    ] = None,
) -> None:
    """Be the door, in the foreground, until SIGTERM or Ctrl-C: the HTTP API of queue and records, and the page."""
    check_extra("refsync serve")
    from refsync.http.server import serve as run

    context = context_of(ctx)
    given = {"REFSYNC_LOG__LEVEL": "DEBUG"} if context.verbose else {}
    if uds is not None:
        given |= {"REFSYNC_SERVE__SOCKET": str(uds.absolute()), "REFSYNC_SERVE__BIND": ""}
    if bind is not None:
        given["REFSYNC_SERVE__BIND"] = bind
    run(context.found_config_file(), {**os.environ, **given})


def check_extra(asked: str) -> None:
    """Refuse to go on without what only the door needs; ``asked`` is the command that does.

    Raises:
        ConfigError: it is not installed; the text has the command that does so.
    """
    from importlib.util import find_spec

    from refsync.commands import install_command
    from refsync.errors import ConfigError

    if not all(find_spec(each) for each in ("fastapi", "uvicorn", "jinja2")):
        raise ConfigError(f"{asked} needs FastAPI, uvicorn and Jinja2; install them: {install_command('serve')}")
