"""Records elsewhere than at the root of a file: in an object below it, in a list, in a list below it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.documents.json_document import edit_document, new_document, read_document, read_records
from refsync.documents.shape import Shape
from refsync.errors import DocumentError

Records = dict[str, dict[str, Any]]

SHAPES = ["models", "a.b", "[id]", "models[id]", "a.b[id]"]


def around(shape: Shape, holder: Any) -> Any:
    """A value that holds the records in this shape, with things of other kinds around them."""
    value = holder
    for key in reversed(shape.path):
        value = {"$schema": "s.json", key: value, "models2": [{"id": "x"}], "version": 1.50}
    return value


def document(shape: Shape, records: Records, indent: int | str | None = 2) -> bytes:
    holder: Any = records if shape.field is None else [{"id": name, **record} for name, record in records.items()]
    return (json.dumps(around(shape, holder), indent=indent) + "\n").encode()


def edited(data: bytes, shape: Shape, edits: dict[str, Any], **options: Any) -> bytes:
    return edit_document(read_document(data, shape), edits, **options)


def plain(shape: Shape, data: bytes) -> Records:
    return {
        name: {key: value for key, value in record.items() if shape.field is None or key != "id"}
        for name, record in read_records(data, shape=shape).items()
    }


def as_held(shape: Shape, name: str, record: dict[str, Any] | None) -> dict[str, Any] | None:
    return record if record is None or shape.field is None else {"id": name, **record}


NAMES = st.sampled_from(["m1", "Zeta", "a", "é", "m2"])
RECORDS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from("xyz"),
    st.integers(0, 9) | st.text(max_size=2) | st.lists(st.integers(0, 3), max_size=2) | st.just({"k": {}}),
    max_size=3,
)


@pytest.mark.parametrize("words", SHAPES)
@given(
    st.dictionaries(NAMES, RECORDS, max_size=5),
    st.dictionaries(NAMES, st.none() | RECORDS, max_size=3),
    st.sampled_from([None, 2, 4, "\t"]),
)
def test_an_edit_gives_the_wanted_records_and_keeps_all_that_stands_around(
    words: str, records: Records, edits: dict[str, Any], indent: int | str | None
) -> None:
    shape = Shape.parse(words)
    before = document(shape, records, indent)
    after = edited(before, shape, {name: as_held(shape, name, record) for name, record in edits.items()})

    wanted = {name: record for name, record in (records | edits).items() if record is not None}
    assert plain(shape, after) == wanted
    root = json.loads(after)
    for key in shape.path:
        assert set(root) == {"$schema", key, "models2", "version"}
        root = root[key]
    if shape.path:
        last = json.dumps(shape.path[-1]).encode()
        assert after.startswith(before[: before.index(last)])
        assert after.endswith(before[before.index(b'"models2"', before.index(last)) :])


@pytest.mark.parametrize("words", SHAPES)
@given(st.dictionaries(NAMES, RECORDS, min_size=1, max_size=5), RECORDS, st.sampled_from([None, 2, "\t"]), st.data())
def test_an_added_model_that_is_removed_and_a_changed_one_that_is_changed_back_leave_every_byte(
    words: str, records: Records, other: dict[str, Any], indent: int | str | None, data: st.DataObject
) -> None:
    shape = Shape.parse(words)
    before = document(shape, records, indent)
    added = edited(before, shape, {"new": as_held(shape, "new", other)})
    assert edited(added, shape, {"new": None}) == before

    name = data.draw(st.sampled_from(sorted(records)))
    scalars = {key: (value + 1 if isinstance(value, int) else value) for key, value in records[name].items()}
    changed = edited(before, shape, {name: as_held(shape, name, scalars)})
    assert edited(changed, shape, {name: as_held(shape, name, records[name])}) == before


def test_only_the_lines_of_the_model_change() -> None:
    shape = Shape.parse("models[id]")
    before = document(shape, {"a": {"x": 1}, "b": {"x": 2}}, indent=4)
    after = edited(before, shape, {"b": {"id": "b", "x": 3, "y": [1]}})
    lines = [pair for pair in zip(before.splitlines(), after.splitlines(), strict=False) if pair[0] != pair[1]]
    assert lines[0] == (b'            "x": 2', b'            "x": 3,')
    assert after.replace(b'3,\n            "y": [\n                1\n            ]', b"2") == before


def test_a_new_one_goes_to_the_end_of_a_list_or_to_its_place_in_one_that_is_sorted() -> None:
    shape = Shape.parse("[id]")
    mixed, in_order = (document(shape, {name: {} for name in names}) for names in (["b", "a", "d", "c"], "abde"))
    assert list(plain(shape, edited(mixed, shape, {"aa": {"id": "aa"}}))) == ["b", "a", "d", "c", "aa"]
    assert list(plain(shape, edited(in_order, shape, {"c": {"id": "c"}}))) == list("abcde")


@pytest.mark.parametrize("words", SHAPES)
@pytest.mark.parametrize("indent", [None, 2, 4])
def test_the_first_model_of_an_empty_file_stands_as_the_file_is_indented(words: str, indent: int | None) -> None:
    shape = Shape.parse(words)
    empty = document(shape, {}, indent=indent)
    wanted = document(shape, {"m": {"x": 1}}, indent=indent or 4)
    after = edited(empty, shape, {"m": as_held(shape, "m", {"x": 1})})
    assert json.loads(after) == json.loads(wanted)
    assert indent is None or not shape.path or after == wanted


def test_a_model_of_a_list_is_renamed_in_its_field() -> None:
    shape = Shape.parse("models[id]")
    before = document(shape, {"a": {"x": 1}, "b": {"x": 2}})
    assert edited(before, shape, {}, renames={"a": "c"}) == before.replace(b'"id": "a"', b'"id": "c"')


def test_an_element_without_its_key_is_no_model_and_is_never_lost() -> None:
    shape = Shape.parse("[id]")
    data = b'[\n  {"id": "a", "x": 1},\n  {"x": 2},\n  7,\n  {"id": 8},\n  {"id": "b"}\n]\n'
    document = read_document(data, shape)
    assert list(document.records) == ["a", "b"]
    assert document.others == {"[1]": {"x": 2}, "[2]": 7, "[3]": {"id": 8}}
    assert edited(data, shape, {"b": None, "a": {"id": "a", "x": 9}}) == (
        b'[\n  {"id": "a", "x": 9},\n  {"x": 2},\n  7,\n  {"id": 8}\n]\n'
    )


def test_two_elements_of_one_key_are_told_with_both_lines_and_hinder_only_that_model() -> None:
    shape = Shape.parse("[id]")
    data = b'[\n  {"id": "a"},\n  {"id": "b"},\n  {"id": "a"}\n]\n'
    document = read_document(data, shape)
    assert str(document.fault_of("a")) == 'line 4, column 3: the key "a" is there twice, in line 2, too'
    assert b'"b", "x": 1' in edit_document(document, {"b": {"id": "b", "x": 1}})
    with pytest.raises(DocumentError, match="twice"):
        edit_document(document, {"a": None})


def test_members_that_are_to_be_ignored_are_no_models() -> None:
    shape = Shape.parse("", ignored=["sample_spec"])
    data = b'{"sample_spec": {"x": 1}, "a": {}}'
    assert list(read_document(data, shape).records) == ["a"]
    assert edited(data, shape, {"a": {"x": 1}}) == b'{"sample_spec": {"x": 1}, "a": {"x": 1}}'


@pytest.mark.parametrize(
    ("words", "data", "reason"),
    [
        ("models", b'{"other": {}}', "no object at models"),
        ("models[id]", b'{"models": {}}', "no list at models"),
        ("[id]", b"{}", "not a list of models"),
        ("a.b", b'{"a": []}', "no object at a.b"),
    ],
)
def test_a_file_of_another_shape_is_refused(words: str, data: bytes, reason: str) -> None:
    for read in (read_document, lambda data, shape: read_records(data, shape=shape)):
        reader: Callable[[bytes, Shape], Any] = read
        with pytest.raises(DocumentError) as refused:
            reader(data, Shape.parse(words))
        assert refused.value.reason == reason


@pytest.mark.parametrize("words", ["a..b", ".", "[", "a[]", "a[b]c", "[a][b]"])
def test_what_is_no_shape_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="dotted path"):
        Shape.parse(words)


def test_a_new_file_has_the_shape() -> None:
    for words in SHAPES:
        shape = Shape.parse(words)
        data = new_document({"m": {"id": "m"}}, shape)
        assert read_records(data, shape=shape) == {"m": {"id": "m"}}
