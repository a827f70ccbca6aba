"""What others wrote obeys no terminal, whichever way it is made harmless."""

from __future__ import annotations

import doctest
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync import plain_text
from refsync.plain_text import cut, json_escaped, log_escaped, numbered, one_line, shortened

ANY_TEXT = st.text(st.characters())


@pytest.mark.parametrize("made_harmless", [one_line, shortened, numbered, json_escaped, log_escaped])
@given(text=ANY_TEXT)
def test_whatever_is_written_is_on_one_line_that_prints(made_harmless: Callable[[str], str], text: str) -> None:
    assert made_harmless(text).isprintable()


@given(ANY_TEXT)
def test_escaped_json_says_what_it_said(text: str) -> None:
    assert json.loads(json_escaped(json.dumps(text, ensure_ascii=False))) == text


@given(ANY_TEXT, st.integers(1, 40))
def test_a_text_is_cut_at_its_end_where_it_is_too_long(text: str, length: int) -> None:
    assert len(cut(text, length)) <= length
    assert text.startswith(cut(text, length).removesuffix("…"))


def test_the_examples_hold() -> None:
    assert doctest.testmod(plain_text).failed == 0
