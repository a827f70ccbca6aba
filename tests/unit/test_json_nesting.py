"""How deep a record may be nested: one limit, whoever reads, compares or writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.documents.json_document import edit_records, new_document, read_document, read_records
from refsync.documents.json_text import scan_document
from refsync.documents.merge import merge_record
from refsync.documents.nesting import MAX_DEPTH, is_too_deep, outlines
from refsync.documents.values import same_value
from refsync.dumping import dump
from refsync.errors import DocumentError, PayloadError
from refsync.pending_queue.diffs import field_changes
from refsync.pending_queue.payloads import check_payload, parse_payload
from refsync.review.rewriting import rewritings_between

DEEPER = [MAX_DEPTH + 1, 300, 500, 980, 100_000]


def nested(depth: int, value: Any = 1, key: str = "k") -> dict[str, Any]:
    """Objects and lists in turn, the outermost an object."""
    for level in range(depth - 1, 0, -1):
        value = [value] if level % 2 else {key: value}
    return {key: value}


def nested_text(depth: int) -> str:
    return '{"k":[' * (depth // 2) + '{"k":' * (depth % 2) + "1" + "}" * (depth % 2) + "]}" * (depth // 2)


def test_a_record_of_the_greatest_depth_goes_through_everything() -> None:
    old, new = nested(MAX_DEPTH), nested(MAX_DEPTH, 2)
    data = new_document({"a": old, "b": {}})
    after = edit_records(data, {"a": new, "b": parse_payload(json.dumps(old).replace("1", "1E5"))})
    assert read_records(after)["a"] == new
    assert check_payload(new) == new
    assert edit_records(after, {"a": old, "b": {}}) == data
    assert merge_record(old, old, new) == new
    assert len(field_changes(old, new)) == 1
    assert rewritings_between(data, edit_records(data, {"a": new})) == []
    assert dump(old, indent=1) == json.dumps(old, indent=1)


@pytest.mark.parametrize("depth", DEEPER)
def test_what_is_deeper_is_refused_by_every_reader_in_the_same_words(depth: int) -> None:
    data = f'{{"b": {{}},\n "a": {nested_text(depth)}}}'.encode()
    for read in (read_records, lambda data: read_document(data).check_editable()):
        with pytest.raises(DocumentError, match=f'^line 2, column 2: "a" is nested deeper than {MAX_DEPTH} levels$'):
            read(data)
    with pytest.raises(PayloadError, match=f"nested deeper than {MAX_DEPTH} levels"):
        parse_payload(nested_text(depth))


@pytest.mark.parametrize("depth", DEEPER)
def test_around_a_record_that_is_too_deep_all_can_be_edited_and_it_can_be_removed(depth: int) -> None:
    text = f'{{"b": {{"x": 1}},\n "a" :  {nested_text(depth)} ,\n  "c": {{"s": "[{{"}}}}\n'
    assert edit_records(text.encode(), {"b": {"x": 2}}).decode() == text.replace('"x": 1', '"x": 2')
    assert edit_records(text.encode(), {"a": None}).decode() == '{"b": {"x": 1},\n  "c": {"s": "[{"}}\n'
    with pytest.raises(DocumentError, match="nested deeper"):
        edit_records(text.encode(), {"a": {}})


TEXTS = st.text('ab"\\{}[],:')
VALUES = st.recursive(
    TEXTS | st.none(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)


@given(st.dictionaries(TEXTS, VALUES))
def test_the_outlines_of_a_document_are_where_its_members_are(members: dict[str, Any]) -> None:
    text = json.dumps(members, indent=1)
    found = list(outlines(text))
    assert [(each.start, each.key_end) for each in found] == [
        (item.start, item.key_end) for item in scan_document(text).items
    ]
    assert all(
        text[each.start : each.end].rstrip() == text[item.start : item.end]
        for each, item in zip(found, scan_document(text).items, strict=True)
    )
    for each, value in zip(found, members.values(), strict=True):
        deeper = value
        for _ in range(MAX_DEPTH - each.depth):
            deeper = [deeper]
        assert not is_too_deep([deeper])
        assert is_too_deep([[deeper]])
        assert same_value(value, value)


def test_a_cycle_is_too_deep() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    assert is_too_deep([cycle])
