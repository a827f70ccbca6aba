"""The log: one line per event that matters, on stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Literal

from loguru import logger

if TYPE_CHECKING:
    from loguru import Message, Record

_TEXT = "{time:YYYY-MM-DD HH:mm:ss} {level:<7} {extra[line]}\n{exception}"


def configure(level: str, form: Literal["text", "json"] = "text") -> None:
    """Write messages of this level and above to stderr, as text or JSON Lines; replaces what was set before."""
    logger.remove()
    if form == "json":
        logger.add(_write_json, level=level, format="", backtrace=False, diagnose=False)
    else:
        logger.add(sys.stderr, level=level, format=_one_line, backtrace=False, diagnose=False)


def _one_line(record: Record) -> str:
    """A format in which nothing that a person typed starts a second line; a bug's traceback follows its line."""
    record["extra"]["line"] = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in record["message"]
    )
    return _TEXT


def _write_json(message: Message) -> None:
    """One object a line: time, level, message, what the message is about by name, and a bug's traceback."""
    record = message.record
    fields = {
        "time": record["time"].isoformat(),
        "level": record["level"].name,
        "message": record["message"],
        **record["extra"],
    }
    if traceback := message.strip():
        fields["traceback"] = traceback
    print(json.dumps(fields, default=str), file=sys.stderr, flush=True)
