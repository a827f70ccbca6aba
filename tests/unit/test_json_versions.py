from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refsync.documents.json_document import read_document, read_records
from refsync.documents.json_versions import JsonVersion, read_version
from refsync.documents.shape import ROOT, Shape
from refsync.errors import DocumentError
from refsync.reference.versions import Version

names = st.sampled_from(["a", "b", "c", 'quo"te', "back\\slash", "{", "}", ",", "Ünï", "", "ab", "aa"])
values = st.recursive(
    st.sampled_from([None, True, 1, 12, 1.0, -0.0, 1e300, "", "1", "}", '",', "ü"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)
documents = st.lists(st.tuples(names, st.dictionaries(names, values, max_size=3) | values), max_size=6)
layouts = st.sampled_from([(", ", ": "), (",", ":"), (" ,\n", " : "), (",\r\n\t", ":\n")])


def text_of(members: list[tuple[str, Any]], layout: tuple[str, str]) -> str:
    """As people may write it, with keys that stand twice."""
    comma, colon = layout
    return "{" + comma.join(f"{json.dumps(name)}{colon}{json.dumps(value)}" for name, value in members) + "}\n"


def told(data: bytes, before: JsonVersion | None = None) -> tuple[list[tuple[str, str]], str]:
    """The models in their order, and why there are none."""
    return outcome(lambda: read_records(data) if before is None else read_version(data, before).records)


def told_as_edit(data: bytes, of: bytes) -> tuple[list[tuple[str, str]], str]:
    """The same of a version that was made from another one."""
    before = Version(of)
    return outcome(lambda: Version(data, made_from=before).records())


def as_edited(data: bytes, shape: Shape = ROOT, of: bytes | None = None) -> object:
    """All that is known of a document as it can be edited, read by itself or as what was made of another one."""
    before = None if of is None else Version(of)
    try:
        document = read_document(data, shape) if before is None else Version(data, made_from=before).document(shape)
    except DocumentError as fault:
        return str(fault)
    parts = [repr(part) for part in (document.records, document.others, document.around, document.container)]
    return parts, document.text_around, sorted(document.doubles), sorted(document.deep), document.has_doubles


def outcome(read: Callable[[], Mapping[str, Any]]) -> tuple[list[tuple[str, str]], str]:
    try:
        records = read()
    except DocumentError as fault:
        return [], str(fault)
    return [(name, repr(record)) for name, record in records.items()], ""


@given(documents, documents, layouts, layouts, st.data())
def test_a_version_is_read_as_if_nothing_were_known_of_the_one_before(
    old: list[tuple[str, Any]],
    new: list[tuple[str, Any]],
    was: tuple[str, str],
    now: tuple[str, str],
    data: st.DataObject,
) -> None:
    kept = data.draw(st.integers(0, len(old)))
    before = read_version(text_of(old, was).encode())
    for members in (new, old[:kept] + new, new + old[kept:], old[:kept] + new + old[kept:], old[1:], old[:-1]):
        for layout in (was, now):
            content = text_of(members, layout).encode()
            assert told(content, before) == told_as_edit(content, text_of(old, was).encode()) == told(content)
            assert as_edited(content, of=text_of(old, was).encode()) == as_edited(content)


@given(documents, layouts, st.integers(0, 200), st.integers(0, 20), st.text('{}[]:,"\\a1 .e-\n\ufeff', max_size=6))
@example([("a", 1), ("b", {"c": 2})], (", ", ": "), 6, 0, "2")
@example([("a", {}), ("b", {})], (", ", ": "), 8, 9, "")
@example([("a", {})], (", ", ": "), 8, 0, ", ")
@example([("a", {})], (", ", ": "), 0, 0, "\ufeff")
@example([], (", ", ": "), 0, 1, "")
def test_so_is_one_that_somebody_has_broken(
    old: list[tuple[str, Any]], layout: tuple[str, str], at: int, length: int, put: str
) -> None:
    text = text_of(old, layout)
    before = read_version(text.encode())
    content = (text[:at] + put + text[at + length :]).encode()
    assert told(content, before) == told_as_edit(content, text.encode()) == told(content)
    assert told_as_edit(text.encode(), content) == told(text.encode())
    assert as_edited(content, of=text.encode()) == as_edited(content)
    assert as_edited(text.encode(), of=content) == as_edited(text.encode())


def test_so_is_one_with_a_record_that_is_too_deep() -> None:
    before = read_version(b'{"a": {}, "b": {}}')
    for depth in (101, 100_000):
        content = b'{"a": {}, "b": {"c": ' + b"[" * depth + b"]" * depth + b"}}"
        assert told(content, before) == told_as_edit(content, b'{"a": {}, "b": {}}') == told(content)
        assert told_as_edit(b'{"a": {}}', content) == told(b'{"a": {}}')
        assert "nested" in told(content)[1]


def test_a_key_that_an_edit_writes_twice_is_seen() -> None:
    before, content = b'{"a": {"x": 1}, "b": {}}', b'{"a": {"x": 1, "x": 2}, "b": {}}'
    assert as_edited(content, of=before) == as_edited(content)
    assert list(read_document(content).doubles) == ["a"]


def test_what_is_alike_is_not_read_again() -> None:
    models = {f"model {number}": {"version": "1", "tags": ["a"]} for number in range(100)}
    before = read_version(json.dumps(models).encode())
    after = read_version(json.dumps({**models, "model 50": {"version": "2"}}).encode(), before)
    assert [name for name, record in after.records.items() if before.records[name] is not record] == ["model 50"]


def test_a_version_is_followed_through_many() -> None:
    models: dict[str, dict[str, Any]] = {}
    version = None
    for number in range(60):
        models[f"model {number * 7 % 20}"] = {"version": number}
        if number % 5 == 0:
            models.pop(f"model {number % 20}", None)
        version = read_version(json.dumps(models, indent=4).encode(), version)
        assert version.records == models
        assert list(version.records) == list(models)


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"a": NaN}', b'{"a": 1e999}'])
def test_what_is_no_document_is_refused_with_or_without_one_before(data: bytes) -> None:
    before = read_version(b'{"a": {}}')
    assert told(data, before) == told(data) != ([], "")


@pytest.mark.parametrize("words", ["models", "[id]", "a.b[id]"])
@given(documents, documents, layouts, st.sampled_from(["", "x"]), st.data())
def test_so_is_one_whose_records_are_elsewhere_than_at_its_root(
    words: str,
    old: list[tuple[str, Any]],
    new: list[tuple[str, Any]],
    layout: tuple[str, str],
    other: str,
    data: st.DataObject,
) -> None:
    shape = Shape.parse(words)
    kept = data.draw(st.integers(0, len(old)))
    content = in_shape(old, layout, shape)
    before = read_version(content, shape=shape)
    for members in (new, old[:kept] + new, new + old[kept:], old[:kept] + new + old[kept:], old[1:], old[:-1]):
        for behind in ("", other):
            content = in_shape(members, layout, shape, behind)
            whole = outcome(lambda read=content: read_records(read, shape=shape))  # type: ignore[misc]
            assert outcome(lambda read=content: read_version(read, before, shape).records) == whole  # type: ignore[misc]
            assert as_edited(content, shape, in_shape(old, layout, shape)) == as_edited(content, shape)


def in_shape(members: list[tuple[str, Any]], layout: tuple[str, str], shape: Shape, behind: str = "") -> bytes:
    text = text_of(members, layout)
    if shape.field is not None:
        named = [{"id": name} | value if isinstance(value, dict) else value for name, value in members]
        text = "[" + layout[0].join(map(json.dumps, named)) + "]"
    for key in reversed(shape.path):
        text = f'{{"{key}"{layout[1]}{text}{layout[0]}"behind": "{behind}"}}'
    return text.encode()
