"""What others wrote, made harmless for a line, a terminal, a log or a message: on one line, escaped, cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection

_LONGEST = 300


def one_line(text: str) -> str:
    r"""Text as one line: control characters and line ends (Unicode's too) become spaces, runs of them one.

    >>> one_line("a\tb \u2028 c")
    'a b c'
    """
    return " ".join("".join(" " if breaks(character) else character for character in text).split())


def shortened(text: str) -> str:
    """Text as one line of a length that a person reads."""
    line = one_line(text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def cut(text: str, length: int) -> str:
    """Text of so many characters at most.

    >>> cut("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= length else text[: length - 1] + "…"


def breaks(character: str) -> bool:
    """Whether a character could end a line, or cannot stand in a message (a lone surrogate)."""
    return not character.isprintable() and character != " "


def numbered(text: str, unseen: Collection[str] = ()) -> str:
    r"""Text with the number of each character that does not print, or is one of the unseen ones.

    >>> numbered("a\nb") == "a" + chr(92) + "u000ab"
    True
    """
    return _escaped(text, lambda character: f"\\u{ord(character):04x}", unseen)


def json_escaped(text: str) -> str:
    r"""JSON text with each character that does not print escaped, as JSON allows within strings.

    >>> json_escaped("a\nb") == "a" + chr(92) + "nb"
    True
    """
    return _escaped(text, lambda character: json.dumps(character)[1:-1])


def log_escaped(text: str) -> str:
    """Text with each character that does not print escaped as Python has it, for the log."""
    return _escaped(text, lambda character: character.encode("unicode_escape").decode())


def _escaped(text: str, escape: Callable[[str], str], unseen: Collection[str] = ()) -> str:
    if text.isprintable() and not any(character in text for character in unseen):
        return text
    return "".join(each if each.isprintable() and each not in unseen else escape(each) for each in text)
