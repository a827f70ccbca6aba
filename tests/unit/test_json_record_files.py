"""Files that are one record each, and categories of several files: an edit is of its own bytes, and goes back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.categories import CategoryDescriptor
from refsync.documents.json_document import read_document, read_records
from refsync.documents.shape import RecordShape
from refsync.documents.values import same_value
from refsync.errors import DocumentError, PayloadError
from refsync.reference.many_files import ManyFiles, open_files
from refsync.reference.versions import Version
from refsync.reference.view import View

Record = dict[str, Any]
VALUES = st.integers(0, 9) | st.sampled_from([1.5, "é", None, True]) | st.lists(st.integers(0, 3), max_size=2)
RECORDS: st.SearchStrategy[Record] = st.dictionaries(
    st.sampled_from("xyz"), VALUES | st.dictionaries(st.sampled_from("pq"), VALUES, max_size=2), max_size=3
)
NAMES = st.sampled_from(["a", "b b", "é", "Zeta", "x.y"])
MODELS = CategoryDescriptor.own("models", "m/*.json", record_files=True)
KEYED = CategoryDescriptor.own("keyed", "m/*.json", record_files=True, key="id")
VENDORS = CategoryDescriptor.own("vendors", "m/*.json", records="models[id]")


def opened(category: CategoryDescriptor, files: Mapping[str, bytes]) -> ManyFiles:
    versions = {path: Version(content) for path, content in files.items()}
    return open_files(View(versions.get, lambda pattern: [*versions]), category, "m/*.json")


def written(files: Mapping[str, bytes], edited: Mapping[str, bytes | None]) -> dict[str, bytes]:
    return {path: content for path, content in {**files, **edited}.items() if content is not None}


def dump(record: Record, indent: int | str | None) -> bytes:
    return (json.dumps(record, indent=indent) + "\n").encode()


@given(
    st.dictionaries(NAMES, RECORDS, max_size=4),
    st.dictionaries(NAMES, st.none() | RECORDS, max_size=3),
    st.sampled_from([None, 2, "\t"]),
)
def test_an_edit_gives_the_wanted_records_in_files_of_their_own_and_no_other_byte_changes(
    records: Mapping[str, Record], edits: Mapping[str, Record | None], indent: int | str | None
) -> None:
    files = {f"m/{name}.json": dump(record, indent) for name, record in records.items()}
    after = written(files, opened(MODELS, files).edited(edits))
    wanted = {name: record for name, record in {**records, **edits}.items() if record is not None}
    assert set(after) == {f"m/{name}.json" for name in wanted}
    assert same_value(dict(opened(MODELS, after).records), wanted)
    for name in set(records) - set(edits):
        assert after[f"m/{name}.json"] == files[f"m/{name}.json"]


@given(st.dictionaries(NAMES, RECORDS, min_size=1, max_size=4), RECORDS, st.sampled_from([None, 2, "\t"]), st.data())
def test_what_is_changed_back_or_taken_out_again_leaves_every_byte(
    records: Mapping[str, Record], other: Record, indent: int | str | None, data: st.DataObject
) -> None:
    files = {f"m/{name}.json": dump(record, indent) for name, record in records.items()}
    name = data.draw(st.sampled_from(sorted(records)))
    changed = {key: "changed" if isinstance(value, int) else value for key, value in records[name].items()}
    for edit, back in (({name: changed}, records[name]), ({"new": other}, None)):
        after = written(files, opened(MODELS, files).edited(edit))
        assert written(after, opened(MODELS, after).edited(dict.fromkeys(edit, back))) == files


@given(NAMES, NAMES, RECORDS, st.sampled_from([None, 4]))
def test_a_renamed_record_is_the_same_bytes_in_another_file(
    old: str, new: str, record: Record, indent: int | None
) -> None:
    files = {f"m/{old}.json": dump(record, indent)}
    edits: dict[str, Record | None] = {old: None, new: record} if old != new else {new: record}
    after = written(files, opened(MODELS, files).edited(edits, renames={old: new} if old != new else {}))
    assert after == {f"m/{new}.json": files[f"m/{old}.json"]}


def test_a_new_file_is_written_like_those_beside_it() -> None:
    files = {f"m/{name}.json": b'{\r\n\t"z": 1,\r\n\t"a": [1, 2]\r\n}\r\n' for name in "ac"}
    after = opened(MODELS, files).edited({"b": {"a": [3], "z": 2}})
    assert after == {"m/b.json": b'{\r\n\t"z": 2,\r\n\t"a": [3]\r\n}\r\n'}


def test_a_record_that_is_known_by_its_field_keeps_its_file() -> None:
    files = {"m/1.json": b'{"id": "org/a", "n": 1}', "m/2.json": b'{"n": 1}'}
    keyed = opened(KEYED, files)
    assert set(keyed.records) == {"org/a"}
    assert keyed.edited({"org/a": None, "b": {"id": "b", "n": 1}}, renames={"org/a": "b"}) == {
        "m/1.json": b'{"id": "b", "n": 1}'
    }
    keyed.home("c/d", "m/3.json", is_beside=False)
    for asked, reason in ((None, "is none of the category's"), ("m/2.json", "holds something else")):
        with pytest.raises(PayloadError, match=reason):
            keyed.home("c/d", asked, is_beside=False)


def test_one_broken_file_is_named_and_a_model_in_two_is_told_with_both() -> None:
    files = {"m/x.json": b'{"models": [{"id": "a"}]}', "m/y.json": b'{"models": [{"id": "a"}, {"id": "b"}]}'}
    assert str(opened(VENDORS, files).fault_of("a")) == '"a" is in m/x.json and in m/y.json; delete all but one'
    assert opened(VENDORS, files).fault_of("b") is None
    with pytest.raises(DocumentError, match=r"m/z\.json: line 1"):
        opened(VENDORS, files | {"m/z.json": b"{"}).check_editable(["b"])


@pytest.mark.parametrize("content", [b"[]", b"1", b'"x"', b"{", b""])
def test_a_file_that_is_no_record_is_refused(content: bytes) -> None:
    for read in (read_document, read_records):
        with pytest.raises(DocumentError):
            read(content, shape=RecordShape(model="m"))
