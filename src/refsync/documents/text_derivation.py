"""What ``db.json`` holds of the rows of ``models.csv``, as the reference repository's own script makes it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from math import isinf
from typing import Any, NoReturn

from refsync.categories import TEXT_TABLE
from refsync.documents.csv_document import Row
from refsync.documents.nesting import TOO_DEEP, is_too_deep
from refsync.documents.record_texts import RecordTexts, document_text
from refsync.errors import DocumentError

Record = dict[str, Any]

DEFAULTS, GENERATION_PARAMS = TEXT_TABLE.made_with
"""What the records of a table are made with, where they stand beside it."""

SURPLUS_FIELD = "null"
"""The field that cells behind the last column end up in."""


def variants(name: str) -> tuple[str, str]:
    """The names of a model's two other records, one for each backend."""
    return f"aphrodite/{name}", f"koboldcpp/{model_name(name)}"


def model_name(name: str) -> str:
    """The second part of a name, all of it where there is only one; further parts are in no ``model_name``."""
    parts = name.split("/")
    return parts[1] if len(parts) > 1 else name


class _Made:
    """The three records that a row makes, by their names, and what each is in the text of a document."""

    def __init__(self, name: str, record: Record) -> None:
        self.records = {each: record | {"name": each} for each in (name, *variants(name))}

    @cached_property
    def texts(self) -> dict[str, str]:
        texts = RecordTexts()
        return {name: texts.member(name, record) for name, record in self.records.items()}


class Derived:
    """A document as its table makes it; what comes again replaces the record and keeps its first place."""

    def __init__(self, made: Iterable[_Made]) -> None:
        self._makers = {name: each for each in made for name in each.records}

    @cached_property
    def records(self) -> dict[str, Record]:
        """Its records."""
        return {name: maker.records[name] for name, maker in self._makers.items()}

    @property
    def content(self) -> bytes:
        """Its bytes: four spaces, ASCII escapes, one final newline."""
        return document_text(maker.texts[name] for name, maker in self._makers.items()).encode()


class Derivation:
    """Makes documents of tables with the same files beside them: a row that the last table had, too, is made already.

    Attributes:
        defaults: the fields that every record has (``defaults.json``).
        generation_params: what a model may set (``generation_params.json``); ``None`` for anything.
    """

    def __init__(self, defaults: Mapping[str, Any], generation_params: Collection[str] | None) -> None:
        self.defaults = defaults
        self.generation_params = generation_params
        self._made: dict[tuple[object, ...], _Made] = {}

    def of(self, rows: Iterable[Row]) -> Derived:
        """What the rows of a table make, in its order, three records each.

        Raises:
            DocumentError: a row that nothing can be made of, with its line.
        """
        made = [((*row.cells.items(), row.surplus), row) for row in rows]
        self._made = {cells: self._made.get(cells) or self._make(row) for cells, row in made}
        return Derived(self._made[cells] for cells, _ in made)

    def _make(self, row: Row) -> _Made:
        return _Made(row.name, row_to_record(row, self.defaults, self.generation_params))


def derive_document(
    rows: Iterable[Row], defaults: Mapping[str, Any], generation_params: Collection[str] | None
) -> dict[str, Record]:
    """The records of a document, see :class:`Derivation`.

    Raises:
        DocumentError: a row that nothing can be made of, with its line.
    """
    return Derivation(defaults, generation_params).of(rows).records


def row_to_record(row: Row, defaults: Mapping[str, Any], generation_params: Collection[str] | None) -> Record:
    """The record that a row makes under the model's base name.

    Raises:
        DocumentError: nothing can be made of the row.
    """
    fields: Record = {column: text for column, text in row.cells.items() if column not in ("name", "parameters_bn")}
    if row.surplus:
        fields[SURPLUS_FIELD] = list(row.surplus)
    fields["parameters"] = _parameters(row)
    fields["display_name"] = row.cells["display_name"] or derived_display_name(row.name)
    fields["tags"] = sorted(tags_of(row.cells["tags"]) | derived_tags(row.cells["parameters_bn"], row.cells["style"]))
    fields["settings"] = _settings(row, generation_params)
    given = {field: value for field, value in fields.items() if value}
    return {"name": row.name, "model_name": model_name(row.name), **defaults, **given}


def parameters_of(parameters_bn: str) -> int:
    """The number of parameters, by the same truncation of a float as everywhere: ``4.1`` gives 4099999999.

    Raises:
        ValueError: no number, or none that ends.
    """
    try:
        return int(float(parameters_bn) * 10**9)
    except OverflowError:
        raise ValueError(f"no finite number: {parameters_bn!r}") from None


def derived_display_name(name: str) -> str:
    """The display name of a model whose row gives none."""
    return re.sub(" +", " ", re.sub("[-_]", " ", model_name(name))).strip()


def tags_of(cell: str) -> set[str]:
    """The tags that a cell gives."""
    return {tag.strip() for tag in cell.split(",")} if cell else set()


def derived_tags(parameters_bn: str, style: str) -> set[str]:
    """The tags that a record has by its size and the style in its row."""
    return {f"{round(float(parameters_bn))}B", style} - {""}


def _parameters(row: Row) -> int:
    cell = row.cells["parameters_bn"]
    try:
        return parameters_of(cell)
    except ValueError:
        _refuse(row, f"parameters_bn is {json.dumps(cell)}, no number of billions")


def _settings(row: Row, generation_params: Collection[str] | None) -> Record:
    cell = row.cells["settings"]
    try:
        settings = json.loads(cell, parse_constant=_no_constant, parse_float=_finite) if cell else {}
    except (ValueError, RecursionError):
        _refuse(row, "settings is no valid JSON")
    if not isinstance(settings, dict):
        _refuse(row, "settings is no JSON object")
    if is_too_deep([settings]):
        _refuse(row, f"settings is {TOO_DEEP}")
    for key in settings:
        if generation_params is not None and key not in generation_params:
            _refuse(row, f"settings has {json.dumps(key)}, which is not in generation_params.json")
    return settings


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise ValueError(text)
    return number


def _refuse(row: Row, reason: str) -> NoReturn:
    raise DocumentError(f"{json.dumps(row.name)}: {reason}", line=row.line or None)
