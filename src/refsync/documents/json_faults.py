"""Why text is not what a category file may hold, in words for a person and on the line where the fault is."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager

from refsync.documents.json_decoders import NotFiniteError
from refsync.documents.json_text import every_container
from refsync.documents.nesting import TOO_DEEP
from refsync.errors import DocumentError
from refsync.plain_text import cut

_LONGEST = 80  # characters of a key or value in a sentence
_MARKER = re.compile(r"^(?:<{7}|\|{7}|>{7})(?:[ \t].*)?\r?$", re.MULTILINE)
_BLANKS = " \t\r\n"
_TRAILING_COMMA = re.compile(r",[ \t\r\n]*[\]}]")
_MISSING_COMMA = "Expecting ',' delimiter"


def find_conflict(text: str) -> DocumentError | None:
    """The first line that a merge left where it wants a person to decide; no JSON and no table has such lines."""
    found = _MARKER.search(text)
    if found is None:
        return None
    return fault_at(text, found.start(), "conflict markers of a merge that nobody finished (<<<<<<<, =======, >>>>>>>)")


def explain_syntax(error: json.JSONDecodeError) -> DocumentError:
    """What a decoder says of a text, where a merge or an editor left its traces in those words."""
    text, at = error.doc, error.pos
    ahead = len(text[:at].rstrip(_BLANKS))
    if (conflict := find_conflict(text)) is not None:
        return conflict
    if not text.strip(_BLANKS):
        return fault_at(text, 0, "invalid JSON: the file is empty")
    comma = _TRAILING_COMMA.match(text, ahead - 1) or _TRAILING_COMMA.match(text, at)
    if comma and text[: comma.start()].rstrip(_BLANKS)[-1:] not in ("", "{", "[", ","):
        return fault_at(text, comma.start(), "invalid JSON: a comma behind the last item")
    if at >= len(text.rstrip(_BLANKS)):
        return fault_at(text, ahead - 1, "invalid JSON: the text ends too early")
    if error.msg == _MISSING_COMMA:
        return fault_at(text, ahead - 1, "invalid JSON: a comma is missing behind this")
    return fault_at(text, at, f"invalid JSON: {error.msg}")


@contextmanager
def faults_explained() -> Iterator[None]:
    """Turn what the decoder raises into the one error that has a line for a person."""
    try:
        yield
    except json.JSONDecodeError as error:
        raise explain_syntax(error) from None
    except RecursionError:
        raise DocumentError(TOO_DEEP) from None
    except ValueError as error:
        if "integer string conversion" not in str(error):
            raise
        raise DocumentError("a whole number has too many digits to be read") from None


def not_finite(text: str, error: NotFiniteError) -> DocumentError:
    """The error for the number that a decoder refused."""
    return fault_at(text, _find_not_finite(text), f"{shown(str(error))} is not a finite number")


def _find_not_finite(text: str) -> int:
    start = first_of(text)
    if text[start] not in "[{":
        return start
    items = (item for _, container in every_container(text, start) for item in container.items)
    return next(item.value_start for item in items if isinstance(item.value, float) and not math.isfinite(item.value))


def fault_at(text: str, at: int, reason: str) -> DocumentError:
    """The error for a position in the text."""
    return DocumentError(reason, line=line_of(text, at), column=at - text.rfind("\n", 0, at))


def line_of(text: str, at: int) -> int:
    """The line of a position in the text, from 1."""
    return text.count("\n", 0, at) + 1


def first_of(text: str) -> int:
    """Where the value of a text begins."""
    return len(text) - len(text.lstrip())


def shown(key: str) -> str:
    """A key or value, or their JSON text, no longer than a sentence bears."""
    return cut(key, _LONGEST)
