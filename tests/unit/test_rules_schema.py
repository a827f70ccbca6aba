"""A JSON Schema of a stranger: what is followed, what is refused, and that nothing of it takes for ever."""

from __future__ import annotations

import json
import re
import socket
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from refsync.documents.shape import ROOT, Shape
from refsync.errors import DocumentError
from refsync.numbers import spelt_float
from refsync.rules.schema import MAX_BYTES, Schema, read_schema

RECORD = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}, "additionalProperties": False}


NULLABLE = {"anyOf": [{"type": "string"}, {"type": "null"}]}


def schema(content: Any, fragment: str | None = None, shape: Shape = ROOT) -> Schema:
    return read_schema(json.dumps(content).encode(), fragment, shape)


def told(found: Schema, record: Any, name: str = "m") -> list[str]:
    return [str(each) for each in found.violations(name, record)]


@pytest.mark.parametrize(
    ("content", "fragment", "shape"),
    [
        (RECORD, None, ROOT),
        ({"additionalProperties": RECORD}, None, ROOT),
        ({"additionalProperties": RECORD, "required": ["$schema", "x"], "minProperties": 5}, None, ROOT),
        ({"$defs": {"R": RECORD}, "additionalProperties": {"$ref": "#/$defs/R"}}, None, ROOT),
        ({"$defs": {"F": {"patternProperties": {"": RECORD}}}, "$ref": "#/$defs/F"}, None, ROOT),
        ({"properties": {"m": RECORD}, "additionalProperties": {"type": "string"}}, None, ROOT),
        ({"$defs": {"R": RECORD}, "minProperties": 2}, "/$defs/R", ROOT),
        ({"$id": "https://x/s", "$ref": "https://x/s#/$defs/R", "$defs": {"R": RECORD}}, None, ROOT),
        ({"type": "array", "items": RECORD, "minItems": 9}, None, Shape.parse("[n]")),
        ({"properties": {"models": {"additionalProperties": RECORD}}, "required": ["v"]}, None, Shape.parse("models")),
        (RECORD, None, Shape.parse("models[n]")),
    ],
)
def test_it_is_about_one_record_or_about_the_file_that_holds_it(
    content: Any, fragment: str | None, shape: Shape
) -> None:
    found = schema(content, fragment, shape)
    assert told(found, {"n": 1}) == []
    assert sorted(told(found, {"n": "x", "q": 1})) == [
        "n: \"x\" is not of type 'integer'",
        "q: is no field of the schema",
    ]
    assert told(found, {}) == ["n: is required"]


@pytest.mark.parametrize(
    ("content", "record", "expected"),
    [
        ({"properties": {"a": False}}, {"a": 1}, "a: is not allowed"),
        ({"properties": {"a": {"type": ["string", "null"]}}}, {"a": None, "b": 1}, None),
        ({"properties": {"a": NULLABLE}}, {"a": 1}, "a: 1 is not of type 'string' or 'null'"),
        ({"properties": {"a": {"anyOf": [{"items": NULLABLE}, {"type": "null"}]}}}, {"a": [1]},
         "a.0: 1 is not of type 'string' or 'null'"),
        ({"dependentRequired": {"a": ["b", "c"]}}, {"a": 1, "c": 1}, "b: is required where a is given"),
        ({"properties": {"a": {"enum": ["x"]}}}, {"a": True}, "a: true is not one of ['x']"),
        ({"properties": {"a": {"pattern": "^x+$"}}}, {"a": "y" * 900}, f'a: "{"y" * 38}… does not match \'^x+$\''),
        ({"properties": {"a.b": {"type": "null"}}}, {"a.b": {"c": 1}}, "a\\.b: it is not of type 'null'"),
        ({"properties": {"a": {"maximum": 1}}}, {"a": spelt_float("1.50")}, "a: 1.50 is greater than the maximum of 1"),
        ({"propertyNames": {"maxLength": 2}}, {"abc": 1}, '"abc" is too long'),
    ],
)  # fmt: skip
def test_each_fault_is_one_short_line_that_names_the_field(content: Any, record: Any, expected: str | None) -> None:
    assert told(schema(content), record) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "invalid JSON"),
        (b"5", "is no JSON Schema"),
        (b'{"type": "text"}', "is no JSON Schema: /type: "),
        (b" " * MAX_BYTES + b"{}", f"at most {MAX_BYTES} are read"),
        (b'{"not": ' * 101 + b"{}" + b"}" * 101, "nested deeper than 100 levels"),
        (b'{"$schema": "http://json-schema.org/draft-04/schema#"}', "its $schema "),
        (b'{"$ref": "https://example.org/model.json"}', "leads out of the file, and nothing is fetched"),
        (b'{"properties": {"x": {"$dynamicRef": "file:///etc/passwd"}}}', "leads out of the file"),
        (b'{"$defs": {"x": {"$ref": "other.json#/x"}}}', "leads out of the file"),
        (b'{"properties": {"x": {"pattern": "(?=a)b"}}}', 'the pattern "(?=a)b" is not matched'),
        (b'{"patternProperties": {"(a)\\\\1": {}}}', "is not matched"),
        (b'{"pattern": "((a{99}){99}){99}"}', "is not matched"),
        (b'{"properties": {"x": {"$schema": "https://json-schema.org/draft/2020-12/schema"}}}', "at the root only"),
        (b'{"default": {"pattern": "(?=a)"}, "$ref": "#/default"}', "is not matched"),
        (b'{"unevaluatedProperties": false, "patternProperties": {"^(a+)+$": {}}}', "is not followed beside"),
    ],
)
def test_what_is_not_followed_is_refused_when_it_is_read(content: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=re.escape(reason)) as refused:
        read_schema(content, None, ROOT)
    assert len(str(refused.value).splitlines()) == 1


def test_a_fragment_has_to_lead_somewhere() -> None:
    with pytest.raises(DocumentError, match="it has nothing at #/nowhere"):
        schema(RECORD, "/nowhere")


@pytest.mark.parametrize(
    "draft", ["draft-07/schema#", "draft-06/schema#", "draft/2019-09/schema", "draft/2020-12/schema"]
)
def test_older_drafts_are_followed_too(draft: str) -> None:
    host = "http" if "draft-" in draft else "https"
    found = schema(
        {"$schema": f"{host}://json-schema.org/{draft}", "properties": {"n": {"const": 1}}, "required": ["n"]}
    )
    assert told(found, {"n": 2}) == ["n: 1 was expected"]
    assert told(found, {}) == ["n: is required"]


def doubling(keyword: str) -> dict[str, Any]:
    """Forty definitions, each of which asks for the next one twice."""
    defs: dict[str, Any] = {f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    return {"$ref": "#/$defs/d0", "$defs": defs | {"d40": {"required": ["q"]}}}


BOMBS = {
    "cycle": {"$ref": "#"},
    "cycle in allOf": {"allOf": [{"$ref": "#"}]},
    "cycle of evaluated": {"$ref": "#", "unevaluatedProperties": False},
    "doubling": doubling("allOf"),
    "doubling ways": doubling("anyOf"),
    "doubling evaluated": doubling("oneOf") | {"unevaluatedProperties": False},
    "great enum": {"properties": {"x": {"items": {"enum": [f"{n}" for n in range(19000)]}}}},
    "unique objects": {"properties": {"x": {"uniqueItems": True}}},
    "patterns": {"properties": {"x": {"items": {"allOf": [{"pattern": "^(a+)+$"}, {"pattern": "(a|a)*$"}]}}}},
    "names": {"patternProperties": {"^(([a-z])+.)+[A-Z]([a-z])+$": {"type": "null"}}},
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_nothing_that_a_schema_asks_takes_for_ever(bomb: str) -> None:
    found = schema(BOMBS[bomb], "")
    texts = [
        {"n": n} if bomb == "unique objects" else "a" * 500 + "!"
        for n in range(400 if bomb == "unique objects" else 100)
    ]
    record = {"x": texts, "a" * 5000: 1}
    for _ in range(10):  # each of which would take years
        first = [each.rule for each in found.violations("m", record)]
    assert (first == ["steps"]) is (bomb not in ("patterns", "names"))


def test_a_great_record_of_great_faults_is_told_in_little() -> None:
    found = schema({"properties": {"x": {"anyOf": [{"type": "string"}] * 40}}}, "")
    (only,) = found.violations("m", {"x": ["y" * 100] * 5000})
    assert len(str(only)) < 200


def test_nothing_is_fetched_whatever_a_schema_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise AssertionError("it opened a socket")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    inner = {"$id": "https://example.org/inner", "$ref": "#/$defs/none"}
    found = schema({"$id": "https://example.org/outer", "properties": {"x": inner}})
    assert told(found, {"x": 1}) == ["cannot be checked, for the schema has no /$defs/none"]


names = st.sampled_from(["a", "b", "ab", "x"])
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, "", "a", "ab"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
types = st.sampled_from(["object", "array", "string", "integer", "number", "null", "boolean"])


def asking(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": types,
            "properties": st.dictionaries(names, inner, max_size=2),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$", ""]), inner, max_size=1),
            "additionalProperties": inner,
            "required": st.lists(names, unique=True, max_size=2),
            "dependentRequired": st.dictionaries(names, st.lists(names, unique=True, max_size=2), max_size=1),
            "pattern": st.sampled_from(["^a", "b$", "x"]),
            "items": inner,
            "anyOf": some,
            "oneOf": some,
            "allOf": some,
            "not": inner,
            "enum": st.lists(plain, min_size=1, max_size=3),
            "const": plain,
        },
    )


@settings(max_examples=40)
@example(content={"additionalProperties": {"anyOf": [False]}}, record={"a": None})
@example(content={"additionalProperties": {"oneOf": [False, {"type": "string"}]}}, record={"a": None})
@given(content=st.recursive(st.booleans(), asking, max_leaves=6), record=st.dictionaries(names, plain, max_size=3))
def test_a_record_is_valid_where_the_library_says_so(content: Any, record: dict[str, Any]) -> None:
    """The keywords that are followed in a way of our own ask for the same."""
    assert bool(Schema(content, "", ROOT).violations("m", record)) is not Draft202012Validator(content).is_valid(record)
