"""What changed in a file and is explained by no model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.documents.json_document import edit_records
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
        (OLD.replace(b'"a": {', b'"c": {"name": "c"},\n    "a": {'), "duplicate keys", []),
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
