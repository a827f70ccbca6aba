"""The rules that a config gives a category, and what of them a record breaks by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from refsync.documents.field_paths import every_text, values_at
from refsync.documents.merge import MISSING
from refsync.documents.values import same_value
from refsync.rules.patterns import fits, pattern
from refsync.rules.violation import Violation, shown_value

_PLACEHOLDER = re.compile(r"\s*(FIXME\b.*|(?i:fixme|todo|tbd|changeme)\s*|0{32,}\s*)", re.DOTALL)
"""What stands for a value until somebody has it; many zeros for a hash."""

_HTTPS = re.compile(r"https://[^\s/?#]", re.IGNORECASE)
_MOST_VALUES = 8

Record = Mapping[str, Any]


@dataclass(frozen=True)
class CategoryRules:
    """What a category's records have to be like; fields by their dotted paths, through lists.

    Attributes:
        schema: the file of a JSON Schema in the clone; with ``#`` and a JSON pointer the part that is about one record.
        required: fields that have to be there.
        allowed: for a field the values that it may have.
        patterns: for a field the pattern that its text has to fit, as a whole.
        https: fields whose text is an https URL.
        no_placeholders: whether no text may be one such as FIXME, or a hash of zeros.
        unique: fields whose value no other record of the category may have.
        refuses: whether a change that breaks a rule is refused, and otherwise noted.
    """

    schema: str | None = None
    required: tuple[str, ...] = ()
    allowed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=dict)
    https: tuple[str, ...] = ()
    no_placeholders: bool = False
    unique: tuple[str, ...] = ()
    refuses: bool = True

    @property
    def schema_file(self) -> str | None:
        """The path of the schema in the clone."""
        return None if self.schema is None else self.schema.partition("#")[0]

    @property
    def fragment(self) -> str | None:
        """Which part of the schema is about one record, as a JSON pointer; ``None`` where nothing is said."""
        _, mark, fragment = (self.schema or "").partition("#")
        return fragment if mark else None


def plain_violations(rules: CategoryRules, record: Record) -> Iterator[Violation]:
    """What a record breaks of all but the schema, and whatever other records there are."""
    for path in rules.required:
        for place, value in values_at(record, path):
            if value is MISSING:
                yield Violation(place, "required", "is required")
    for path, values in rules.allowed.items():
        for place, value in _given(record, path):
            if not any(same_value(value, each) for each in values):
                yield Violation(place, "allowed", f"{shown_value(value)} is none of {_listed(values)}", value)
    for path, text in rules.patterns.items():
        for place, value in _given(record, path):
            if not (isinstance(value, str) and fits(pattern(f"^(?:{text})$"), value)):
                yield Violation(place, f"pattern:{text}", f"{shown_value(value)} does not fit {text}", value)
    for path in rules.https:
        for place, value in _given(record, path):
            if not (isinstance(value, str) and _HTTPS.match(value)):
                yield Violation(place, "https", f"{shown_value(value)} is no https URL", value)
    for place, value in every_text(record) if rules.no_placeholders else ():
        if _PLACEHOLDER.fullmatch(value):
            yield Violation(place, "placeholder", f"{shown_value(value)} is a placeholder", value)


def _given(record: Record, path: str) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    return ((place, value) for place, value in values_at(record, path) if value is not MISSING and value is not None)


def _listed(values: tuple[Any, ...]) -> str:
    more = f" and {len(values) - _MOST_VALUES} more" if len(values) > _MOST_VALUES else ""
    return ", ".join(map(shown_value, values[:_MOST_VALUES])) + more
