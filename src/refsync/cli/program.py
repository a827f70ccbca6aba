"""The command line as a whole: which commands there are, each loaded only when it is called, or told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from refsync.cli.context import Context

_VERBS: Mapping[str, str] = {
    "demo": "See the whole story, in some seconds.",
    "init": "Clone a URL or look at a clone; write a config.",
    "run": "Be the daemon, in the foreground, until SIGTERM or Ctrl-C.",
    "serve": "The door: the HTTP API, in the foreground.",
    "login": "Let later commands ask a door.",
    "logout": "Let later commands work on this machine's own store.",
    "sync": "Run one pass; beside a running daemon it waits its turn.",
    "status": "What waits, what is held, why, and what clears it.",
    "diff": "What happened to which models, field by field.",
    "check": "Check the category files of any clone.",
    "merge": "Git's merge driver for category files.",
    "probe": "Whether the links in records hold.",
    "doctor": "What is wrong, and the command that mends it.",
    "backup": "Write queue and metadata to one file.",
    "restore": "Take a backup back.",
}
"""Each a function in the module of its name, with what a listing says of it."""

_NOUNS: Mapping[str, str] = {
    "queue": "Submit changes, and review them.",
    "batch": "See and steer batches.",
    "metadata": "What has happened, per category.",
    "model": "One model: its record, and its history.",
    "config": "Check and show the settings.",
    "store": "The database that the queue is kept in.",
    "token": "Who may come in by the door.",
    "notify": "Whom events are told to.",
}
"""Each an ``app`` with commands of its own, in the module of its name."""

_ELSEWHERE = {"restore": "backup", "logout": "login"}


def program(arguments: Sequence[str] | None = None) -> typer.Typer:
    """The command line as far as these arguments need it; the whole of it without any.

    Where they call a command it has only that one, and where they call none only the names, for a listing: to load and
    build every command takes longer than what most of them do.
    """
    app = typer.Typer(
        name="refsync",
        help="Git-backed GitOps sync for model references: submit, review, commit, record, read.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help, which answers twice as fast
    )
    app.callback()(options)
    every = (*_VERBS, *_NOUNS)
    called = _called(arguments or ())
    if arguments is None:
        for name in every:
            _add(app, name)
    elif called in every:
        _add(app, called)
    else:
        for name in every:
            app.command(name, short_help=_VERBS.get(name) or _NOUNS[name])(_is_listed)
    return app


def _called(arguments: Sequence[str]) -> str | None:
    """The name of the command; ``None`` where there is none, or help is asked for before it."""
    words = iter(arguments)
    for word in words:
        if word == "--config":
            next(words, None)
        elif word == "--help":
            return None
        elif not word.startswith("-"):
            return word
    return None


def _add(app: typer.Typer, name: str) -> None:
    module = import_module(f"refsync.cli.{_ELSEWHERE.get(name, name)}")
    if name in _NOUNS:
        app.add_typer(module.app, name=name, help=_NOUNS[name])
    else:
        app.command(name, short_help=_VERBS[name])(getattr(module, name))


def _is_listed() -> None:
    """Stands for a command in a listing."""


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"refsync {version('refsync')}")
        raise typer.Exit


def options(
    ctx: typer.Context,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="The config file. Default: $REFSYNC_CONFIG, ./refsync.toml, /etc/refsync/refsync.toml.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens, to stderr.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Git-backed GitOps sync for model references: submit, review, commit, record, read."""
    ctx.obj = Context(config_file, verbose)
