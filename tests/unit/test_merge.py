"""Two edits of one record: what merges, what conflicts, and how that is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.documents.field_order import interleaved
from refsync.documents.merge import (
    MISSING,
    FieldConflict,
    MergeConflict,
    describe_conflict,
    merge_record,
    same_record,
    unstamped,
)
from refsync.documents.values import same_value

Record = dict[str, Any]

SCALARS = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from([1.0, "x"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)
STAMPS = {"m": ("at",)}


def conflict(base: Record, current: Record, wanted: Record) -> MergeConflict:
    found = merge_record(base, current, wanted)
    assert isinstance(found, MergeConflict)
    return found


def test_edits_of_different_fields_are_merged_in_the_order_of_the_current_record_and_new_ones_as_wanted() -> None:
    base = {"name": "m", "version": "1", "nsfw": False}
    current = {"nsfw": False, "name": "m", "version": "2"}
    merged = merge_record(base, current, {"name": "m", "tags": ["t"], "version": "1", "nsfw": True})
    assert merged == {"nsfw": True, "name": "m", "version": "2", "tags": ["t"]}
    assert list(merged) == ["nsfw", "name", "tags", "version"]


def test_objects_are_merged_field_by_field_at_every_depth() -> None:
    base = {"c": {"s": {"x": 1, "y": 1}}}
    assert merge_record(base, {"c": {"s": {"x": 2, "y": 1}}}, {"c": {"s": {"x": 1, "y": 2}}}) == {
        "c": {"s": {"x": 2, "y": 2}}
    }
    assert merge_record({}, {"c": {"x": 1}}, {"c": {"y": 2}}) == {"c": {"x": 1, "y": 2}}


def test_a_list_is_one_value() -> None:
    assert conflict({"t": [1, 2]}, {"t": [1, 2, 3]}, {"t": [0, 1, 2]}).fields[0].path == ("t",)


def test_fields_removed_on_either_side_are_gone() -> None:
    assert merge_record({"a": 1, "b": 1, "c": 1, "d": 1}, {"b": 1, "c": 1}, {"a": 1, "c": 1}) == {"c": 1}


def test_the_same_edit_on_both_sides_is_no_conflict() -> None:
    assert merge_record({"a": 1}, {"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}) == {"a": {"x": 1, "y": 2}}


def test_every_field_in_conflict_is_named_with_its_path() -> None:
    found = conflict({"a": 1, "o": {"p": 1, "q": 1}}, {"a": 2, "o": {"p": 2, "q": 2}}, {"a": 3, "o": {"p": 3}})
    assert found.fields == (
        FieldConflict(("a",), 1, 2, 3),
        FieldConflict(("o", "p"), 1, 2, 3),
        FieldConflict(("o", "q"), 1, 2, MISSING),
    )


def test_one_and_true_are_different_edits() -> None:
    assert isinstance(merge_record({"a": 0}, {"a": 1}, {"a": True}), MergeConflict)


def test_an_object_removed_here_and_changed_there_conflicts_as_a_whole() -> None:
    assert conflict({"o": {"p": 1}}, {"o": {"p": 2}}, {}).fields == (
        FieldConflict(("o",), {"p": 1}, {"p": 2}, MISSING),
    )


def test_stamps_take_no_part_and_the_current_ones_stay() -> None:
    base, current = {"n": 1, "m": {"at": 1, "own": 1}}, {"m": {"at": 2, "own": 1}, "n": 1}
    wanted = {"n": 2, "m": {"at": 3, "own": 2}}
    assert merge_record(base, current, wanted, stamps=STAMPS) == {"m": {"at": 2, "own": 2}, "n": 2}
    assert merge_record(base, current, {"n": 1}, stamps=STAMPS) == {"m": {"at": 2}, "n": 1}
    assert merge_record({"n": 1}, {"n": 1}, {"n": 1, "m": {"at": 1}}, stamps=STAMPS) == {"n": 1}
    assert same_record({"n": 1, "m": {"at": 1}}, {"n": 1}, stamps=STAMPS)
    assert not same_record({"n": 1, "m": 1}, {"n": 1}, stamps=STAMPS)
    assert not same_record({"n": {"at": 1}}, {"n": {}}, stamps=STAMPS)
    assert isinstance(merge_record({"m": {"at": 1}}, {"m": {"at": 2}}, {"m": {"at": 3}}), MergeConflict)


STAMPED = st.fixed_dictionaries({}, optional={"a": VALUES, "m": st.dictionaries(st.sampled_from("xyz"), SCALARS)})


def bare_of(record: Record, current: Record, keys: set[str]) -> Record:
    """Without stamps; beside a current ``m`` with some, or with nothing, one that is not there is like an empty one."""
    here = current.get("m")
    is_there = here is not None and (not here or not keys.isdisjoint(here))
    return ({"m": {}} if is_there else {}) | unstamped(record, {"m": keys})


@given(STAMPED, STAMPED, STAMPED, st.sets(st.sampled_from("xyz")))
def test_a_merge_does_the_same_with_stamps_as_without_the_keys_that_are_stamps(
    base: Record, current: Record, wanted: Record, keys: set[str]
) -> None:
    stamps = {"m": keys}
    merged = merge_record(base, current, wanted, stamps=stamps)
    bare = merge_record(*(bare_of(record, current, keys) for record in (base, current, wanted)))
    if isinstance(bare, MergeConflict):
        assert isinstance(merged, MergeConflict)
        assert {field.path for field in merged.fields} == {field.path for field in bare.fields}
        return
    assert isinstance(merged, dict)
    assert same_record(merged, bare, stamps=stamps)
    kept, here = merged.get("m", {}), current.get("m", {})
    assert {key: kept[key] for key in kept if key in keys} == {key: here[key] for key in here if key in keys}


def test_the_records_handed_in_are_left_as_they_were() -> None:
    base, current, wanted = {"o": {"a": 1}}, {"o": {"a": 1, "b": 1}}, {"o": {"a": 2}}
    merge_record(base, current, wanted)
    assert (base, current, wanted) == ({"o": {"a": 1}}, {"o": {"a": 1, "b": 1}}, {"o": {"a": 2}})


@given(RECORDS, RECORDS)
def test_an_edit_of_an_unchanged_record_is_taken_whole(base: Record, wanted: Record) -> None:
    assert same_value(merge_record(base, base, wanted), wanted)


@given(RECORDS, RECORDS)
def test_no_edit_leaves_the_current_record(base: Record, current: Record) -> None:
    merged = merge_record(base, current, base)
    assert same_value(merged, current)
    assert list(merged) == list(current) if isinstance(merged, dict) else False


@given(RECORDS, RECORDS)
def test_the_same_edit_twice_is_that_edit(base: Record, both: Record) -> None:
    assert same_value(merge_record(base, both, both), both)


@given(RECORDS, RECORDS, RECORDS)
def test_merging_is_symmetric(base: Record, one: Record, other: Record) -> None:
    here, there = merge_record(base, one, other), merge_record(base, other, one)
    if isinstance(here, MergeConflict):
        assert isinstance(there, MergeConflict)
        assert {field.path for field in here.fields} == {field.path for field in there.fields}
    else:
        assert same_value(here, there)


@given(RECORDS, RECORDS, RECORDS)
def test_a_conflict_holds_three_different_values(base: Record, current: Record, wanted: Record) -> None:
    found = merge_record(base, current, wanted)
    for field in found.fields if isinstance(found, MergeConflict) else ():
        assert not same_value(field.base, field.current)
        assert not same_value(field.base, field.wanted)
        assert not same_value(field.current, field.wanted)


def test_a_conflict_is_told_with_all_values() -> None:
    found = conflict({"version": "1.0", "o": {"p.q": 1}}, {"version": "1.1", "o": {}}, {"o": {"p.q": 2}})
    assert describe_conflict(found) == (
        'version: was "1.0", is now "1.1", wanted absent; o."p.q": was 1, is now absent, wanted 2'
    )


@pytest.mark.parametrize("hostile", ["a\nb", "\x1b[2J", "\x7f", "\u2028", "\u202e", "\x9b31m", "\ud800"])
def test_what_a_terminal_would_obey_is_escaped(hostile: str) -> None:
    line = describe_conflict(conflict({hostile: hostile}, {hostile: 1}, {hostile: 2}))
    assert line.isprintable()
    assert hostile not in line


def test_long_values_and_long_lists_of_fields_are_cut() -> None:
    base = {f"f{number}": "x" * 1_000 for number in range(20)}
    line = describe_conflict(conflict(base, dict.fromkeys(base, 1), dict.fromkeys(base, 2)))
    assert line.endswith("; and 12 more")
    assert f'f7: was "{"x" * 58}…, is now 1, wanted 2' in line
    assert len(line) < 2_000


def test_a_new_field_stands_in_the_merged_record_where_it_is_wanted() -> None:
    base = {"name": 1, "type": 1, "o": {"a": 1, "c": 1}, "av": 1}
    wanted = {"first": 0, "name": 1, "type": 1, "inp": 2, "o": {"a": 1, "b": 1, "c": 1}, "av": 1, "last": 3}
    merged = merge_record(base, {**base, "theirs": 4}, wanted)
    assert isinstance(merged, dict)
    assert list(merged) == ["first", "name", "type", "inp", "o", "av", "theirs", "last"]
    assert list(merged["o"]) == ["a", "b", "c"]


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.lists(st.sampled_from("abcdefgh"), unique=True))
def test_interleaving_keeps_the_order_of_what_is_there_and_has_all_once(present: list[str], given: list[str]) -> None:
    keys = interleaved(present, given)
    assert [key for key in keys if key in present] == present
    assert sorted(keys) == sorted({*present, *given})
    if [key for key in given if key in present] == [key for key in present if key in given] == present:
        assert keys == given
