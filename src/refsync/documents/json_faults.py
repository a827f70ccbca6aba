"""Why text is no JSON, in words for a person and on the line where the fault is."""

from __future__ import annotations

import json
import re

from refsync.errors import DocumentError

_MARKER = re.compile(r"^(?:<{7}|\|{7}|>{7})(?:[ \t].*)?\r?$", re.MULTILINE)
_BLANKS = " \t\r\n"
_TRAILING_COMMA = re.compile(r",[ \t\r\n]*[\]}]")
_MISSING_COMMA = "Expecting ',' delimiter"


def find_conflict(text: str) -> DocumentError | None:
    """The first line that a merge left where it wants a person to decide; no JSON and no table has such lines."""
    found = _MARKER.search(text)
    if found is None:
        return None
    return _fault(text, found.start(), "conflict markers of a merge that nobody finished (<<<<<<<, =======, >>>>>>>)")


def explain_syntax(error: json.JSONDecodeError) -> DocumentError:
    """What a decoder says of a text, where a merge or an editor left its traces in those words."""
    text, at = error.doc, error.pos
    ahead = len(text[:at].rstrip(_BLANKS))
    if (conflict := find_conflict(text)) is not None:
        return conflict
    if not text.strip(_BLANKS):
        return _fault(text, 0, "invalid JSON: the file is empty")
    comma = _TRAILING_COMMA.match(text, ahead - 1) or _TRAILING_COMMA.match(text, at)
    if comma and text[: comma.start()].rstrip(_BLANKS)[-1:] not in ("", "{", "[", ","):
        return _fault(text, comma.start(), "invalid JSON: a comma behind the last item")
    if at >= len(text.rstrip(_BLANKS)):
        return _fault(text, ahead - 1, "invalid JSON: the text ends too early")
    if error.msg == _MISSING_COMMA:
        return _fault(text, ahead - 1, "invalid JSON: a comma is missing behind this")
    return _fault(text, at, f"invalid JSON: {error.msg}")


def _fault(text: str, at: int, reason: str) -> DocumentError:
    return DocumentError(reason, line=text.count("\n", 0, at) + 1, column=at - text.rfind("\n", 0, at))
