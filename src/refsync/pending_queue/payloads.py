"""What people hand in, checked before the queue takes it. Does no I/O."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Collection, Iterator
from typing import Any, NoReturn

from refsync.documents.nesting import MAX_DEPTH, TOO_DEEP
from refsync.dumping import dump, load
from refsync.errors import ModelNameError, PayloadError, RequestError
from refsync.numbers import spelt_float, spelt_int
from refsync.pending_queue.models import AuditOperation, PendingChangeStatus

MAX_NAME_LENGTH = 255
MAX_LINE_LENGTH = 1000
MAX_TEXT_LENGTH = 65_536
MAX_PAYLOAD_BYTES = 1024 * 1024

_LONGEST_WRITTEN = 2  # bytes for one that was read: a comma or colon is written with a blank behind it

# Control characters, line and paragraph separators, lone surrogates: what can end a line or cannot be written.
_UNPRINTABLE = frozenset({"Cc", "Zl", "Zp", "Cs"})


def check_model_name(name: object) -> str:
    """The name, if a model may be called so: 1 to 255 characters, on one line, not blank.

    Raises:
        ModelNameError: it may not.
    """
    try:
        return check_line("model name", name, limit=MAX_NAME_LENGTH)
    except RequestError as error:
        raise ModelNameError(str(error)) from None


def check_old_name(name: object) -> str:
    """The name of a model that is to go: any that a file can have.

    Raises:
        ModelNameError: it is no text, or none that UTF-8 can hold.
    """
    if not isinstance(name, str):
        raise ModelNameError(f"model name: expected text, got {type(name).__name__}")
    if any(unicodedata.category(character) == "Cs" for character in name):
        raise ModelNameError("model name has a lone surrogate, which no file in UTF-8 holds")
    return name


def check_line(what: str, text: object, *, limit: int = MAX_LINE_LENGTH) -> str:
    """The text, if it is one line that says something.

    Args:
        what: what the text is, for the refusal.
        text: as handed in.
        limit: the longest allowed, in characters.

    Raises:
        RequestError: it is not a string, blank, too long, or has control characters or line ends.
    """
    if not isinstance(text, str):
        raise RequestError(f"{what}: expected text, got {type(text).__name__}")
    if not text.strip():
        raise RequestError(f"{what} is empty; give one")
    if len(text) > limit:
        raise RequestError(f"{what} has {len(text)} characters; at most {limit} are allowed")
    for place, character in enumerate(text, start=1):
        if unicodedata.category(character) in _UNPRINTABLE:
            raise RequestError(
                f"{what} has a control character or line end, U+{ord(character):04X} at {place}; leave it out"
            )
    return text


def check_text(what: str, text: object) -> str | None:
    """The text of several lines, or ``None``.

    Raises:
        RequestError: it is not a string, too long, or has a NUL or a lone surrogate.
    """
    if text is None:
        return None
    if not isinstance(text, str):
        raise RequestError(f"{what}: expected text, got {type(text).__name__}")
    if len(text) > MAX_TEXT_LENGTH:
        raise RequestError(f"{what} has {len(text)} characters; at most {MAX_TEXT_LENGTH} are allowed")
    if "\0" in text or any(unicodedata.category(character) == "Cs" for character in text):
        raise RequestError(f"{what} has a NUL or a lone surrogate; leave it out")
    return text


def check_reason(what: str, text: object) -> str:
    """A text of several lines that says something.

    Raises:
        RequestError: it is blank, or refused by ``check_text``.
    """
    checked = check_text(what, text)
    if checked is None or not checked.strip():
        raise RequestError(f"{what} is empty; give one")
    return checked


def parse_operation(name: Any) -> AuditOperation:
    """The operation with this name.

    Raises:
        RequestError: there is none.
    """
    try:
        return AuditOperation(name)
    except ValueError:
        raise RequestError(f"unknown operation {name!r}; it is one of {', '.join(AuditOperation)}") from None


def parse_status(name: Any) -> PendingChangeStatus:
    """The status with this name.

    Raises:
        RequestError: there is none.
    """
    try:
        return PendingChangeStatus(name)
    except ValueError:
        raise RequestError(f"unknown status {name!r}; it is one of {', '.join(PendingChangeStatus)}") from None


def check_page(offset: int, limit: int | None) -> None:
    """Refuse a page that cannot be.

    Raises:
        RequestError: the offset or the limit is no whole number, or negative.
    """
    for name, value in (("offset", offset), ("limit", 0 if limit is None else limit)):
        if check_number(name, value) < 0:
            raise RequestError(f"{name} is {value}; give 0 or more")


def check_number(what: str, value: object) -> int:
    """The whole number.

    Raises:
        RequestError: it is something else.
    """
    if not isinstance(value, int):
        raise RequestError(f"{what}: expected a whole number, got {type(value).__name__}")
    return value


def check_ids(what: str, ids: object) -> list[int]:
    """The ids, each once, in the order given.

    Raises:
        RequestError: no collection of whole numbers.
    """
    if not isinstance(ids, Collection) or isinstance(ids, str | bytes):
        raise RequestError(f"{what}: expected a list of ids, got {type(ids).__name__}")
    return list(dict.fromkeys(check_number(what, each) for each in ids))


def check_payload(payload: object, *, what: str = "payload") -> dict[str, Any]:
    """A copy of the JSON object, if a category file can hold it.

    Args:
        payload: as handed in.
        what: what it is, for the refusal.

    Raises:
        PayloadError: it is no object, holds something JSON has not (``NaN``, other types, keys that are no
            strings, lone surrogates), is larger than 1 MiB or nested deeper than ``MAX_DEPTH``.
    """
    if not isinstance(payload, dict):
        raise PayloadError(f"{what}: expected a JSON object, got {_json_name(payload)}")
    for problem in _problems(payload):
        raise PayloadError(f"{what}: {problem}")
    copied: dict[str, Any] = load(_serialised(payload, what))
    return copied


def is_surely_sound(text: str | bytes) -> bool:
    """Whether ``check_payload`` takes whatever strict JSON this text holds: it is short, shallow and has no escape.

    Most texts are, and a glance at one costs a tenth of a look at what it holds.
    """
    try:
        written = text.encode() if isinstance(text, str) else text
    except UnicodeEncodeError:
        return False
    is_short = _LONGEST_WRITTEN * len(written) <= MAX_PAYLOAD_BYTES
    return is_short and written.count(b"{") + written.count(b"[") <= MAX_DEPTH and b"\\u" not in written


def parse_payload(text: bytes | str) -> dict[str, Any]:
    """The JSON object in the text (UTF-8), checked as ``check_payload`` does.

    Raises:
        PayloadError: it is not UTF-8 or not JSON (with line and column), has a key twice, or is refused.
    """
    if len(text) > 16 * MAX_PAYLOAD_BYTES:  # whatever the white space: not worth parsing
        raise PayloadError(f"payload: larger than {MAX_PAYLOAD_BYTES} bytes")
    return check_payload(parse_json(text, what="payload"))


def parse_json(text: bytes | str, *, what: str) -> Any:
    """Strict JSON: UTF-8, no key twice in one object, no ``NaN`` or ``Infinity``.

    Raises:
        PayloadError: it is not; the text names what and where.
    """
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        return json.loads(
            decoded,
            object_pairs_hook=_object_of(what),
            parse_constant=_refusal_of(what),
            parse_float=spelt_float,
            parse_int=spelt_int,
        )
    except UnicodeDecodeError as error:
        raise PayloadError(f"{what}: not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise PayloadError(f"{what}: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except PayloadError:  # from the two hooks, and a ValueError itself
        raise
    except RecursionError:
        raise PayloadError(f"{what}: {TOO_DEEP}") from None
    except ValueError as error:  # an integer longer than Python will read
        raise PayloadError(f"{what}: {error}") from None


def _object_of(what: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for place, key in enumerate(keys) if key in keys[:place])
            raise PayloadError(f"{what}: the key {twice!r} stands twice in one object; keep one of the two")
        return built

    return build


def _refusal_of(what: str) -> Callable[[str], NoReturn]:
    def refuse(constant: str) -> NoReturn:
        raise PayloadError(f"{what}: {constant} is not JSON; give a number or null")

    return refuse


def _problems(payload: dict[Any, Any]) -> Iterator[str]:
    """What JSON cannot hold, first found first; goes no deeper than allowed, so that a cycle ends too."""
    waiting: list[tuple[Any, int]] = [(payload, 1)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, dict | list | tuple):
            if depth > MAX_DEPTH:
                yield TOO_DEEP
                return
            if isinstance(value, dict):
                yield from (f"the key {key!r} is no string" for key in value if not isinstance(key, str))
            waiting.extend((item, depth + 1) for item in (value.values() if isinstance(value, dict) else value))
        elif isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
            yield f"{getattr(value, 'text', value)} is not JSON; give a number or null"
        elif not (value is None or isinstance(value, str | int | float)):
            yield f"{type(value).__name__} is no JSON type"


def _serialised(payload: dict[str, Any], what: str) -> str:
    try:
        text = dump(payload)
        size = len(text.encode())
    except UnicodeEncodeError:
        raise PayloadError(f"{what}: has a lone surrogate, which UTF-8 cannot hold; leave it out") from None
    except ValueError as error:  # an integer longer than Python will write
        raise PayloadError(f"{what}: {error}") from None
    if size > MAX_PAYLOAD_BYTES:
        raise PayloadError(f"{what}: {size} bytes as JSON; at most {MAX_PAYLOAD_BYTES} are allowed")
    return text


def _json_name(value: object) -> str:
    names: dict[type, str] = {list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
