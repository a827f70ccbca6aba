"""The log: one line per event that matters, on stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Literal

from loguru import logger

from refsync.plain_text import log_escaped

if TYPE_CHECKING:
    from loguru import Message, Record

_TEXT = "{time:YYYY-MM-DD HH:mm:ss} {level:<7} {extra[line]}\n{exception}"
_PRIORITIES = ((50, 2), (40, 3), (30, 4), (25, 5), (20, 6), (0, 7))
"""From which level of ours on a line has which priority of syslog's."""


def configure(level: str, form: Literal["text", "json"] = "text") -> None:
    """Write messages of this level and above to stderr, as text or JSON Lines; replaces what was set before.

    Where stderr is systemd's journal each line says its priority, by which people filter there.
    """
    logger.remove()
    to_journal = _is_journal()
    text = _one_line if form == "text" else ""

    def write(message: Message) -> None:
        lines = str(message) if form == "text" else _json_line(message)
        sys.stderr.write(_with_priority(lines, message.record) if to_journal else lines)
        sys.stderr.flush()

    logger.add(write, level=level, format=text, backtrace=False, diagnose=False)


def _is_journal() -> bool:
    """Whether systemd says that this very stderr leads to its journal."""
    try:
        stderr = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}"


def _with_priority(lines: str, record: Record) -> str:
    priority = next(priority for least, priority in _PRIORITIES if record["level"].no >= least)
    return "".join(f"<{priority}>{line}" for line in lines.splitlines(keepends=True))


def _one_line(record: Record) -> str:
    """A format in which nothing that a person typed starts a second line; a bug's traceback follows its line."""
    record["extra"]["line"] = log_escaped(record["message"])
    return _TEXT


def _json_line(message: Message) -> str:
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
    return json.dumps(fields, default=str) + "\n"
