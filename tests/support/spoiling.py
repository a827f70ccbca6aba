"""Documents with a part of them spoilt: what a hostile or broken writer may put where something of use is expected."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

NASTY = (
    "1e400",
    "-1e400",
    "NaN",
    "-0",
    "-1",
    "0.5",
    "1e300",
    "9223372036854775808",
    "1" + "0" * 400,
    "1" * 5000,
    "true",
    "null",
    '""',
    '" "',
    '"text"',
    '"\\ud800"',
    '"\\u0000"',
    '"\\u001b[31m\\u202e\\u2028"',
    '"9999-12-31T23:59:59-23:59"',
    '"' + "x" * 70_000 + '"',
    "[]",
    "{}",
    '[{"text": [null]}]',
    '{"text": 1, "text": 2}',
    '{"\\ud800": "\\udfff"}',
    "[" * 120 + "]" * 120,
    '{"k":' * 3000 + "1" + "}" * 3000,
)
"""JSON texts, some of which are none."""
_HERE = "spoilt:{}:"


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in children:
        yield from _paths(inner, (*path, key))


@st.composite
def spoilt(draw: st.DrawFn, document: Any) -> str:
    """The JSON text of a document, of which up to two parts were replaced, or one was left out."""
    changed = deepcopy(document)
    replacing: list[str] = []
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from([each for each in _paths(changed) if each] or [()]))
        if not path:
            return draw(st.sampled_from(NASTY))
        owner = changed
        for key in path[:-1]:
            owner = owner[key]
        if draw(st.integers(0, 5)) == 0:
            del owner[path[-1]]
        else:
            owner[path[-1]] = _HERE.format(len(replacing))
            replacing.append(draw(st.sampled_from(NASTY)))
    text = json.dumps(changed)
    for number, nasty in enumerate(replacing):
        text = text.replace(f'"{_HERE.format(number)}"', nasty)
    return text


def broken(text: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """The bytes of a text, at times cut off or with others put in."""
    cut = st.tuples(text, st.floats(0, 1), st.binary(max_size=4)).map(
        lambda given: given[0].encode()[: int(len(given[0]) * given[1])] + given[2]
    )
    return text.map(str.encode) | text.map(str.encode) | cut
