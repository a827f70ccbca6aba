"""The decoders of category files, and what each refuses beyond the syntax."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from refsync.numbers import exact_float, spelt_float, spelt_int


class NotFiniteError(Exception):
    """A number that JSON does not have, or that no float can hold."""


class DuplicateKeyError(Exception):
    """An object has a key twice."""


def _refuse_constant(text: str) -> NoReturn:
    raise NotFiniteError(text)


def _finite(text: str, parse: Callable[[str], float] = exact_float) -> float:
    number = parse(text)
    if math.isinf(number):
        raise NotFiniteError(text)
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DuplicateKeyError
    return members


READER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
"""What reads a value of a category file; it does not look how deep one is."""
READER_AS_WRITTEN = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=partial(_finite, parse=spelt_float), parse_int=spelt_int
)
"""As ``READER``; each number carries its text."""
STRICT_READER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique)
"""As ``READER``; it refuses an object that has a key twice."""
