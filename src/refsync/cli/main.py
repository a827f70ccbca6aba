"""``refsync``: one command line run, and what becomes of its failures."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

import typer

from refsync.cli.exit_codes import EXIT_BUG, EXIT_INTERRUPTED, EXIT_REFUSED
from refsync.cli.program import program
from refsync.errors import RefsyncError, told

_GARBAGE = 200_000  # more objects than the imports of a command make; Python's 700 has them walked dozens of times


def main() -> None:
    """The ``refsync`` program."""
    _lead_closed_streams_nowhere()
    gc.set_threshold(_GARBAGE)
    code = run_command(sys.argv[1:])
    if threading.active_count() == 1:
        _leave_at_once(code)
    sys.exit(code)


def _leave_at_once(code: int) -> NoReturn:
    """End without taking what was imported down piece by piece, which is a sixth of a short command.

    Everything that has an end of its own has come to it: files are closed, and the output is with its reader, where
    there is one.
    """
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code: 0 done, 1 refused, 2 wrong usage, 3 a bug, 130 interrupted."""
    _quiet_log("--verbose" in arguments or "-v" in arguments)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # or it reads the metadata of whatever is installed
    _print_what_the_terminal_can()
    try:
        code = program(arguments)(args=list(arguments), prog_name="refsync", standalone_mode=False)
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
