"""The built-in checks of one file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from refsync.reference.versions import Version
from refsync.review.dump_findings import faults_of_dump
from refsync.review.file_findings import faults_of_document, faults_of_members
from tests.support.repositories import dump

FINE = {"a": {"name": "a"}, "b": {"name": "b"}, "c": {"name": "c"}}


def faults(data: bytes) -> list[tuple[int | None, str | None, str]]:
    return [(each.line, each.model, each.what) for each in faults_of_document("clip.json", Version(data))]


@pytest.mark.parametrize("data", [dump(FINE), b"{}", dump({"a": {}, "b": {}}), dump({"a": {"name": "other"}})])
def test_a_fine_file_has_no_finding(data: bytes) -> None:
    assert faults(data) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{\n"a": }', (2, None, "invalid JSON: Expecting value")),
        (b'{\n"a": "\xff"}', (2, None, "not UTF-8")),
        (b"[]", (1, None, "not an object of models")),
        (b'{"a": {"x": NaN}}', (1, None, "NaN is not a finite number")),
        (b'{"a": {},\n"a": {}}', (2, "a", 'the key "a" is there twice')),
        (b'{"a": {"x": [{"y": 1,\n"y": 2}]}}', (2, "a", 'the key "y" is there twice')),
    ],
)
def test_a_fault_is_told_with_its_place(data: bytes, expected: tuple[int, str | None, str]) -> None:
    assert faults(data) == [expected]


def test_every_double_key_is_told_and_a_member_that_is_no_record_is_no_fault() -> None:
    data = b'{"a": {"x": 1, "x": 2},\n"b": [],\n"c": 1,\n"a": {}}'
    assert [(line, model) for line, model, _ in faults(data)] == [(4, "a"), (1, "a")]


def test_a_name_has_to_be_its_key_where_its_neighbours_keep_to_that() -> None:
    assert faults(dump(FINE | {"b": {"name": "x"}})) == [(5, "b", 'its name is "x", unlike its key')]
    assert faults(dump({"a": {"name": "x"}, "b": {"name": "y"}, "c": {"name": "z"}})) == []


def test_a_file_nested_too_deeply_is_a_finding() -> None:
    ((_, _, what),) = faults(b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert what == '"a" is nested deeper than 100 levels'


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b'{"a": {"x": 1,\n},\n"b": {}}', 1, "a comma behind the last item"),
        (b'{"a": {"x": [1,\n\n]}}', 1, "a comma behind the last item"),
        (b'{"a": {"x": 1}\n\n"b": {}}', 1, "a comma is missing behind this"),
        (b'{"a": {"x": 1},\n"b": {\n\n', 2, "the text ends too early"),
        (b'{"a": {},\n<<<<<<< HEAD\n"b": {},\n=======\n"b": {"x": 1},\n>>>>>>> topic\n"c": {}}', 2, "conflict markers"),
    ],
)
def test_traces_of_a_merge_and_of_an_editor_are_told_in_their_own_words(data: bytes, line: int, words: str) -> None:
    ((found, _, what),) = faults(data)
    assert found == line
    assert words in what


def test_whether_names_are_keys_is_asked_of_the_whole_file() -> None:
    titles: dict[str, Any] = {f"m{number}": {"name": f"Model {number}"} for number in range(8)}
    assert faults(dump(titles | {"m2": {"name": "m2"}, "m4": {"name": "m4"}})) == []
    keeping: dict[str, Any] = {f"m{number}": {"name": f"m{number}"} for number in range(8)}
    odd = {"m2": {"name": "x"}, "m3": {"name": "y"}}
    assert [model for _, model, _ in faults(dump(keeping | odd))] == ["m2", "m3"]


def test_names_that_look_alike_are_told_with_what_they_differ_in() -> None:
    ((line, model, what),) = faults(dump({"Alpha": {}, "beta": {}, "alpha": {}}))
    assert (line, model, what) == (4, "alpha", 'the name looks like "Alpha", and differs by case')


def test_a_member_that_is_no_record_is_a_note_and_one_that_was_a_record_is_lost() -> None:
    data = b'{"$schema": "x",\n"a": null}'
    told = [
        (each.rule, each.line, each.model, each.what)
        for each in faults_of_members("c.json", Version(data), Version(b'{"a": {}}'))
    ]
    assert told == [
        ("no-record", 1, "$schema", "is a text, no record"),
        ("lost-record", 2, "a", "was a record, and is null, no record"),
    ]
    assert [each.rule for each in faults_of_members("c.json", Version(data), None)] == ["no-record", "no-record"]


# The canonical dump

DUMPED: dict[str, Any] = {
    "a": {"name": "a", "style": "x", "config": {"files": [{"path": "p", "sum": 1}]}},
    "b": {"name": "b", "nsfw": True, "style": "é"},
    "c": {"name": "c", "nsfw": False, "config": {"files": []}},
}


def dump_faults(new: bytes, old: bytes | None = None) -> list[tuple[int | None, str | None, str, str]]:
    before = dump(DUMPED) if old is None else old
    return [
        (each.line, each.model, each.what, each.mend)
        for each in faults_of_dump("sd.json", Version(new), Version(before))
    ]


def test_a_dump_stays_a_dump() -> None:
    assert dump_faults(dump(DUMPED | {"d": {"name": "d", "style": "y"}})) == []


def test_a_field_out_of_order_is_told_with_its_place() -> None:
    new = dump(DUMPED | {"d": {"style": "y", "name": "d"}})
    assert dump_faults(new) == [(26, "d", "the field name is out of order", "put it first")]
    inner = {"files": [{"sum": 1, "path": "p"}]}
    new = dump(DUMPED | {"a": {"name": "a", "style": "x", "config": inner}})
    assert dump_faults(new) == [(2, "a", "the field config.files.path is out of order", "put it first")]


@pytest.mark.parametrize(
    ("new", "line", "model"),
    [
        (dump(DUMPED).replace(b"\\u00e9", "é".encode()), 17, "b"),
        (json.dumps(DUMPED, indent=2).encode() + b"\n", 2, "a"),
        (dump(DUMPED).removesuffix(b"\n"), 26, None),
    ],
)
def test_text_that_json_dumps_would_not_write_is_told(new: bytes, line: int, model: str | None) -> None:
    ((found_line, found_model, what, _),) = dump_faults(new)
    assert (found_line, found_model) == (line, model)
    assert "json.dumps" in what


def test_a_file_that_was_no_dump_need_not_become_one() -> None:
    plain = json.dumps(DUMPED, indent=2).encode()
    assert dump_faults(plain, plain) == []
    assert dump_faults(plain, b"broken") == []
