"""Printing: one JSON document, or text for people that fits the terminal and survives a pipe."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from refsync.dumping import dump
from refsync.plain_text import json_escaped, numbered

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

_SAME_TIME_SECONDS = 60  # two clocks may differ, and so may one before and after it was set
_PIPED_WIDTH = 100_000  # a pipe has no edge: what is searched for stays on one line

Progress = Callable[[int, int | None], None]


def print_json(document: BaseModel | Any) -> None:
    """Print one JSON document on stdout: a model of the specification, or plain data."""
    typer.echo(json_lines(document))


def json_lines(document: BaseModel | Any, *, indent: str = "") -> str:
    """The same as indented JSON, each line but the first behind ``indent``."""
    text = dump(_plain(document), indent=2, ensure_ascii=_needs_ascii())
    return f"\n{indent}".join(map(json_escaped, text.split("\n")))


def print_json_line(document: Any) -> None:
    """Print plain data on one line of stdout, for JSON Lines."""
    typer.echo(json_escaped(dump(document, ensure_ascii=_needs_ascii())))


def json_text(value: Any) -> str:
    """A value on one line, as JSON has it, for people: nothing that a terminal would obey."""
    return json_escaped(dump(value))


def shown_text(text: str) -> str:
    """Text that people typed, without what a terminal would obey."""
    return numbered(text)


def console() -> Console:
    """A console on stdout: colours and the terminal's width there, plain text in a pipe."""
    from rich.console import Console

    # Names and values that people typed are never markup.
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False, markup=False, emoji=False)


def is_surely_no_terminal() -> bool:
    """Whether stdout is none, and no variable that rich heeds can say otherwise: a console takes long to load."""
    return not (sys.stdout.isatty() or os.environ.get("FORCE_COLOR") or os.environ.get("TTY_COMPATIBLE"))


def note(text: str) -> None:
    """Say something beside the result, on stderr."""
    typer.echo(shown_text(text), err=True)


def shown_time(seconds: float | None) -> str:
    """A Unix time as people read it here, ``-`` for none."""
    if seconds is None:
        return "-"
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):  # no calendar has it
        return f"{seconds:g}"


def shown_age(seconds: float | None) -> str:
    """How long ago a Unix time is, ``never`` for none."""
    if seconds is None:
        return "never"
    age = int(time.time() - seconds)
    if age < -_SAME_TIME_SECONDS:
        return f"at {shown_time(seconds)}, which is still to come: the clock was set back since"
    age = max(0, age)
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if age >= size:
            return f"{counted(age // size, unit)} ago"
    return f"{counted(age, 'second')} ago"


def counted(number: int, what: str) -> str:
    """How many there are, as people say it."""
    return f"{number} {what}{'' if number == 1 else 'es' if what.endswith('ch') else 's'}"


@contextmanager
def progress_bar(what: str, *, shown: bool) -> Iterator[Progress | None]:
    """A bar on a terminal's stderr, told of how many are done and how many there are; nothing elsewhere."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _needs_ascii() -> bool:
    return "utf" not in (sys.stdout.encoding or "").lower()


def _plain(document: Any) -> Any:
    """Plain data of plain data with models of the specification in it."""
    if isinstance(document, dict):
        return {key: _plain(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [_plain(value) for value in document]
    # Not pydantic's JSON, which would lose the text of numbers and refuse names that are no text.
    return document.model_dump() if hasattr(document, "model_dump") else document
