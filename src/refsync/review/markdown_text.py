"""What people typed, in GitHub-flavoured Markdown: shown as text, so that nothing of it takes effect.

Within a code span a forge sees no mention, link, reference to an issue or HTML. Whatever is written here stays on one
line and ends what it begins.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from refsync.documents.names import UNSEEN
from refsync.dumping import dump
from refsync.plain_text import cut, numbered

MAX_LENGTH = 60_000
"""Of a comment; a forge takes some 65,000 characters."""

_MAX_SHOWN = 200
_MARKS = {"added": "added", "removed": "removed", "modified": "changed"}
_PLAIN_IN_HTML = frozenset(" -_()")


def code(text: str) -> str:
    """Text on one line in a code span that it cannot leave."""
    shown = visible(text) or '""'
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    pad = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def html_code(text: str) -> str:
    """The same within HTML, where Markdown is not read; a forge may still look for mentions and links there."""
    shown = visible(text) or '""'
    return f"<code>{''.join(c if c.isalnum() or c in _PLAIN_IN_HTML else f'&#{ord(c)};' for c in shown)}</code>"


def visible(text: str) -> str:
    """Text on one line, with the number of each character that cannot be seen or changes the direction."""
    return numbered(text, UNSEEN)


def row(cells: Iterable[str]) -> str:
    """A row of a table; a ``|`` ends a cell even within a code span, unless it is escaped."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def value(json_value: Any) -> str:
    """A JSON value in a code span."""
    return code(cut(dump(json_value), _MAX_SHOWN))


def field_change(field: dict[str, Any], *, marked: bool) -> str:
    """What happened to a field, on one line; a critical one may be ``marked``."""
    old, new = (value(field[side]) for side in ("old_value", "new_value"))
    values = {"added": new, "removed": old}.get(field["change_type"], f"{old} → {new}")
    critical = "**critical** " if field["critical"] and marked else ""
    return f"{critical}{_MARKS[field['change_type']]} {code(cut(field['field_path'], _MAX_SHOWN))}: {values}"


def names(some: Sequence[str], most: int) -> str:
    """Names in code spans, and how many more there are."""
    return ", ".join(map(code, some[:most])) + more(some, most)


def more(items: Collection[Any], most: int) -> str:
    """How many there are beyond the most that are shown."""
    return f" and {len(items) - most} more" if len(items) > most else ""


def fitting(blocks: Iterable[Sequence[str]], command: str) -> list[str]:
    """The lines of a comment, each block whole or not at all; what is too much is counted, and the command named."""
    lines: list[str] = []
    length = left_out = 0
    for block in blocks:
        length += sum(map(len, block)) + len(block)
        if length > MAX_LENGTH:
            left_out += 1
        else:
            lines += block
    if left_out:
        lines += ["", f"And {left_out} more, too many for one comment: `{command}` shows them all."]
    return lines
