"""``refsync``: the commands put together, and what becomes of their failures."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from refsync.cli import (
    backup,
    batch,
    check,
    config,
    demo,
    diff,
    doctor,
    init,
    merge,
    metadata,
    model,
    probe,
    queue,
    run,
    serve,
    status,
    sync,
    token,
)
from refsync.cli.context import Context
from refsync.errors import RefsyncError, told

EXIT_REFUSED = 1
EXIT_BUG = 3
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="refsync",
    help="Git-backed GitOps sync for model references: submit, review, commit, record, read.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help, which answers twice as fast
)
app.command("demo", short_help="See the whole story, in some seconds.")(demo.demo)
app.command("init", short_help="Clone a URL or look at a clone; write a config.")(init.init)
app.command("run")(run.run)
app.command("serve", short_help="The door: the HTTP API, in the foreground.")(serve.serve)
app.command("sync")(sync.sync)
app.command("status", short_help="What waits, what is held, why, and what clears it.")(status.status)
app.command("diff", short_help="What happened to which models, field by field.")(diff.diff)
app.command("check", short_help="Check the category files of any clone.")(check.check)
app.command("merge", short_help="Git's merge driver for category files.")(merge.merge)
app.command("probe", short_help="Whether the links in records hold.")(probe.probe)
app.command("doctor", short_help="What is wrong, and the command that mends it.")(doctor.doctor)
app.command("backup", short_help="Write queue and metadata to one file.")(backup.backup)
app.command("restore", short_help="Take a backup back.")(backup.restore)
app.add_typer(queue.app, name="queue")
app.add_typer(batch.app, name="batch")
app.add_typer(metadata.app, name="metadata")
app.add_typer(model.app, name="model")
app.add_typer(config.app, name="config")
app.add_typer(token.app, name="token")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"refsync {version('refsync')}")
        raise typer.Exit


@app.callback()
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


def main() -> None:
    """The ``refsync`` program."""
    _lead_closed_streams_nowhere()
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code: 0 done, 1 refused, 2 wrong usage, 3 a bug, 130 interrupted."""
    _quiet_log("--verbose" in arguments or "-v" in arguments)
    _print_what_the_terminal_can()
    try:
        code = app(args=list(arguments), prog_name="refsync", standalone_mode=False)
        sys.stdout.flush()
    except RefsyncError as refusal:
        return _refuse(str(refusal))
    except BrokenPipeError:  # the reader of our output left, which is no news
        _drop_output()
        return EXIT_REFUSED
    except OSError as problem:
        _drop_output()
        return _refuse(_why(problem))
    except Exception as problem:
        return _end_badly(problem)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


def _lead_closed_streams_nowhere() -> None:
    """Of a stream that the caller closed, the next file that is opened would take the place: the store's, say."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest that is free, which is this one
            setattr(sys, name, os.fdopen(nowhere, mode, closefd=nowhere != descriptor))


def _quiet_log(verbose: bool) -> None:
    """A command says itself what it did; its log is for those who ask."""
    if verbose:
        from refsync.log import configure

        configure("DEBUG")
    else:
        os.environ["LOGURU_AUTOINIT"] = "0"  # loguru then starts silent, and --help need not import it


def _print_what_the_terminal_can() -> None:
    """A character that the terminal's encoding lacks is shown by its number, and stops nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Where stdout cannot take what is left, Python would say so once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _refuse(text: str) -> int:
    from refsync.cli.output import shown_text

    print(f"refsync: {shown_text(' '.join(text.splitlines()))}", file=sys.stderr)
    return EXIT_REFUSED


def _why(problem: OSError) -> str:
    try:
        os.getcwd()
    except OSError:
        return "the current folder is gone; go to one that is there: cd"
    return told(problem)


def _end_badly(problem: Exception) -> int:
    """Wrong usage and interruption come as typer's own exceptions; what is left is a bug."""
    if isinstance(problem, typer.Abort):
        return EXIT_INTERRUPTED
    show, code = getattr(problem, "show", None), getattr(problem, "exit_code", None)
    if callable(show) and isinstance(code, int):
        show()
        return code
    import traceback

    traceback.print_exception(problem)
    print("refsync: this is a bug in refsync; please report it with the lines above", file=sys.stderr)
    return EXIT_BUG


if __name__ == "__main__":
    main()
