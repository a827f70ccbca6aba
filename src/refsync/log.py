"""The log: one line per event that matters, on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record

_TEXT = "{time:YYYY-MM-DD HH:mm:ss} {level:<7} {message}"


def configure(level: str, form: Literal["text", "json"] = "text") -> None:
    """Write messages of this level and above to stderr, as text lines or as JSON Lines; replaces what was set before."""
    logger.remove()
    if form == "json":
        logger.add(sys.stderr, level=level, serialize=True)
    else:
        logger.add(sys.stderr, level=level, format=_one_line, backtrace=False, diagnose=False)


def _one_line(record: Record) -> str:
    """A format in which nothing that a person typed starts a second line; a bug's traceback follows its line."""
    record["extra"]["line"] = record["message"].replace("\r", "\\r").replace("\n", "\\n")
    return _TEXT.replace("{message}", "{extra[line]}") + "\n{exception}"
