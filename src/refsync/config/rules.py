"""The rules that ``[[category]]`` gives a category, one's own or one of the specification's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StrictBool

from refsync.categories import SPECIFIED, CategoryName
from refsync.config.repository import Table
from refsync.config.values import FieldPath, category_file, shown
from refsync.rules.category_rules import CategoryRules
from refsync.rules.extra import check_installed
from refsync.rules.patterns import pattern


def _schema_file(text: str) -> str:
    path, mark, fragment = text.partition("#")
    if fragment and not fragment.startswith("/"):
        raise ValueError(f"{shown(text)}: behind # stands a JSON pointer, such as #/$defs/Model")
    check_installed()
    return f"{category_file(path)}{mark}{fragment}"


def _pattern_text(text: str) -> str:
    check_installed()
    try:
        pattern(text)
    except ValueError as fault:
        raise ValueError(f"{shown(text)} is not matched: {fault}") from None
    return text


def _plain_value(value: object) -> object:
    if not isinstance(value, str | int | float):
        raise ValueError(f"must be a text, a number or a truth value, not {shown(value)}")
    return value


SchemaFile = Annotated[str, AfterValidator(_schema_file)]
PatternText = Annotated[str, AfterValidator(_pattern_text)]
PlainValue = Annotated[Any, AfterValidator(_plain_value)]


class RulesTable(Table):
    """``[category.rules]``: what the fields of a category's records have to be like."""

    when_broken: Literal["refuse", "note"] = "refuse"
    required: tuple[FieldPath, ...] = ()
    allowed: Mapping[FieldPath, tuple[PlainValue, ...]] = {}
    patterns: Mapping[FieldPath, PatternText] = {}
    https: tuple[FieldPath, ...] = ()
    no_placeholders: StrictBool = False
    unique: tuple[FieldPath, ...] = ()


class RuledCategory(Table):
    """The keys of ``[[category]]`` that give a category its rules."""

    name: str
    schema_file: Annotated[SchemaFile | None, Field(alias="schema")] = None
    rules: RulesTable | None = None

    @property
    def category_rules(self) -> CategoryRules | None:
        """The rules; ``None`` where there are none."""
        if self.schema_file is None and self.rules is None:
            return None
        table = self.rules or RulesTable()
        return CategoryRules(
            schema=self.schema_file,
            required=table.required,
            allowed=table.allowed,
            patterns=table.patterns,
            https=table.https,
            no_placeholders=table.no_placeholders,
            unique=table.unique,
            refuses=table.when_broken == "refuse",
        )


class SpecifiedCategory(RuledCategory):
    """``[[category]]`` for a category of the specification, which gives it nothing but rules."""


def rules_of(tables: Iterable[RuledCategory]) -> dict[CategoryName, CategoryRules]:
    """The rules of the categories that have some."""
    found = ((CategoryName(each.name), each.category_rules) for each in tables)
    return {category: rules for category, rules in found if rules is not None}


def is_of_specified(table: object) -> bool:
    """Whether a table of ``[[category]]`` gives a category of the specification its rules, and nothing else."""
    if isinstance(table, dict):
        keys = {field.alias or name for name, field in SpecifiedCategory.model_fields.items()}
        return table.get("name") in SPECIFIED.plain_names and table.keys() <= keys
    return isinstance(table, SpecifiedCategory)
