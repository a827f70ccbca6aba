"""How things stand on a screen: times, values, lines of a diff, addresses; what strangers wrote, made harmless."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from markupsafe import Markup, escape

from refsync.dumping import dump
from refsync.plain_text import json_escaped, numbered

MOST_LINES = 3000
_KEPT = "\n\t"
_HEADERS = ("diff --git ", "index ", "new file mode ", "deleted file mode ", "--- ")
_KINDS = {"+": "added", "-": "removed", "@": "place", "\\": "place"}


class DiffLine(NamedTuple):
    """One line, and what it is: ``file``, ``place``, ``added``, ``removed`` or ``same``."""

    kind: str
    text: str


class Diff(NamedTuple):
    """The lines that are shown, and how many are not."""

    lines: list[DiffLine]
    left_out: int


def shown(value: Any) -> Any:
    """What stands in a screen for a value of a template: text with the number of each character that does not print.

    What a form sends back stays as it is: there a template says ``|e``, which only escapes.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return "" if value is None else value
    return value if value.isprintable() else "".join(each if each in _KEPT else numbered(each) for each in value)


def json_text(value: Any) -> str:
    """A value as JSON on lines of its own, as people read and edit it."""
    return "\n".join(map(json_escaped, dump(value, indent=2).split("\n")))


def moment(seconds: float | None) -> Markup | str:
    """A Unix time, its age for who looks, and itself for who wants it."""
    if seconds is None:
        return "never"
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # no calendar has it
        return f"{seconds:g}"
    told = at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(at.isoformat(), told, _age(time.time() - seconds))


def _age(seconds: float) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "now" if seconds > -60 else "in the future"


def is_web(url: str | None) -> bool:
    """Whether a link may be followed: ``http`` or ``https``, to some host."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def address(path: str, **given: object) -> str:
    """A screen with these words; those without a value are left out."""
    words = urlencode({name: value for name, value in given.items() if value not in (None, "")}, errors="replace")
    return f"{path}?{words}" if words else path


def local(path: str | None, instead: str = "/") -> str:
    """A path of this door, or another where it leads elsewhere."""
    own = path is not None and path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if own and path else instead


def diff_lines(text: str) -> Diff:
    """A unified diff for people: the files by their names, without git's own lines."""
    lines = [_diff_line(line) for line in text.split("\n") if not line.startswith(_HEADERS)]
    if lines and not lines[-1].text:
        lines.pop()
    return Diff(lines[:MOST_LINES], max(0, len(lines) - MOST_LINES))


def _diff_line(line: str) -> DiffLine:
    if line.startswith("+++ "):
        return DiffLine("file", line.removeprefix("+++ ").removeprefix("b/"))
    return DiffLine(_KINDS.get(line[:1], "same"), line.removesuffix("\r"))


def paragraph(value: str) -> Markup:
    """Text of several lines, each line on its own."""
    return Markup("<br>").join(escape(shown(line)) for line in value.splitlines())
