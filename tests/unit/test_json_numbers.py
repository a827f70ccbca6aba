"""Numbers: what somebody wrote stays as written, what Python made is written as the file has them."""

from __future__ import annotations

import copy
import json
import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.documents.json_document import edit_records, new_document, read_records
from refsync.documents.values import same_value
from refsync.dumping import dump, load, respelt
from refsync.errors import PayloadError
from refsync.pending_queue.payloads import check_payload, parse_payload

NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,22})?([eE][-+]?[0-9]{1,2})?", fullmatch=True)
TEXTS = ["0.00000035", "2.50", "1E5", "-0", "-0.0", "123456789012345678.5", "1e-400", "1e-99999999999999999999", "1.0"]


def edited(text: str, **edits: dict[str, Any] | None) -> str:
    return edit_records(text.encode(), edits).decode()


@pytest.mark.parametrize("number", TEXTS)
def test_a_number_of_a_payload_lands_as_it_was_written(number: str) -> None:
    payload = parse_payload(f'{{"n": {number}, "l": [{{"m": {number}}}]}}')
    expected = f'{{"n": {number}, "l": [{{"m": {number}}}]}}'
    assert edited('{"a": {}}', b=payload) == f'{{"a": {{}}, "b": {expected}}}'
    assert edited('{"a": {"n": 7}}', a=payload) == f'{{"a": {expected}}}'
    after = edited('{"a": {"n": 7}}', a=check_payload(copy.deepcopy(payload)))
    assert after == f'{{"a": {expected}}}'
    assert same_value(read_records(after.encode())["a"], payload)
    assert f'"n": {number},' in new_document({"a": payload}).decode()


def test_another_spelling_of_the_same_number_asks_for_no_change() -> None:
    text = '{"a": {"n": 2.5, "e": 1e5, "x": 1}}'
    assert edited(text, a=parse_payload('{"n": 2.50, "e": 100000.0, "x": 1}')) == text
    assert edited(text, a=parse_payload('{"n": 2.50, "e": 100000.0, "x": 2}')) == text.replace("1}}", "2}}")


@pytest.mark.parametrize(("old", "new"), [("123456789012345678.5", "123456789012345678.7"), ("1e-400", "0.0")])
def test_numbers_that_no_float_tells_apart_differ(old: str, new: str) -> None:
    text = f'{{"a": {{"n": {old}, "l": [{old}]}}}}'
    assert edited(text, a=parse_payload(f'{{"n": {new}, "l": [{new}]}}')) == text.replace(old, new)
    assert not same_value(parse_payload(f'{{"n": {old}}}'), {"n": float(new)})


@pytest.mark.parametrize("number", ["1e400", "NaN", "-Infinity"])
def test_a_number_that_no_reader_can_hold_is_refused(number: str) -> None:
    with pytest.raises(PayloadError):
        parse_payload(f'{{"n": {number}}}')


def test_what_python_made_has_an_exponent_only_where_the_file_has_some() -> None:
    made = {"n": 3.5e-07, "m": 1e16, "h": 1e300}
    assert edited('{"a": {"s": ": 1e5,"}}', a=made) == '{"a": {"n": 0.00000035, "m": 10000000000000000.0, "h": 1e+300}}'
    assert edited('{"b": {"x": 1e5}}', a=made).endswith('{"n": 3.5e-07, "m": 1e+16, "h": 1e+300}}')


@given(NUMBERS)
def test_the_text_of_a_number_survives_every_copy(number: str) -> None:
    value = load(f'{{"n": [{number}]}}')
    for each in (value, copy.deepcopy(value), pickle.loads(pickle.dumps(value)), load(dump(value)), {**value}):
        assert dump(each) == f'{{"n": [{number}]}}'
        assert same_value(each, value)
    assert respelt(json.loads(dump(value)), value) == value


@given(NUMBERS, NUMBERS)
def test_numbers_are_the_same_when_their_values_are(one: str, other: str) -> None:
    a, b = load(one), load(other)
    alike = isinstance(a, float) == isinstance(b, float)
    signed = isinstance(a, int) or one.startswith("-") == other.startswith("-") or a != 0
    assert same_value(a, b) == (alike and signed and Decimal(one) == Decimal(other))
    assert same_value(a, read_records(f'{{"m": {{"n": {one}}}}}'.encode())["m"]["n"])


@given(
    st.recursive(
        st.none() | st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_plain_values_are_dumped_as_python_dumps_them(value: Any) -> None:
    spelt = {"v": value, "n": load("1E5")}
    variants: list[dict[str, Any]] = [{}, {"indent": 2}, {"indent": 4, "ensure_ascii": True}]
    for options in variants:
        assert dump(spelt, **options).replace("1E5", "1.0") == json.dumps(
            {"v": value, "n": 1.0},
            **({"ensure_ascii": False} | options),
        ).replace("1E5", "1.0")


def test_what_a_database_hands_over_as_bytes_is_read_as_its_text_is() -> None:
    text = '{"a": [0.00000035, 2.50, "ü"]}'
    assert dump(load(text.encode())) == dump(load(text)) == text
