"""A JSON Schema of a category: a stranger's text, read and followed within bounds, and nothing is fetched for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import Draft6Validator, Draft7Validator, Draft201909Validator, Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import NoSuchResource, Unresolvable
from referencing.jsonschema import specification_with

from refsync.documents.field_paths import Place
from refsync.documents.json_document import read_json
from refsync.documents.shape import RecordShape, Shape
from refsync.errors import DocumentError
from refsync.plain_text import cut, one_line
from refsync.rules.patterns import fits, pattern
from refsync.rules.violation import Violation, shown_value

MAX_BYTES = 256 * 1024
MAX_STEPS = 20_000
"""Keywords looked at for one record, those that look at much counted as more; a record of a registry takes hundreds."""

_MOST_TOO_MUCH = 5  # records that took too many steps, after which no other one is tried
_LONGEST = 120  # characters of one sentence
_DRAFTS = {
    str(each.META_SCHEMA["$id"]).rstrip("#"): each
    for each in (Draft6Validator, Draft7Validator, Draft201909Validator, Draft202012Validator)
}
_ONE_SCHEMA = frozenset({"contains", "else", "if", "not", "propertyNames", "then"})
_SCHEMAS = frozenset(
    {"$defs", "allOf", "anyOf", "definitions", "dependentSchemas", "items", "oneOf", "patternProperties"}
    | {"prefixItems", "properties"}
)
"""Those whose value is a schema, or several; of others, ``false`` is told well."""
_HERE = "urn:refsync:schema"
_TOO_MUCH = Violation((), "steps", f"takes more than {MAX_STEPS} steps to check by the schema")

Keyword = Callable[[Validator, Any, Any, Mapping[str, Any]], Iterator[ValidationError]]


class _TooMuchError(Exception):
    """A record takes too many steps."""


class Schema:
    """What a schema asks of a record."""

    def __init__(self, content: Any, fragment: str | None, shape: Shape) -> None:
        """Understand it.

        Args:
            content: the JSON value of the file.
            fragment: which part of it is about one record, as a JSON pointer; ``None`` to find out whether it is about
                a whole file.
            shape: where in a file the records are.

        Raises:
            DocumentError: it is no schema, or one that is not followed.
        """
        draft = _draft(content)
        _check_parts(content)
        resource = specification_with(str(draft.META_SCHEMA["$id"])).create_resource(_plain(content))
        registry: Registry[Any] = Registry().with_resource(_HERE, resource)
        if own := resource.id():
            registry = registry.with_resource(own, resource)
        _check_fragment(registry, fragment)
        is_of_files = fragment is None and not isinstance(shape, RecordShape)
        self._shape = shape if is_of_files and _is_of_files(content, registry, shape) else None
        self._left = self._too_much = 0
        keywords = {name: self._counted(each) for name, each in (draft.VALIDATORS | _KEYWORDS).items()}
        reference = {"$ref": f"{_HERE}#{fragment or ''}"}
        followed: type[Validator] = extend(draft, keywords)  # type: ignore[no-untyped-call]
        self._validator = followed(reference, registry=registry)

    def violations(self, name: str, record: Mapping[str, Any]) -> list[Violation]:
        """What of the schema a record breaks."""
        if self._too_much >= _MOST_TOO_MUCH:
            return [_TOO_MUCH]
        self._left = MAX_STEPS
        instance, place = _in_file(self._shape, name, record) if self._shape else (record, ())
        try:
            errors = list(self._validator.iter_errors(instance))
        except (_TooMuchError, RecursionError):
            self._too_much += 1
            return [_TOO_MUCH]
        except Unresolvable as fault:
            return [Violation((), "$ref", f"cannot be checked, for the schema has no {fault.ref}")]
        depth = len(place)
        return [_violation(error, depth) for error in errors if tuple(error.absolute_path)[:depth] == place]

    def _counted(self, check: Keyword) -> Keyword:
        """A keyword's check, which gives up where the record takes too many steps."""

        def counted(
            validator: Validator, value: Any, instance: Any, schema: Mapping[str, Any]
        ) -> Iterator[ValidationError]:
            self._spend(_cost(value, instance, schema))
            for error in check(validator, value, instance, schema) or ():
                self._spend(1)
                if not error.schema_path:  # it is of this keyword, and not of one within
                    self._spend(len(error.message) // _LONGEST)
                    error.message = _shortened(error.message, instance)
                yield error

        return counted

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise _TooMuchError


def read_schema(data: bytes, fragment: str | None, shape: Shape) -> Schema:
    """The schema in the bytes of a file; the arguments are those of :class:`Schema`.

    Raises:
        DocumentError: it is too large, no JSON, no schema, or one that is not followed.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError(f"it has {len(data)} bytes; at most {MAX_BYTES} are read")
    return Schema(read_json(data), fragment, shape)


# What is understood


def _draft(content: Any) -> type[Validator]:
    named = content.get("$schema") if isinstance(content, dict) else None
    draft = _DRAFTS.get(str(named).rstrip("#")) if named else Draft202012Validator
    if draft is None:
        raise DocumentError(f"its $schema {shown_value(named)} is none that is known: write {next(reversed(_DRAFTS))}")
    try:
        draft.check_schema(content)
    except SchemaError as fault:
        where = "".join(f"/{key}" for key in fault.absolute_path)
        raise DocumentError(f"is no JSON Schema: {where}: {_shortened(fault.message, fault.instance)}") from None
    except RecursionError:
        raise DocumentError("is nested too deeply") from None
    return draft


def _check_parts(content: Any) -> None:
    """See that nothing leads out of the file, and that every pattern can be matched in a bounded time."""
    found, own = set[str](), content.get("$id") if isinstance(content, dict) else None
    for keyword, value in _keywords(_plain(content)):
        found.add(keyword)
        if keyword == "$schema" and isinstance(value, str):  # jsonschema would go on by it, and not by what is here
            raise DocumentError("$schema is followed at the root only")
        if keyword in ("$ref", "$dynamicRef", "$recursiveRef") and isinstance(value, str):
            if value.partition("#")[0] not in ("", own):
                raise DocumentError(f"{keyword} {shown_value(value)} leads out of the file, and nothing is fetched")
        elif keyword == "pattern" and isinstance(value, str):
            _check_pattern(value)
        elif keyword == "patternProperties" and isinstance(value, dict):
            for each in value:
                _check_pattern(each)
    if {"unevaluatedProperties", "patternProperties"} <= found:
        raise DocumentError("unevaluatedProperties is not followed beside patternProperties: use additionalProperties")


def _plain(content: Any) -> Any:
    """The same without the draft that it is of, and without ``false``."""
    plain = _without_false(content)
    return {key: value for key, value in plain.items() if key != "$schema"} if isinstance(plain, dict) else plain


def _without_false(content: Any) -> Any:
    """The same with ``{"not": true}`` for ``false``, of whose breaking jsonschema does not tell the place."""
    if content is False:
        return {"not": True}
    if not isinstance(content, dict):
        return content
    changed = dict(content)
    for keyword, value in content.items():
        if keyword in _ONE_SCHEMA:
            changed[keyword] = _without_false(value)
        elif keyword in _SCHEMAS and isinstance(value, list):
            changed[keyword] = list(map(_without_false, value))
        elif keyword in _SCHEMAS and isinstance(value, dict):
            changed[keyword] = {name: _without_false(each) for name, each in value.items()}
    if isinstance(content.get("items"), dict):
        changed["items"] = _without_false(content["items"])
    return changed


def _keywords(content: Any) -> Iterator[tuple[str, Any]]:
    """Every keyword with its value, and more that only looks like one: a reference may make a schema of anything."""
    waiting = [content]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield from each.items()
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _check_pattern(text: str) -> None:
    try:
        pattern(text)
    except ValueError as fault:
        raise DocumentError(f"the pattern {shown_value(text)} is not matched: {fault}") from None


def _check_fragment(registry: Registry[Any], fragment: str | None) -> None:
    try:
        registry.resolver().lookup(f"{_HERE}#{fragment or ''}")
    except (Unresolvable, NoSuchResource):
        raise DocumentError(f"it has nothing at #{fragment}") from None


def _is_of_files(content: Any, registry: Registry[Any], shape: Shape) -> bool:
    """Whether a schema is about a file of records: it says what stands where the records are."""
    holder = _followed(content, registry)
    for key in shape.path:
        properties = holder.get("properties")
        holder = _followed(properties.get(key) if isinstance(properties, dict) else None, registry)
    names = ("items",) if shape.field else ("additionalProperties", "patternProperties")
    return any(isinstance(holder.get(name), dict) and holder[name] for name in names)


def _followed(content: Any, registry: Registry[Any]) -> dict[str, Any]:
    """A schema, or the one that it only refers to."""
    seen = list[str]()
    while isinstance(content, dict) and isinstance(reference := content.get("$ref"), str) and reference not in seen:
        seen.append(reference)
        try:
            content = registry.resolver(_HERE).lookup(reference).contents
        except Unresolvable:
            break
    return content if isinstance(content, dict) else {}


# What is asked


def _in_file(shape: Shape, name: str, record: Mapping[str, Any]) -> tuple[Any, Place]:
    """A file with only this record, and its place there; what the schema says of the rest of a file is not asked."""
    return shape.whole({name: record}), (*shape.path, name if shape.field is None else 0)


def _cost(value: Any, instance: Any, schema: Mapping[str, Any]) -> int:
    """How much there is to look at, roughly in steps."""
    looked_at = len(value) if isinstance(value, list) else 0
    if isinstance(instance, str):
        looked_at += len(instance) // 64
    elif isinstance(instance, list) and schema.get("uniqueItems"):
        looked_at += len(instance) ** 2 // 8
    return 1 + looked_at


def _pattern(validator: Validator, value: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not fits(pattern(value), instance):
        yield ValidationError(f"{instance!r} does not match {value!r}")


def _pattern_properties(
    validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    for text, inner in value.items() if isinstance(instance, dict) else ():
        for key in instance:
            if fits(pattern(text), key):
                yield from validator.descend(instance[key], inner, path=key, schema_path=text)


def _additional_properties(
    validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    patterns = [pattern(each) for each in schema.get("patternProperties", ())]
    for key in instance:
        if key in schema.get("properties", ()) or any(fits(each, key) for each in patterns):
            continue
        if value is False:
            yield ValidationError("is no field of the schema", path=[key], instance=instance[key])
        else:
            yield from validator.descend(instance[key], value, path=key)


def _required(validator: Validator, value: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    for key in value if isinstance(instance, dict) else ():
        if key not in instance:
            yield ValidationError("is required", path=[key])


def _dependent_required(
    validator: Validator, value: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    for key, needed in value.items() if isinstance(instance, dict) else ():
        for each in needed if key in instance else ():
            if each not in instance:
                yield ValidationError(f"is required where {key} is given", path=[each])


_KEYWORDS: dict[str, Keyword] = {
    "additionalProperties": _additional_properties,
    "dependentRequired": _dependent_required,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "required": _required,
}
"""Those that match patterns, and those that speak of a field at the record that has it, or has it not."""


# What is told


def _violation(error: ValidationError, depth: int) -> Violation:
    ways: dict[str | int, list[ValidationError]] = {}
    for each in error.context:
        if each.schema_path:  # else it is `false`, which is no way for anybody
            ways.setdefault(each.schema_path[0], []).append(each)
    barred = tuple(tuple(_violation(each, depth) for each in way) for way in ways.values())
    open_ways = [place for place, way in enumerate(ways.values()) if not _is_of_another_type(way)]
    return Violation(
        place=tuple(error.absolute_path)[depth:],
        rule="/".join(map(str, error.absolute_schema_path)),
        what=_words(error, list(ways.values()), [str(barred[place][0]) for place in open_ways]),
        value=error.instance,
        ways=barred,
        told_by=barred[open_ways[0]][0] if len(open_ways) == 1 else None,
    )


def _is_of_another_type(way: list[ValidationError]) -> bool:
    """Whether a way is meant for values of another type, such as ``null``."""
    return len(way) == 1 and way[0].validator == "type" and not way[0].path


def _words(error: ValidationError, ways: list[list[ValidationError]], barred: list[str]) -> str:
    if error.validator == "not" and error.validator_value is True:
        return "is not allowed"
    if not ways:
        return error.message
    if not barred:
        types = " or ".join(repr(way[0].validator_value) for way in ways)
        return f"{shown_value(error.instance)} is not of type {types}"
    return cut(f"fits none of {len(ways)} ways: {', or '.join(barred)}", _LONGEST)


def _shortened(message: str, instance: Any) -> str:
    """A message, the value that it begins with as JSON, and cut."""
    told = repr(instance)
    if message.startswith(told):
        message = f"{shown_value(instance)}{message[len(told) :]}"
    return cut(one_line(message), _LONGEST)
