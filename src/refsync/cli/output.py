"""Printing: one JSON document, or text for people that fits the terminal and survives a pipe."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

PIPED_WIDTH = 160


def print_json(document: BaseModel | Any) -> None:
    """Print one JSON document on stdout: a model of the specification, or plain data."""
    plain = document.model_dump(mode="json") if hasattr(document, "model_dump") else document
    typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))


def console() -> Console:
    """A console on stdout: colours and the terminal's width there, plain wide text in a pipe."""
    from rich.console import Console

    # Names and values that people typed are never markup.
    return Console(
        width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False, markup=False, emoji=False, soft_wrap=False
    )


def note(text: str) -> None:
    """Say something beside the result, on stderr."""
    typer.echo(text, err=True)


def shown_time(seconds: float | None) -> str:
    """A Unix time as people read it here, ``-`` for none."""
    return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
