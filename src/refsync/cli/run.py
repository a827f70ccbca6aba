"""``refsync run``."""

from __future__ import annotations

import os

import typer

from refsync.cli.context import context_of


def run(ctx: typer.Context) -> None:
    """Be the daemon, in the foreground, until SIGTERM or Ctrl-C."""
    from refsync.daemon.service import serve

    context = context_of(ctx)
    level = {"REFSYNC_LOG__LEVEL": "DEBUG"} if context.verbose else {}
    serve(context.found_config_file(), {**os.environ, **level})
