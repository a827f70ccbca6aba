"""JSON text of plain values, each number with the text that was written for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, get_args

from refsync.numbers import Spelt, spelt_float, spelt_int

_PLAIN = frozenset({str, int, float, bool, type(None)})
"""What holds nothing and carries no text: most of what there is, so it is told by its type alone."""

_SPELT, _LISTS = get_args(Spelt), (list, tuple)
_READER = json.JSONDecoder(parse_float=spelt_float, parse_int=spelt_int)


def load(text: str | bytes) -> Any:
    """What ``dump`` wrote, its numbers with their text; some database drivers hand it over as bytes.

    Raises:
        ValueError: no JSON.
    """
    return _READER.decode(text if isinstance(text, str) else text.decode())


def dump(
    value: Any,
    *,
    indent: int | None = None,
    ensure_ascii: bool = False,
    allow_nan: bool = True,
    default: Callable[[Any], Any] | None = None,
) -> str:
    """What ``json.dumps`` gives, but for the numbers that carry a text."""
    plain = partial(json.dumps, ensure_ascii=ensure_ascii, allow_nan=allow_nan, default=default)
    if not has_spelt(value):
        return plain(value, indent=indent)
    return "".join(_parts(value, plain, None if indent is None else "\n", " " * (indent or 0)))


def respelt(plain: Any, value: Any) -> Any:
    """A plain copy of a value, such as pydantic makes, with the texts that its numbers have in the value itself."""
    if isinstance(value, Spelt) and plain == value:
        return value
    if isinstance(plain, dict) and isinstance(value, Mapping):
        return {key: respelt(each, value.get(key)) for key, each in plain.items()}
    if isinstance(plain, list) and isinstance(value, list | tuple) and len(plain) == len(value):
        return [respelt(*pair) for pair in zip(plain, value, strict=True)]
    return plain


def has_spelt(value: Any) -> bool:
    """Whether a number anywhere in the value carries a text."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, _SPELT):
            return True
        for part in each.values() if isinstance(each, dict) else each if isinstance(each, _LISTS) else ():
            if type(part) not in _PLAIN:
                waiting.append(part)
    return False


def _parts(value: Any, plain: Callable[[Any], str], line: str | None, step: str) -> Iterator[str]:
    if isinstance(value, Spelt):
        yield value.text
    elif value and isinstance(value, dict):
        members = ((f"{plain(str(key))}: ", each) for key, each in value.items())
        yield from _enclosed("{}", members, plain, line, step)
    elif value and isinstance(value, list | tuple):
        yield from _enclosed("[]", (("", each) for each in value), plain, line, step)
    else:
        yield plain(value)


def _enclosed(
    brackets: str, items: Iterator[tuple[str, Any]], plain: Callable[[Any], str], line: str | None, step: str
) -> Iterator[str]:
    inner = None if line is None else line + step
    yield brackets[0]
    for place, (key, value) in enumerate(items):
        yield ("" if inner is None else inner) if not place else ", " if inner is None else f",{inner}"
        yield key
        yield from _parts(value, plain, inner, step)
    yield (line or "") + brackets[1]
