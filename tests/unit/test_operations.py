"""What happened between two versions, and when two values are the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.documents.operations import Operation, operations_between
from refsync.documents.values import same_value

SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, -0.0, 1.0]) | st.text("ab", max_size=2)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner))
FILES = st.dictionaries(st.sampled_from("abcdef"), st.dictionaries(st.text("xy", max_size=2), VALUES, max_size=3))


def test_deletes_come_first_in_the_old_order_then_the_rest_in_the_new_one() -> None:
    old: dict[str, dict[str, Any]] = {"z": {}, "b": {"n": 1}, "a": {}, "same": {"n": 1}}
    new: dict[str, dict[str, Any]] = {"y": {}, "same": {"n": 1}, "b": {"n": 2}, "c": {}}
    assert operations_between(old, new) == [
        Operation("delete", "z"),
        Operation("delete", "a"),
        Operation("create", "y"),
        Operation("update", "b"),
        Operation("create", "c"),
    ]


def test_no_file_has_no_models() -> None:
    assert operations_between(None, {"a": {}}) == [Operation("create", "a")]
    assert operations_between({"a": {}}, None) == [Operation("delete", "a")]
    assert operations_between(None, None) == []


def test_a_record_whose_keys_only_changed_places_is_not_updated() -> None:
    old = {"a": {"x": 1, "y": {"p": 1, "q": [{"r": 1, "s": 2}]}}, "b": {}}
    new = {"b": {}, "a": {"y": {"q": [{"s": 2, "r": 1}], "p": 1}, "x": 1}}
    assert operations_between(old, new) == []


@pytest.mark.parametrize(
    ("a", "b"),
    [(True, 1), (1, 1.0), (0, False), (0.0, -0.0), (None, 0), ("1", 1), ([1, 2], [2, 1]), ([1], [1, 1]), ([], {})],
)
def test_these_are_different_values_at_any_depth(a: Any, b: Any) -> None:
    assert not same_value(a, b)
    assert not same_value({"x": [a]}, {"x": [b]})
    assert operations_between({"m": {"x": a}}, {"m": {"x": b}}) == [Operation("update", "m")]


def test_values_too_deep_for_recursion_are_compared() -> None:
    a: Any = {"y": 1, "x": 2}
    b: Any = {"x": 2, "y": 1}
    for _ in range(5_000):
        a, b = [a], [b]
    assert same_value(a, b)
    assert not same_value(a, [b])


@given(VALUES, VALUES)
def test_sameness_is_symmetric_and_finer_than_equality(a: Any, b: Any) -> None:
    assert same_value(a, a)
    assert same_value(a, b) == same_value(b, a)
    assert a == b or not same_value(a, b)


@given(FILES, FILES)
def test_creates_less_deletes_is_what_the_file_grew_by(
    old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]
) -> None:
    operations = operations_between(old, new)
    kinds = [operation.kind for operation in operations]
    assert kinds.count("create") - kinds.count("delete") == len(new) - len(old)
    untouched = new.keys() - {operation.model for operation in operations}
    assert all(same_value(old[model], new[model]) for model in untouched)
    assert len({operation.model for operation in operations}) == len(operations)
