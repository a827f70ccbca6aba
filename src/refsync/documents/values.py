"""What a record is, and when two JSON values are the same."""

from __future__ import annotations

import marshal
from typing import Any, TypeGuard

from refsync.numbers import json_type, same_float


def is_record(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a member of a category file is a model: an object.

    What else stands there (``"$schema": "..."``, a version, a list of tags) is no model, and is left alone.
    """
    return isinstance(value, dict)


def same_value(a: Any, b: Any) -> bool:
    """Whether two JSON values are the same, at every depth.

    ``True``, ``1`` and ``1.0`` differ, and so do ``0.0`` and ``-0.0``: each is another value to a reader. ``2.5`` and
    ``2.50`` are the same, however a number is spelt; two numbers that no float tells apart are not. The order of an
    object's keys does not matter, that of a list's elements does.
    """
    if a is b:
        return True
    if type(a) is str or type(b) is str:
        return bool(a == b)
    return _look_equal(a, b) and (_same_bytes(a, b) or _same_parts(a, b))


def _look_equal(a: Any, b: Any) -> bool:
    """A quick no: what Python tells apart differs, and most that differs it does."""
    try:
        return bool(a == b)
    except RecursionError:
        return True


def _same_bytes(a: Any, b: Any) -> bool:
    """A quick yes for values alike in every way: most records of two versions of a file are."""
    try:
        return marshal.dumps(a, 2) == marshal.dumps(b, 2)
    except ValueError:  # too deep for marshal, or no plain JSON value
        return False


def _same_parts(a: Any, b: Any) -> bool:
    pairs = [(a, b)]  # a list of what is left to compare: no file is too deep for it
    while pairs:
        a, b = pairs.pop()
        if json_type(a) is not json_type(b):
            return False
        if isinstance(a, dict):
            if a.keys() != b.keys():
                return False
            pairs.extend((a[key], b[key]) for key in a)
        elif isinstance(a, list):
            if len(a) != len(b):
                return False
            pairs.extend(zip(a, b, strict=True))
        elif not same_float(a, b) if isinstance(a, float) else a != b:
            return False
    return True
