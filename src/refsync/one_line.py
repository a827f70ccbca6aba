"""What others wrote, as part of one line."""

from __future__ import annotations

_LONGEST = 300


def one_line(text: str) -> str:
    """Text as one line: control characters and line ends (Unicode's too) become spaces, runs of them one."""
    return " ".join("".join(" " if breaks(character) else character for character in text).split())


def shortened(text: str) -> str:
    """Text as one line of a length that a person reads."""
    line = one_line(text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def breaks(character: str) -> bool:
    """Whether a character could end a line, or cannot stand in a message (a lone surrogate)."""
    return not character.isprintable() and character != " "
