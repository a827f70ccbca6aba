"""The ratchet: of two versions of a record the new one answers for the rules that it breaks and the old one kept."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refsync.documents.shape import ROOT
from refsync.rules.category_rules import CategoryRules
from refsync.rules.judge import Judge
from refsync.rules.schema import Schema
from refsync.rules.violation import Violation, news

Record = dict[str, Any]

FIELDS = ("a", "b", "c", "list")
SCHEMA = {
    "required": ["a"],
    "additionalProperties": False,
    "properties": {
        "a": {"type": "integer"},
        "b": {"anyOf": [{"type": "string", "pattern": "^x"}, {"type": "null"}]},
        "c": {"oneOf": [{"required": ["p"], "properties": {"p": {"type": "integer"}}}, {"type": "integer"}]},
        "list": {"items": {"type": "object", "required": ["n"], "properties": {"n": {"enum": [1, 2]}}}},
    },
}
EITHER = {"anyOf": [SCHEMA, {"required": ["z"], "properties": {"a": {"const": 1}}}]}
RULES = CategoryRules(
    required=("c", "list[].n"),
    allowed={"a": (1, 2)},
    patterns={"b": "x+"},
    https=("b",),
    no_placeholders=True,
    unique=("a",),
)

values = st.sampled_from([None, 0, 1, 2, 9, "x", "xx", "FIXME", "https://x", {"p": 1}, {"p": "q"}, {}])
items = st.lists(st.sampled_from([{"n": 1}, {"n": 2}, {"n": 3}, {"m": 1}, {}, "no"]), max_size=4)
records = st.fixed_dictionaries({}, optional={**dict.fromkeys(("a", "b", "c", "d", "e"), values), "list": items})
PLAIN, TWO_WAYS = Schema(SCHEMA, "", ROOT), Schema(EITHER, "", ROOT)
ANYTHING = Schema(True, "", ROOT)
schemas = st.sampled_from([PLAIN, TWO_WAYS])


def judge(models: dict[str, Record], schema: Schema = PLAIN, rules: CategoryRules = RULES) -> Judge:
    return Judge(rules, schema, None, models)


def broken(before: Record | None, after: Record, schema: Schema = PLAIN) -> list[tuple[str, str]]:
    found = judge({} if before is None else {"m": before}, schema).broken({"m": after}, {}).get("m", [])
    return [(each.rule, each.field_path) for each in found]


@given(record=records, schema=schemas)
def test_a_record_that_stays_breaks_nothing_anew(record: Record, schema: Schema) -> None:
    assert broken(record, copy.deepcopy(record), schema) == []


@settings(max_examples=60)
@given(before=records, after=records, schema=schemas)
def test_what_is_new_is_part_of_what_the_new_record_breaks(before: Record, after: Record, schema: Schema) -> None:
    anew, all_of_it = broken(before, after, schema), broken(None, after, schema)
    assert all(anew.count(each) <= all_of_it.count(each) for each in anew)
    assert not all_of_it or len(anew) >= len(all_of_it) - len(broken(None, before, schema))


@given(record=records, field=st.sampled_from(FIELDS), value=values, schema=schemas)
def test_what_was_invalid_is_not_held_against_who_changes_another_field(
    record: Record, field: str, value: Any, schema: Schema
) -> None:
    anew = judge({"m": record}, schema).broken({"m": record | {field: value}}, {}).get("m", [])
    assert all(each.place[:1] == (field,) or (not each.place and schema is TWO_WAYS) for each in anew)


@given(record=records, fields=st.sets(st.sampled_from(FIELDS)), schema=schemas)
def test_who_mends_fields_breaks_nothing(record: Record, fields: set[str], schema: Schema) -> None:
    valid = {"a": 1, "b": "xx", "c": {"p": 1}, "list": []}
    after = record | {field: valid[field] for field in fields}
    assert judge({"m": record}, schema, CategoryRules()).broken({"m": after}, {}) == {}


@given(record=records, order=st.randoms(use_true_random=False))
def test_who_puts_a_list_in_another_order_or_takes_something_away_from_it_breaks_nothing(
    record: Record, order: Any
) -> None:
    after = copy.deepcopy(record)
    if elements := after.get("list"):
        order.shuffle(elements)
        assert broken(record, after) == []
        elements.pop()
        assert broken(record, after) == []


@given(record=records, schema=schemas)
def test_who_creates_a_record_answers_for_all_of_it(record: Record, schema: Schema) -> None:
    found = judge({}, schema, CategoryRules()).broken({"m": record}, {}).get("m", [])
    assert found == schema.violations("m", record)


@pytest.mark.parametrize(
    ("before", "after", "anew"),
    [
        ({"list": [{"n": 3}, {"n": 1}]}, {"list": [{"n": 1}, {"n": 4}]}, ["list.1.n"]),
        ({"list": [{"n": 3}]}, {"list": [{"n": 4}, {"n": 3}]}, ["list.0.n"]),
        ({"list": [{"n": 3}]}, {"list": [{"n": 4}]}, []),
        ({"list": [{"n": 3}]}, {"list": [{"n": 3}, {"n": 3}]}, ["list.1.n"]),
        ({"d": 1}, {"d": 2, "e": 1}, ["e"]),
        ({"a": 1, "c": {"p": "x"}}, {"a": 1}, []),
    ],
)
def test_an_old_fault_explains_one_new_one_by_its_value_or_its_place(
    before: Record, after: Record, anew: list[str]
) -> None:
    found = judge({"m": before}, rules=CategoryRules()).broken({"m": after}, {}).get("m", [])
    assert [each.field_path for each in found] == anew


def test_of_several_ways_one_may_stay_as_far_as_it_was() -> None:
    """A record that fits no way is no licence for new faults, nor is that held against who leaves one as near."""
    second = {"required": ["q"], "properties": {"x": {"type": "integer"}}}
    rules, edit = CategoryRules(), {"m": {"x": "text"}}
    either = Schema({"anyOf": [{"required": ["p"]}, second]}, "", ROOT)
    assert judge({"m": {}}, either, rules).broken(edit, {}) == {}
    neither = Schema({"anyOf": [{"required": ["p"], "properties": {"x": {"type": "null"}}}, second]}, "", ROOT)
    assert [*judge({"m": {}}, neither, rules).broken(edit, {})] == ["m"]


def test_a_renamed_record_is_the_same_one_and_unique_values_go_with_it() -> None:
    rules = CategoryRules(required=("z",), unique=("a",))
    models = {"old": {"a": 1}, "other": {"a": 2}}
    found = judge(models, ANYTHING, rules)
    assert found.broken({"old": None, "new": {"a": 1}}, {"new": "old"}) == {}
    assert [str(each) for each in found.broken({"new": {"a": 2, "z": 1}}, {})["new"]] == [
        "a: 2 is that of 'other', too"
    ]


def test_two_that_swap_their_unique_values_break_nothing_and_of_two_that_take_one_value_the_first_has_it() -> None:
    rules = CategoryRules(unique=("a",))
    found = judge({"m": {"a": 1}, "n": {"a": 2}}, ANYTHING, rules)
    assert found.broken({"m": {"a": 2}, "n": {"a": 1}}, {}) == {}
    taking = {"m": {"a": 3}, "n": {"a": 3}}
    assert [*found.broken(taking, {})] == ["m", "n"]
    assert [*found.broken_in_order(taking, {})] == ["n"]


violations = st.lists(
    st.builds(Violation, st.sampled_from([("x",), ("l", 0), ("l", 1)]), st.sampled_from("rs"), st.just(""), values),
    max_size=6,
)


@settings(max_examples=60)
@given(before=violations, after=violations, more=violations)
def test_more_old_faults_never_make_more_new_ones(
    before: list[Violation], after: list[Violation], more: list[Violation]
) -> None:
    assert len(news(before + more, after)) <= len(news(before, after)) <= len(after)
    assert news(after, after) == []
    assert news([], after) == after
    assert len(news(before, after)) >= len(after) - len(before)
