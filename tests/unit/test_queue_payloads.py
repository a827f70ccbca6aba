from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.errors import ModelNameError, PayloadError, RequestError
from refsync.pending_queue.payloads import (
    MAX_PAYLOAD_BYTES,
    check_line,
    check_model_name,
    check_payload,
    check_reason,
    check_text,
    is_surely_sound,
    parse_json,
    parse_payload,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("a" * 256, "256 characters"),
        ("a\nb", r"U\+000A at 2"),
        ("a\u2028", r"U\+2028"),
        ("a\u2029", r"U\+2029"),
        ("a\x85", r"U\+0085"),
        ("\x00", r"U\+0000"),
        ("\ud800", r"U\+D800"),
        (5, "expected text, got int"),
        (None, "expected text, got NoneType"),
    ],
)
def test_a_name_that_cannot_stand_on_one_line_is_refused(name: object, said: str) -> None:
    with pytest.raises(ModelNameError, match=said) as refusal:
        check_model_name(name)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["a", "a" * 255, "koboldcpp/Ünï 模型 🜁", "a.b\\c"])
def test_any_other_name_is_taken_as_it_is(name: str) -> None:
    assert check_model_name(name) == name


def test_texts_may_have_lines_but_must_be_writable() -> None:
    assert check_text("notes", None) is None
    assert check_text("notes", "a\nb") == "a\nb"
    for bad in ("a\0", "\udfff", 5, "x" * 70_000):
        with pytest.raises(RequestError, match=r"^notes"):
            check_text("notes", bad)


@pytest.mark.parametrize("blank", [None, "", " \n "])
def test_a_blank_reason_is_refused(blank: str | None) -> None:
    with pytest.raises(RequestError, match="reason is empty"):
        check_reason("reason", blank)


def test_a_line_over_its_limit_is_refused() -> None:
    assert check_line("title", "x" * 1000)
    with pytest.raises(RequestError, match="title has 1001 characters; at most 1000"):
        check_line("title", "x" * 1001)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ([], "expected a JSON object, got a list"),
        (None, "got null"),
        ("{}", "got a string"),
        ({"a": float("nan")}, "nan is not JSON"),
        ({"a": [float("-inf")]}, "-inf is not JSON"),
        ({1: 2}, "the key 1 is no string"),
        ({"a": {"b": {1}}}, "set is no JSON type"),
        ({"a": "\ud800"}, "lone surrogate"),
        ({"a": "x" * MAX_PAYLOAD_BYTES}, "at most 1048576"),
        ({"a": 10**5000}, "limit"),
        (nested(101), "deeper than 100"),
    ],
)
def test_a_payload_that_no_category_file_can_hold_is_refused(payload: object, said: str) -> None:
    with pytest.raises(PayloadError, match=said):
        check_payload(payload)


def test_a_payload_that_contains_itself_is_refused() -> None:
    payload: dict[str, Any] = {}
    payload["self"] = payload
    with pytest.raises(PayloadError, match="deeper than 100"):
        check_payload(payload)


def test_the_largest_and_the_deepest_payload_are_taken() -> None:
    assert check_payload(nested(100)) == nested(100)
    largest = {"a": "x" * (MAX_PAYLOAD_BYTES - len('{"a": ""}'))}
    assert check_payload(largest) == largest


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_a_payload_comes_back_equal_and_as_a_copy(payload: dict[str, Any]) -> None:
    copied = check_payload(payload)
    assert json.dumps(copied) == json.dumps(payload)
    assert copied is not payload
    assert parse_payload(json.dumps(payload).encode()) == copied


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (b'{"x": [{"b": 1, "b": 1}]}', "the key 'b' stands twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1e999}', "1e999 is not JSON"),
        (b'{"a":\n }', "line 2, column 2"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b"", "line 1, column 1"),
        (b"[]", "expected a JSON object, got a list"),
        (b"[" * 100_000, "deeper than 100"),
        (b'{"a": ' + b"1" * 5000 + b"}", "limit"),
        (b" " * (17 * MAX_PAYLOAD_BYTES), "larger than"),
        ('{"a": "\\ud800"}', "lone surrogate"),
    ],
)
def test_a_text_that_is_no_payload_is_refused_in_one_line(text: bytes | str, said: str) -> None:
    with pytest.raises(PayloadError, match=said) as refusal:
        parse_payload(text)
    assert "\n" not in str(refusal.value)


def test_a_byte_order_mark_does_no_harm() -> None:
    assert parse_payload(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@given(st.dictionaries(st.text(), json_values), st.booleans(), st.sampled_from([None, 2]))
def test_what_is_surely_sound_is_taken(payload: dict[str, Any], escaped: bool, indent: int | None) -> None:
    text = json.dumps(payload, ensure_ascii=escaped, indent=indent, separators=(",", ":"))
    if is_surely_sound(text):
        check_payload(parse_json(text, what="line"))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "\\ud800"}',
        '{"a": "\ud800"}',
        json.dumps(nested(101)),
        json.dumps({"a": [1] * (MAX_PAYLOAD_BYTES // 3)}, separators=(",", ":")),
    ],
)
def test_what_may_be_refused_is_not_surely_sound(text: str) -> None:
    assert not is_surely_sound(text)
