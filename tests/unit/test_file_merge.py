"""Three versions of a category file: what merges, what conflicts, and that each side of a conflict is a whole file."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.documents.csv_document import COLUMNS
from refsync.documents.file_merge import FileMerge, merge_documents
from refsync.documents.json_document import edit_records, read_records
from refsync.documents.shape import Shape
from refsync.errors import DocumentError
from refsync.reference.kinds import kind_of
from tests.support.repositories import dump
from tests.support.text_tables import read_rows

Records = dict[str, dict[str, Any]]
FILE = "models.json"
BASE: Records = {name: {"name": name, "version": "1", "nsfw": False} for name in ("Zeta", "alpha", "Mid", "beta")}
_CONFLICT = re.compile(rb"<<<<<<< ours\r?\n(.*?)=======\r?\n(.*?)>>>>>>> theirs\r?\n", re.DOTALL)


def merged(base: bytes, ours: bytes, theirs: bytes, path: str = FILE) -> FileMerge:
    return kind_of(None, path).merge(base, ours, theirs)


def merged_records(base: Records, ours: Records, theirs: Records) -> FileMerge:
    return merged(dump(base), dump(ours), dump(theirs))


def side(content: bytes, group: int) -> Any:
    """The file as it is when every conflict ends in favour of one side."""
    return json.loads(_CONFLICT.sub(lambda found: found[group], content))


def test_what_one_side_did_is_taken_and_our_bytes_stay() -> None:
    ours = dump(BASE).replace(b'"version": "1"', b'"version":   "1"')
    theirs = dump({**BASE, "alpha": BASE["alpha"] | {"version": "2"}})
    assert merged(dump(BASE), ours, theirs).content == ours.replace(
        b'"name": "alpha",\n        "version":   "1"', b'"name": "alpha",\n        "version":   "2"'
    )


def test_records_added_at_one_place_never_conflict() -> None:
    mine, other = ({"version": "1"}, {"version": "1e1", "n": 1})
    result = merged_records(BASE, {**BASE, "mine": mine}, {**BASE, "other": other})
    assert not result.conflicts
    assert list(json.loads(result.content).items())[-2:] == [("mine", mine), ("other", other)]
    assert result.created == {"other"}


def test_a_number_keeps_the_text_that_they_wrote() -> None:
    theirs = dump(BASE).replace(
        b'"nsfw": false\n    }\n}', b'"nsfw": false\n    },\n    "n": {\n        "x": 1.50e3\n    }\n}'
    )
    assert b'"x": 1.50e3' in merged(dump(BASE), dump(BASE | {"mine": {}}), theirs).content


def test_a_model_that_they_put_in_the_middle_stands_there() -> None:
    names = ["Zeta", "new", "alpha", "Mid", "beta"]
    theirs = {name: BASE.get(name, {"name": "new"}) for name in names}
    assert list(json.loads(merged_records(BASE, {**BASE, "mine": {}}, theirs).content)) == [*names, "mine"]


def test_a_file_that_is_kept_sorted_stays_so() -> None:
    base: Records = {name: {"name": name} for name in "adgjm"}
    ours, theirs = ({name: {"name": name} for name in sorted((*base, new))} for new in "bc")
    assert list(json.loads(merged_records(base, ours, theirs).content)) == list("abcdgjm")


def test_different_fields_of_one_record_are_merged() -> None:
    ours = {**BASE, "alpha": BASE["alpha"] | {"version": "2"}}
    theirs = {**BASE, "alpha": BASE["alpha"] | {"nsfw": True}}
    assert json.loads(merged_records(BASE, ours, theirs).content)["alpha"] == {
        "name": "alpha",
        "version": "2",
        "nsfw": True,
    }


def test_the_markers_stand_around_the_record_in_conflict_only() -> None:
    ours = {**BASE, "alpha": BASE["alpha"] | {"version": "2"}, "mine": {}}
    theirs = {**BASE, "alpha": BASE["alpha"] | {"version": "3", "nsfw": True}, "beta": {"name": "b"}}
    result = merged_records(BASE, ours, theirs)
    (found,) = _CONFLICT.finditer(result.content)
    assert found[1] == b'        "version": "2",\n'
    assert found[2] == b'        "version": "3",\n'
    assert side(result.content, 1)["alpha"] == {"name": "alpha", "version": "2", "nsfw": True}
    assert side(result.content, 2)["beta"] == {"name": "b"}


@pytest.mark.parametrize("model", ["Zeta", "Mid", "beta"])
@pytest.mark.parametrize("we_remove", [True, False])
def test_a_record_that_one_side_removed_and_the_other_changed_is_a_conflict(model: str, we_remove: bool) -> None:
    removed = {name: record for name, record in BASE.items() if name != model}
    changed = {**BASE, model: BASE[model] | {"version": "2"}}
    ours, theirs = (removed, changed) if we_remove else (changed, removed)
    result = merged_records(BASE, ours, theirs)
    assert [(each.model, each.fields) for each in result.conflicts] == [(model, None)]
    assert side(result.content, 1) == ours
    assert side(result.content, 2) == theirs


def test_a_record_that_was_renamed_here_and_changed_there_is_a_conflict() -> None:
    renamed = {("new" if name == "alpha" else name): record for name, record in BASE.items()}
    result = merged_records(BASE, renamed, {**BASE, "alpha": BASE["alpha"] | {"version": "2"}})
    assert [each.model for each in result.conflicts] == ["alpha"]
    assert side(result.content, 1) == renamed


def test_a_file_that_both_sides_added_is_merged_as_if_from_nothing() -> None:
    result = merged(b"", dump({"a": {"x": 1}, "b": {}}), dump({"a": {"x": 1, "y": 2}, "c": {}}))
    assert json.loads(result.content) == {"a": {"x": 1, "y": 2}, "b": {}, "c": {}}
    assert not result.conflicts


def test_a_file_with_carriage_returns_keeps_them_in_the_markers_too() -> None:
    base, ours, theirs = (
        dump({**BASE, "alpha": {"version": version}}).replace(b"\n", b"\r\n") for version in ("1", "2", "3")
    )
    content = merged(base, ours, theirs).content
    assert content.count(b"\n") == content.count(b"\r\n")


def test_a_file_on_one_line_has_its_markers_around_that_line() -> None:
    base, ours, theirs = (json.dumps({"a": {"x": number}}).encode() for number in (1, 2, 3))
    assert merged(base, ours, theirs).content == (
        b'<<<<<<< ours\n{"a": {"x": 2}}\n=======\n{"a": {"x": 3}}\n>>>>>>> theirs\n'
    )


def test_a_member_that_is_no_model_is_taken_where_only_they_changed_it() -> None:
    base, ours, theirs = ({"$version": version, **BASE} for version in (1, 1, 2))
    assert json.loads(merged(dump(base), dump({**ours, "mine": {}}), dump(theirs)).content)["$version"] == 2
    with pytest.raises(DocumentError, match="which is no model, was changed"):
        merged(dump(base), dump({**ours, "$version": 3}), dump(theirs))


@pytest.mark.parametrize("broken", [b'{"a": 1', b"[]", b"\xff", b'{"alpha": {"x": 1, "x": 2}}'])
def test_what_cannot_be_read_as_records_is_an_error(broken: bytes) -> None:
    with pytest.raises(DocumentError):
        merged(dump(BASE), dump(BASE), broken)


def test_a_key_that_stands_twice_elsewhere_hinders_nothing() -> None:
    twice = b'{\n    "a": {"x": 1, "x": 2},\n    "b": {"x": 1}\n}\n'
    theirs = twice.replace(b'"b": {"x": 1}', b'"b": {"x": 2}')
    assert merged(twice, twice, theirs).content == theirs


HEADER = ",".join(COLUMNS).encode() + b"\r\n"


def row(name: str, size: str = "7", display: str = "") -> bytes:
    return f"{name},{size},{display},,,,,,,\r\n".encode()


def test_rows_of_a_table_are_merged_as_records_are() -> None:
    base = HEADER + row("a/x") + row("b/x") + row("c/x")
    ours = HEADER + row("a/x", "8") + row("b/x", "9") + row("c/x") + row("d/x")
    theirs = HEADER + row("a/x", display="A") + row("b/x", "10") + row("e/x")
    result = merged(base, ours, theirs, "models.csv")
    assert result.content == HEADER + row("a/x", "8", "A") + (
        b"<<<<<<< ours\r\n" + row("b/x", "9") + b"=======\r\n" + row("b/x", "10") + b">>>>>>> theirs\r\n"
    ) + row("d/x") + row("e/x")
    assert [each.name for each in read_rows(_CONFLICT.sub(lambda found: found[1], result.content))] == [
        "a/x",
        "b/x",
        "d/x",
        "e/x",
    ]


def test_tables_with_other_columns_are_no_versions_of_one_table() -> None:
    other = ",".join(reversed(COLUMNS)).encode() + b"\r\n"
    with pytest.raises(DocumentError, match="columns"):
        merged(HEADER, HEADER + row("a/x"), other, "models.csv")


NAMES = st.sampled_from([*BASE, "new", "other"])
FIELDS = st.dictionaries(st.sampled_from(["name", "version", "x"]), st.integers(0, 3) | st.text(max_size=3), max_size=3)
EDITS = st.dictionaries(NAMES, st.none() | FIELDS, max_size=4)


def after(records: Records, edits: dict[str, dict[str, Any] | None]) -> Records:
    changed = {**records, **edits}
    return {name: record for name, record in changed.items() if record is not None}


@given(EDITS, EDITS)
def test_each_side_of_the_conflicts_is_whole_and_what_is_in_no_conflict_is_what_either_side_made(
    mine: dict[str, Any], others: dict[str, Any]
) -> None:
    base = dump(BASE)
    ours, theirs = edit_records(base, mine), edit_records(base, others)
    result = merged(base, ours, theirs)
    contested = {each.model for each in result.conflicts}
    for group in (1, 2):
        records = side(result.content, group)
        for name in {*BASE, *mine, *others} - contested:
            versions = [json.loads(text).get(name) for text in (base, ours, theirs)]
            if versions[0] == versions[2]:
                assert records.get(name) == versions[1]
            elif versions[0] == versions[1]:
                assert records.get(name) == versions[2]
    for conflict in result.conflicts:
        assert side(result.content, 1).get(conflict.model) == conflict.ours
        assert side(result.content, 2).get(conflict.model) == conflict.theirs


@given(EDITS)
def test_a_merge_with_an_unchanged_side_is_the_other_side(edits: dict[str, Any]) -> None:
    base = dump(BASE)
    changed = edit_records(base, edits)
    assert merged(base, changed, base).content == changed
    assert json.loads(merged(base, base, changed).content) == json.loads(changed)


_SHAPES = ["models", "[id]", "a.models[id]"]
_SIDES = st.dictionaries(
    st.sampled_from(["alpha", "Mid", "new", "other"]),
    st.dictionaries(st.sampled_from("xy"), st.integers(0, 2), max_size=2),
    max_size=4,
)


def in_shape(shape: Shape, records: Records, around: str = "1") -> bytes:
    """A file whose records are elsewhere than at its root."""
    held: Any = records if shape.field is None else [{"id": name, **record} for name, record in records.items()]
    for key in reversed(shape.path):
        held = {"version": around, key: held, "end": True}
    return (json.dumps(held, indent=2) + "\n").encode()


def plain(shape: Shape, data: bytes) -> Records:
    records = read_records(data, shape=shape)
    return {name: {key: value for key, value in each.items() if key != "id"} for name, each in records.items()}


@pytest.mark.parametrize("words", _SHAPES)
@given(_SIDES, _SIDES, _SIDES)
def test_records_anywhere_in_a_file_are_merged_as_those_at_its_root(
    words: str, base: Records, ours: Records, theirs: Records
) -> None:
    shape = Shape.parse(words)
    at_root = merged_records(base, ours, theirs)
    found = merge_documents(*(in_shape(shape, each) for each in (base, ours, theirs)), shape=shape)
    assert [each.model for each in found.conflicts] == [each.model for each in at_root.conflicts]
    for group in (1, 2):
        as_decided = _CONFLICT.sub(lambda match, side=group: match[side], found.content)  # type: ignore[misc]
        assert plain(shape, as_decided) == side(at_root.content, group)


@pytest.mark.parametrize("words", ["models", "a.models[id]"])
def test_what_stands_around_the_records_is_taken_from_the_side_that_changed_it(words: str) -> None:
    shape = Shape.parse(words)
    base, mine, other = {"a": {"x": 1}}, {"a": {"x": 1}, "b": {"x": 2}}, {"a": {"x": 3}}
    versions = in_shape(shape, base, "1"), in_shape(shape, mine, "1"), in_shape(shape, other, "2")
    assert merge_documents(*versions, shape=shape).content == in_shape(shape, {"a": {"x": 3}, "b": {"x": 2}}, "2")
    with pytest.raises(DocumentError, match="around the records was changed on both sides"):
        merge_documents(versions[0], in_shape(shape, mine, "3"), versions[2], shape=shape)


def test_elements_that_say_no_name_stay_or_are_left_to_a_person() -> None:
    shape = Shape.parse("[id]")
    base, theirs = b'[{"id": "a"}, {"x": 1}]', b'[{"id": "a"}, {"x": 1}, {"id": "c"}]'
    ours = b'[{"id": "a"}, {"id": "b"}, {"x": 1}]'
    assert merge_documents(base, ours, theirs, shape=shape).content == (
        b'[{"id": "a"}, {"id": "b"}, {"id": "c"}, {"x": 1}]'
    )
    with pytest.raises(DocumentError, match="only a person can merge"):
        merge_documents(base, ours, b'[{"id": "a"}, {"x": 2}]', shape=shape)
