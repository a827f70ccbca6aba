"""Patterns that are a stranger's, by an engine whose time grows with the text only: RE2."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol, cast

from refsync.errors import writable

_MAX_BYTES = 1 << 20  # of memory that one pattern may take, and so of its size
_LONGEST = 1000  # characters
_KEPT = 256


class Pattern(Protocol):
    """A pattern that was understood."""

    def search(self, text: str) -> object | None:
        """The place in a text where it fits, ``None`` where it fits nowhere."""
        ...


def pattern(text: str) -> Pattern:
    """The pattern that is written so.

    Raises:
        ValueError: it cannot be matched in a bounded time, or is no pattern.
    """
    found = _compiled(text)
    if isinstance(found, str):
        raise ValueError(found)
    return found


def fits(found: Pattern, text: str) -> bool:
    """Whether a pattern fits somewhere in a text."""
    return found.search(writable(text)) is not None


@lru_cache(_KEPT)
def _compiled(text: str) -> Pattern | str:
    import re2  # an extra

    options = re2.Options()
    options.max_mem, options.log_errors = _MAX_BYTES, False
    if len(text) > _LONGEST:
        return f"it has {len(text)} characters; at most {_LONGEST} are matched"
    try:
        return cast(Pattern, re2.compile(writable(text), options))
    except re2.error as fault:
        said = fault.args[0].decode(errors="replace") if isinstance(fault.args[0], bytes) else str(fault)
        return f"{said} (patterns are matched by RE2: no lookaround, no back-reference, at most 1000 repetitions)"
