"""Members that are no records, members that are there twice, and where a model is asked to stand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.documents.json_document import edit_records, read_document, read_records
from refsync.documents.json_shadows import without_shadowed
from refsync.documents.json_text import scan_document
from refsync.documents.model_places import Place
from refsync.errors import DocumentError

Record = dict[str, Any]
Member = tuple[str, Any]

MIXED = """{
    "$schema": "./s.json",
    "_comment": null,
    "b": {
        "x": 1
    },
    "tags": ["one",
             "two"],
    "a": {
        "x": 2
    },
    "last_updated": 20240101
}
"""


def edited(text: str, *, places: Any = None, renames: Any = None, **edits: Record | None) -> str:
    return edit_records(text.encode(), edits, places=places, renames=renames).decode()


def names(text: str) -> list[str]:
    return [item.key or "" for item in scan_document(text).items]


# members that are no records


def test_what_is_no_object_is_no_model() -> None:
    found = read_document(MIXED.encode())
    assert list(read_records(MIXED.encode())) == list(found.records) == ["b", "a"]
    assert list(found.others) == ["$schema", "_comment", "tags", "last_updated"]
    read_document(MIXED.encode()).check_editable()


def test_an_edit_leaves_what_is_no_model_as_it_stands() -> None:
    assert edited(MIXED, b={"x": 5}) == MIXED.replace('"x": 1', '"x": 5')
    assert edited(MIXED, a=None) == MIXED.replace('    "a": {\n        "x": 2\n    },\n', "")
    added = '    "c": {\n        "x": 3\n    },\n    "last'
    assert edited(MIXED, c={"x": 3}) == MIXED.replace('    "last', added)


def test_a_file_without_a_model_keeps_its_other_members() -> None:
    assert edited('{\n  "$schema": "s"\n}\n', a={"x": 1}) == ('{\n  "$schema": "s",\n  "a": {\n    "x": 1\n  }\n}\n')
    assert edited('{\n  "$schema": "s",\n  "a": {"x": 1}\n}\n', a=None) == '{\n  "$schema": "s"\n}\n'


@pytest.mark.parametrize("record", [None, {"x": 1}])
def test_a_member_that_is_no_record_is_not_replaced_by_one(record: Record | None) -> None:
    with pytest.raises(DocumentError, match=r'line 3.*the record of "_comment" is not an object'):
        edited(MIXED, _comment=record)


# members that are there twice


def test_where_a_model_is_there_twice_the_others_can_be_changed() -> None:
    text = '{"a": {"x": 1}, "b": {"x": 1}, "a": {"x": 5}}'
    assert edited(text, b={"x": 2}) == text.replace('"b": {"x": 1}', '"b": {"x": 2}')
    assert edited(text, b=None, c={"x": 9}) == '{"a": {"x": 1}, "a": {"x": 5}, "c": {"x": 9}}'
    assert sorted(read_document(text.encode()).doubles) == ["a"]
    with pytest.raises(DocumentError, match='the key "a" is there twice'):
        edited(text, a=None)


def test_where_a_record_has_a_key_twice_the_others_can_be_changed() -> None:
    text = '{"a": {"l": [{"x": 1, "x": 2}]}, "b": {"x": 1}}'
    assert edited(text, b={"x": 2}) == text.replace('"b": {"x": 1}', '"b": {"x": 2}')
    read_document(text.encode()).check_editable(["b", "new"])
    with pytest.raises(DocumentError, match='the key "x" is there twice'):
        edited(text, a={"l": []})


def test_the_shadowed_member_goes_and_every_other_byte_stays() -> None:
    text = '{\n  "a": {"x": 1},\n  "b": {"y": 1, "x": 2, "y": [{"z": 0,"z" : 1}]},\n\n  "a": {"x" : 5}\n}\n'
    kept = '{\n  "b": {"x": 2, "y": [{"z" : 1}]},\n\n  "a": {"x" : 5}\n}\n'
    assert without_shadowed(b"\xef\xbb\xbf" + text.encode()) == b"\xef\xbb\xbf" + kept.encode()


# places and new names


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({}, "cabnm"),
        ({"n": Place("after", "c")}, "cnabm"),
        ({"n": Place("before", "c")}, "ncabm"),
        ({"n": Place("before", "gone")}, "cabmn"),
        ({"n": Place("after", "a"), "m": Place("after", "a")}, "canmb"),
        ({"n": Place("after", "m"), "m": Place("before", "b")}, "camnb"),
        ({"n": Place("after", "m"), "m": Place("after", "n")}, "cabnm"),
        ({"a": Place("after", "b")}, "cabnm"),
    ],
)
def test_a_new_model_stands_where_it_is_asked_to(places: dict[str, Place], expected: str) -> None:
    text = '{"c": {"x": 1}, "a": {"x": 1}, "b": {"x": 1}}'
    assert names(edited(text, places=places, n={"x": 1}, m={"x": 1})) == list(expected)


def test_a_renamed_model_keeps_its_place_and_its_text() -> None:
    text = '{"c" :{"x":1e0}, "a"  : {"x" : 1E5, "name": "a"}, "b": {}}'
    assert edited(text, renames={"a": "é"}) == text.replace('"a"  :', '"\\u00e9"  :')
    assert edited(text, renames={"a": "n"}, a=None, n={"x": 1e5, "name": "n"}) == text.replace(
        '"a"  :', '"n"  :'
    ).replace('"name": "a"', '"name": "n"')


@pytest.mark.parametrize(("old", "new"), [("gone", "n"), ("a", "b"), ("a", "a")])
def test_a_rename_that_cannot_be_is_the_callers_mistake(old: str, new: str) -> None:
    with pytest.raises(ValueError, match="cannot be renamed"):
        edited('{"a": {}, "b": {}}', renames={old: new})


VALUES = st.sampled_from(['"s"', "null", "1.50", "[1 ,2]", "[]", '{"x":1e1}', "{}", '{"x": 1, "x": 2}', '{"y":{ }}'])
DOCUMENTS = st.lists(st.tuples(st.sampled_from("abcdef"), VALUES, st.sampled_from(["", " ", "\n  "])), max_size=7)


@given(DOCUMENTS, st.sampled_from("abcdefgh"), st.none() | st.just({"x": 3}))
def test_every_byte_but_the_models_is_the_same_and_what_cannot_be_told_apart_is_refused(
    members: list[tuple[str, str, str]], name: str, record: Record | None
) -> None:
    text = "{" + ",".join(f'{gap}"{key}": {value}' for key, value, gap in members) + "}"
    keys = [key for key, _, _ in members]
    safe = all(value.startswith("{") and '"x": 2' not in value for key, value, _ in members if key == name)
    if not safe or keys.count(name) > 1:
        with pytest.raises(DocumentError):
            edited(text, **{name: record})
        return
    after = edited(text, **{name: record})
    assert read_records(after.encode()).get(name) == record
    old, new = ([(item.key, src[item.start : item.end]) for item in scan_document(src).items] for src in (text, after))
    assert [each for each in old if each[0] != name] == [each for each in new if each[0] != name]
    if name not in keys:
        assert json.loads(edited(after, **{name: None})) == json.loads(text)


@given(DOCUMENTS)
def test_without_what_is_shadowed_the_file_reads_the_same_and_has_no_key_twice(
    members: list[tuple[str, str, str]],
) -> None:
    text = "{" + ",".join(f'{gap}"{key}": {value}' for key, value, gap in members) + "}"
    after = without_shadowed(text.encode())
    assert json.loads(after) == json.loads(text)
    assert not read_document(after).has_doubles
    if not read_document(text.encode()).has_doubles:
        assert after == text.encode()


# the place that a name asks for


GROUPED = ["stable 2", "stable 1", "flux dev", "flux lite", "flux pro", "wan 2.1", "wan 2.2", "auraflow"]


@pytest.mark.parametrize(
    ("new", "ahead"),
    [("flux max", "flux pro"), ("Stable 3", "stable 1"), ("kandinsky", "auraflow"), ("wan 2.3", "wan 2.2")],
)
def test_in_a_grouped_file_a_new_model_stands_behind_its_family(new: str, ahead: str) -> None:
    after = names(edited(json.dumps({name: {"x": 1} for name in GROUPED}), **{new: {"x": 1}}))
    assert after[after.index(new) - 1] == ahead


def test_in_a_file_that_is_not_grouped_a_new_model_goes_to_the_end() -> None:
    mixed = ["flux dev", "stable 1", "wan 2.1", "flux pro", "auraflow", "stable 2", "zeta", "wan 2.2"]
    assert names(edited(json.dumps({name: {"x": 1} for name in mixed}), **{"flux max": {"x": 1}})) == [
        *mixed,
        "flux max",
    ]


def test_one_stray_in_fifty_leaves_a_file_sorted() -> None:
    ordered = [f"m{number:03}" for number in range(0, 200, 2)]
    stray = [*ordered[:-1], "b", ordered[-1]]
    assert names(edited(json.dumps({name: {} for name in stray}), m051={"x": 1})).index("m051") == 26
