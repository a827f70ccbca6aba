"""What changed in a file and is explained by no model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from refsync.documents.json_document import edit_records
from refsync.documents.json_text import Item, scan
from refsync.documents.values import same_value
from refsync.review.rewriting import Rewriting, rewritings_between
from tests.support.repositories import dump

Record = dict[str, Any]
RECORDS: dict[str, Record] = {
    "a": {"name": "a", "files": [{"path": "x"}], "size": 1.0},
    "b": {"name": "b", "text": "é"},
    "c": {"name": "c"},
}
OLD = dump(RECORDS)


def found(new: bytes, old: bytes = OLD) -> dict[str, list[str]]:
    return {each.kind: each.models for each in rewritings_between(old, new)}


def test_the_same_file_needs_no_explanation() -> None:
    assert found(OLD) == {}


@pytest.mark.parametrize(
    "new",
    [
        {"a": RECORDS["a"] | {"size": 2}, "b": RECORDS["b"], "c": RECORDS["c"]},
        {"a": RECORDS["a"] | {"files": []}, "b": RECORDS["b"], "c": {"new": 1, "name": "c"}},
        {"b": RECORDS["b"], "c": RECORDS["c"]},
        {"a": RECORDS["a"], "new": {"name": "new"}, "b": RECORDS["b"]},
        {},
    ],
)
def test_models_that_changed_explain_their_lines(new: dict[str, Record]) -> None:
    assert found(dump(new)) == {}
    assert found(OLD, dump(new)) == {}


@pytest.mark.parametrize(
    ("new", "kind", "models"),
    [
        (OLD.replace(b"\n", b"\r\n"), "line ends", ["a", "b", "c"]),
        (json.dumps(RECORDS, indent=2).encode() + b"\n", "white space", ["a", "b", "c"]),
        (OLD.replace(b'"size": 1.0', b'"size":1.0'), "white space", ["a"]),
        (OLD.replace(b"\n    },\n", b"\n    },\n\n", 1), "white space", ["b"]),
        (OLD.replace(b"\\u00e9", "é".encode()), "spelling", ["b"]),
        (OLD.replace(b'"a": {', b'"\\u0061": {'), "spelling", ["a"]),
        (OLD.removesuffix(b"\n"), "final newline", []),
        (b"\xef\xbb\xbf" + OLD, "byte order mark", []),
        (dump({"c": RECORDS["c"]} | RECORDS), "moved", ["c"]),
        (dump(RECORDS | {"b": {"text": "é", "name": "b"}}), "key order", ["b"]),
        (OLD.replace(b'"a": {', b'"c": {"name": "c"},\n    "a": {'), "duplicate keys", ["c"]),
        (OLD + b"\n", "white space", []),
    ],
)
def test_what_no_model_explains_is_told_by_kind(new: bytes, kind: str, models: list[str]) -> None:
    seen = found(new)
    assert seen[kind] == models


def test_only_what_differs_is_told() -> None:
    new = OLD.replace(b"\\u00e9", "é".encode())
    assert rewritings_between(OLD, new) == [Rewriting("spelling", 1, 13, ["b"])]


def test_the_fewest_records_are_called_moved() -> None:
    order = [3, 0, 1, 2, 5, 4, 6]
    old, new = (dump({f"m{number}": {} for number in numbers}) for numbers in (range(7), order))
    (moved,) = rewritings_between(old, new)
    assert moved.kind == "moved"
    assert len(moved.models) == 2
    assert moved.models[0] == "m3"


def test_the_rest_of_a_changed_record_has_to_stay_as_it_was() -> None:
    changed = dump(RECORDS | {"a": RECORDS["a"] | {"size": 2}})
    assert found(changed.replace(b'"name": "a"', b'"name":  "a"')) == {"white space": ["a"]}
    moved = {"files": [{"path": "x"}], "name": "a", "size": 2}
    assert found(dump(RECORDS | {"a": moved})) == {"key order": ["a"]}


def test_a_mixed_rewriting_is_told_whole() -> None:
    new = json.dumps({"b": RECORDS["b"]} | RECORDS, indent=2, ensure_ascii=False).encode()
    assert set(found(new)) == {"moved", "white space", "spelling", "final newline"}


def test_a_key_that_stands_twice_moves_nothing() -> None:
    old = b'{"a": {"x": 1},\n"b": {"x": 5},\n"c": {"x": 5},\n"a": {"x": 2},\n"d": {"x": 1}}'
    assert found(old.replace(b"5}", b"6}", 1), old) == {}


@pytest.mark.parametrize(
    ("old", "new", "models"),
    [
        (b'{"a":{},"a":{},"b":{}}', b'{"a":{},"b":{},"b":{}}', ["a", "b"]),
        (b'{"a":{"x":1},"b":{},"a":{"x":2}}', b'{"a":{"x":1},"b":{}}', ["a"]),
        (b'{"a":{"x":1},"b":{},"a":{"x":2}}', b'{"a":{"x":3},"b":{},"a":{"x":2}}', ["a"]),
        (b'{"a":{"l":[{"y":1,"y":2}]}}', b'{"a":{"l":[{"y":3,"y":2},1]}}', ["a"]),
        (b"{}", b'{"a":{"x":1},"a":{"x":2}}', ["a"]),
    ],
)
def test_what_comes_and_goes_where_a_key_stands_twice_is_told_with_its_model(
    old: bytes, new: bytes, models: list[str]
) -> None:
    assert found(new, old) == {"duplicate keys": models}


def test_rewriting_within_a_changed_list_is_told() -> None:
    old = b'{"a": {"l": [{"p": 1.0, "q": "\\u00e9"}, {"r": 1}]}}'
    assert found(b'{"a": {"l": [{"q": "\xc3\xa9", "p": 1.00}, {"r": 2}]}}', old) == {
        "key order": ["a"],
        "spelling": ["a"],
    }
    assert found(b'{"a": {"l": [{"p": 1.0, "q":  "\\u00e9"}, {"r": 1}, 2]}}', old) == {"white space": ["a"]}
    assert found(b'{"a": {"l": [0, {"p": 1.0, "q": "\\u00e9"}, {"r": 1}]}}', old) == {}


def test_files_are_known_by_their_names_where_they_stand() -> None:
    old = b'{"a": {"config": {"files": [{"path": "x", "s": 1.0, "t": 1}, {"path": "y"}]}}}'
    new = b'{"a": {"config": {"files": [{"path": "y"}, {"path": "x", "s": 1.00, "t": 2}]}}}'
    assert found(new, old) == {"spelling": ["a"]}


def test_lines_that_are_rewritten_in_two_places_count_once() -> None:
    (told,) = rewritings_between(b'{"a": {"x": 1.0, "y": 2.0}}', b'{"a": {"x": 1.00, "y": 2.00}}')
    assert str(told) == "spelling: 1 line, the first is 1"


_VALUES = st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["", "é", "x\ny"])
_FIELDS = st.dictionaries(st.sampled_from("abcd"), _VALUES | st.lists(_VALUES, max_size=2), max_size=4)
_RECORDS = st.dictionaries(st.sampled_from(["one", "two", "three", "four"]), _FIELDS, max_size=4)


@given(_RECORDS, _RECORDS, st.sampled_from([None, 2, "\t"]))
def test_an_edit_of_our_own_leaves_nothing_to_explain(
    old: dict[str, Record], edits: dict[str, Record], indent: int | str | None
) -> None:
    data = json.dumps(old, indent=indent).encode()
    assert rewritings_between(data, edit_records(data, edits)) == []


@given(_RECORDS, st.sampled_from([None, 2, "\t"]), st.booleans())
def test_no_difference_of_the_same_records_goes_unseen(
    records: dict[str, Record], indent: int | str | None, ascii_only: bool
) -> None:
    new = json.dumps(records, indent=indent, ensure_ascii=ascii_only).encode()
    assert (rewritings_between(dump(records), new) == []) == (dump(records) == new)


_DEEP = st.recursive(
    _VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)
_DEEP_RECORDS = st.dictionaries(
    st.sampled_from(["one", "two"]), st.dictionaries(st.sampled_from("abcd"), _DEEP, max_size=3), max_size=2
)


def kept(text: str, item: Item, old: Any) -> Iterator[tuple[Item, bool]]:
    """The items within one that a person would call the same as before, told by hand; and if a key leads to each."""
    if isinstance(item.value, dict | list) and type(item.value) is type(old):
        for place, inner in enumerate(scan(text, item.value_start).items):
            if isinstance(old, dict):
                before = old.get(inner.key, ...)
            else:
                others = [[*each[:place], *each[place + 1 :]] for each in (old, item.value)]
                before = old[place] if len(old) == len(item.value) and same_value(*others) else ...
            if before is not ...:
                if same_value(before, inner.value):
                    yield inner, inner.key is not None
                yield from kept(text, inner, before)


@given(_DEEP_RECORDS, _DEEP_RECORDS, st.sampled_from([None, 2, "\t"]), st.data())
def test_rewriting_of_what_stayed_is_told_however_deep_and_whatever_changed_beside_it(
    old: dict[str, Record], edits: dict[str, Record], indent: int | str | None, data: st.DataObject
) -> None:
    before = json.dumps(old, indent=indent).encode()
    text = edit_records(before, edits).decode()
    assert rewritings_between(before, text.encode()) == []
    whole = Item(0, 0, None, 0, 0, len(text), json.loads(text))
    same = [item for item in kept(text, whole, old) if item[1] or (isinstance(item[0].value, str) and item[0].value)]
    assume(same)
    item, is_member = data.draw(st.sampled_from(same))
    if isinstance(item.value, str) and item.value and text[item.value_start + 1] != "\\":
        place, new = item.value_start + 1, f"\\u{ord(text[item.value_start + 1]):04x}"
        rewritten = text[:place] + new + text[place + 1 :]
    else:
        assume(is_member)
        rewritten = text[: item.value_start] + "\n" + text[item.value_start :]
    assert json.loads(rewritten) == json.loads(text)
    assert rewritings_between(before, rewritten.encode()) != []


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 2), st.sampled_from([0, 10])), max_size=8))
def test_changed_values_move_nothing_however_often_a_key_stands_there(members: list[tuple[str, int, int]]) -> None:
    values = ([(key, value) for key, value, _ in members], [(key, value + more) for key, value, more in members])
    old, new = (("{" + ",\n".join(f'"{key}": {{"x": {x}}}' for key, x in each) + "}").encode() for each in values)
    assert set(found(new, old)) <= {"duplicate keys"}
    if len({key for key, *_ in members}) == len(members):
        assert found(new, old) == {}
