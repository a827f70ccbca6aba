"""``refsync run``."""

from __future__ import annotations

import os

import typer

from refsync.cli.context import context_of


def run(ctx: typer.Context) -> None:
    """Be the daemon, in the foreground, until SIGTERM or Ctrl-C."""
    from refsync.daemon.service import serve

    serve(context_of(ctx).found_config_file(), os.environ)
