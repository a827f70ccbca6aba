"""Read a category file, and edit single models in it without touching another byte."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from refsync.documents.encoding import decode
from refsync.documents.json_edit import replace_members
from refsync.documents.json_text import every_container, scan_document
from refsync.errors import DocumentError

Record = dict[str, Any]


def read_records(data: bytes) -> dict[str, Record]:
    """The models of a category file, in the file's order.

    Of a key that is there twice the last value counts, as for every other reader of JSON.

    Args:
        data: the whole file: UTF-8, with or without byte order mark.

    Raises:
        DocumentError: no UTF-8, no valid JSON, a number that is not finite, or not an object of objects; with the line
            and column where the fault has a place.
    """
    _, text = decode(data)
    with _faults_explained():
        return _records_of(text, _READER)


def read_json(data: bytes) -> Any:
    """Any JSON value of a whole file, as strictly read as a category file.

    Raises:
        DocumentError: no UTF-8, no valid JSON, or a number that is not finite.
    """
    _, text = decode(data)
    with _faults_explained():
        try:
            return _READER.decode(text)
        except _NotFiniteError as error:
            raise _fault(text, _find_not_finite(text), f"{_cut(str(error))} is not a finite number") from None


def check_editable(data: bytes) -> None:
    """Refuse what cannot be edited safely: what ``read_records`` refuses, and a key that an object has twice.

    Raises:
        DocumentError: with the line and column of the second of the two keys.
    """
    _, text = decode(data)
    with _faults_explained():
        _records_of(text, _STRICT_READER)


def edit_records(data: bytes, edits: Mapping[str, Record | None], *, order: Sequence[str] = ()) -> bytes:
    """A category file with some of its models written or removed, and every other byte as it was.

    A changed record keeps its key order and the text of what did not change, at every depth. New fields stand where the
    file's other records have them, unknown ones last. New models go to the end, in the order given; to their sorted
    place if the file has at least four models and is sorted by name (by code points, or without regard to case).

    Args:
        data: the whole file.
        edits: model name to the record to write, or to ``None`` to remove the model. Removing a model that is not there
            changes nothing.
        order: model names; a new model that is among them stands behind the nearest one ahead of it.

    Returns:
        The new file; the same bytes if every edit is there already, be it with its keys in another order.

    Raises:
        DocumentError: the file cannot be edited safely, see ``check_editable``.
        ValueError: a record holds a number that is not finite.
    """
    mark, text = decode(data)
    with _faults_explained():
        records = _records_of(text, _STRICT_READER)
        return (mark + replace_members(text, records, edits, order)).encode()


def new_document(records: Mapping[str, Record]) -> bytes:
    """A category file that does not exist yet: four spaces, ASCII escapes, one final newline."""
    return (json.dumps(records, indent=4, allow_nan=False) + "\n").encode()


class _NotFiniteError(Exception):
    """A number that JSON does not have, or that no float can hold."""


class _DuplicateKeyError(Exception):
    """An object has a key twice."""


def _refuse_constant(text: str) -> NoReturn:
    raise _NotFiniteError(text)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _NotFiniteError(text)
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DuplicateKeyError
    return members


_READER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_STRICT_READER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique)


def _records_of(text: str, reader: json.JSONDecoder) -> dict[str, Record]:
    try:
        records = reader.decode(text)
    except _NotFiniteError as error:
        json.loads(text)  # a fault of syntax comes first, and its place can be found
        raise _fault(text, _find_not_finite(text), f"{_cut(str(error))} is not a finite number") from None
    except _DuplicateKeyError:
        json.loads(text)
        key, at = _find_duplicate(text)
        raise _fault(text, at, f"the key {_cut(json.dumps(key))} is there twice") from None
    if not isinstance(records, dict):
        raise _fault(text, _first(text), "not an object of models")
    if not all(isinstance(record, dict) for record in records.values()):
        odd = next(item for item in scan_document(text).items if not isinstance(item.value, dict))
        raise _fault(text, odd.value_start, f"the record of {_cut(json.dumps(odd.key))} is not an object")
    return records


@contextmanager
def _faults_explained() -> Iterator[None]:
    """Turn what the decoder raises into the one error that has a line for a person."""
    try:
        yield
    except json.JSONDecodeError as error:
        raise DocumentError(f"invalid JSON: {error.msg}", line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise DocumentError("nested too deeply to be read") from None
    except ValueError as error:
        if "integer string conversion" not in str(error):
            raise
        raise DocumentError("a whole number has too many digits to be read") from None


def _fault(text: str, at: int, reason: str) -> DocumentError:
    """The error for a position in the text."""
    return DocumentError(reason, line=text.count("\n", 0, at) + 1, column=at - text.rfind("\n", 0, at))


def _find_not_finite(text: str) -> int:
    start = _first(text)
    if text[start] not in "[{":
        return start
    items = (item for _, container in every_container(text, start) for item in container.items)
    return next(item.value_start for item in items if isinstance(item.value, float) and not math.isfinite(item.value))


def _find_duplicate(text: str) -> tuple[str, int]:
    """A key that its object has already, and where it stands for the second time."""
    for _, container in every_container(text, _first(text)):
        seen: set[str | None] = set()
        for item in container.items:
            if item.key is not None and item.key in seen:
                return item.key, item.start
            seen.add(item.key)
    raise AssertionError("the decoder found a duplicate")


def _first(text: str) -> int:
    return len(text) - len(text.lstrip())


def _cut(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
