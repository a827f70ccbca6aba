"""Put a submitted record of a text model into its row of ``models.csv``, without loss or not at all."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from refsync.documents.csv_document import COLUMNS, Row
from refsync.documents.json_document import edit_records
from refsync.documents.merge import MISSING, describe_difference
from refsync.documents.text_derivation import (
    SURPLUS_FIELD,
    derived_display_name,
    derived_tags,
    model_name,
    parameters_of,
    row_to_record,
    tags_of,
)
from refsync.documents.values import same_value
from refsync.dumping import dump
from refsync.errors import DocumentError, PayloadError

Record = dict[str, Any]

_PLAIN = ("url", "baseline", "description", "instruct_format")
_PLACES = 9  # a decimal of a billion with more of them would name a part of a parameter
_ASKED_AND_MADE = ("asked for", "would be")
_FIELDS = {"name", "model_name", "parameters", SURPLUS_FIELD, *COLUMNS} - {"parameters_bn"}


def record_to_row(
    record: Record, existing: Row | None, defaults: Mapping[str, Any], generation_params: Collection[str] | None
) -> Row:
    """The row that makes exactly this record.

    Args:
        record: as ``db.json`` has it under the model's base name.
        existing: the model's row as it is; the cells that need not change keep their text.
        defaults: the fields that every record has (``defaults.json``).
        generation_params: what a model may set (``generation_params.json``); ``None`` for anything.

    Returns:
        The row; an equal one to ``existing`` if it makes the record already.

    Raises:
        PayloadError: no row makes this record; the text names the fields.
    """
    name = _checked_name(record, defaults)
    present = existing or Row(dict.fromkeys(COLUMNS, ""))
    cells = dict(present.cells) | {"name": name, "parameters_bn": _parameters_cell(record, present)}
    for field in _PLAIN:
        cells[field] = _text_cell(record, field, defaults.get(field, MISSING), present)
    cells["display_name"] = _text_cell(record, "display_name", derived_display_name(name) or MISSING, present)
    cells["style"] = _style_cell(record, defaults, present)
    cells["settings"] = _settings_cell(record, generation_params, present)
    cells["tags"] = _tags_cell(record, derived_tags(cells["parameters_bn"], cells["style"]), present)
    row = Row(cells, tuple(_texts(record, SURPLUS_FIELD)), present.line)
    _check_encodable(row)
    made = row_to_record(row, defaults, generation_params)
    if not same_value(made, record):
        raise PayloadError(
            f"no row of models.csv makes this: {describe_difference(record, made, words=_ASKED_AND_MADE)}"
        )
    return row


def complete_record(record: Record, defaults: Mapping[str, Any]) -> Record:
    """A record with the fields and tags that the derivation gives to each, where it doesn't have them.

    What is no record of a text model comes back as it is, for ``record_to_row`` to refuse.
    """
    name, parameters, style, tags = (record.get(field) for field in ("name", "parameters", "style", "tags"))
    if not isinstance(name, str) or type(parameters) is not int or not _is_list_of_texts(tags or []):
        return record
    shown = style if isinstance(style, str) and style != defaults.get("style") else ""
    derived = derived_tags(_decimal(parameters, _PLACES), shown)
    displayed = {"display_name": derived_display_name(name)} if derived_display_name(name) else {}
    given: Record = {**displayed, **record, "tags": sorted({*(tags or []), *derived})}
    return {"name": name, "model_name": model_name(name), **defaults, **given}


def _checked_name(record: Record, defaults: Mapping[str, Any]) -> str:
    unknown = [json.dumps(field) for field in record if field not in _FIELDS and field not in defaults]
    if unknown:
        raise PayloadError(f"no column of models.csv holds {', '.join(unknown[:8])}; leave it out")
    name = record.get("name")
    if not isinstance(name, str) or not name:
        raise PayloadError("name: missing; give the model's name")
    return name


def _parameters_cell(record: Record, present: Row) -> str:
    parameters, cell = record.get("parameters"), present.cells["parameters_bn"]
    if type(parameters) is not int or parameters <= 0:
        raise PayloadError("parameters: give their number, a whole one above 0")
    for text in (cell, *_decimals(parameters)):
        if _gives(text, parameters):
            return text
    near = _decimal(parameters, _PLACES)
    gives = f"; {near} gives {parameters_of(near)}" if parameters < 10**15 else ""
    raise PayloadError(f"parameters: no parameters_bn gives {parameters}{gives}")


def _gives(parameters_bn: str, parameters: int) -> bool:
    try:
        return parameters_of(parameters_bn) == parameters
    except ValueError:
        return False


def _decimals(parameters: int) -> Iterator[str]:
    """The decimals of a billion that this number lies between, shortest first."""
    for places in range(_PLACES + 1):
        step = 10 ** (_PLACES - places)
        yield _decimal(parameters // step * step, places)
        yield _decimal((parameters // step + 1) * step, places)


def _decimal(parameters: int, places: int) -> str:
    """A number of parameters in billions, with at most so many places."""
    whole, part = divmod(parameters, 10**_PLACES)
    return f"{whole}.{part:09d}"[: len(f"{whole}.") + places].rstrip("0").rstrip(".") if part else f"{whole}"


def _text_cell(record: Record, field: str, default: Any, present: Row) -> str:
    """The cell of a field that a record has as it stands there, or its default where the cell is blank."""
    value, cell = record.get(field, MISSING), present.cells[field]
    if same_value(cell or default, value):
        return cell
    if value is MISSING or same_value(value, default):
        return ""
    if not isinstance(value, str):
        raise PayloadError(f"{field}: give a text")
    return value


def _style_cell(record: Record, defaults: Mapping[str, Any], present: Row) -> str:
    """A style that stands in the cell is a tag, too; the default one, of a blank cell, is not."""
    style, default = record.get("style", MISSING), defaults.get("style", MISSING)
    cell = _text_cell(record, "style", default, present)
    if not isinstance(style, str) or style != default:
        return cell
    if style not in _texts(record, "tags"):
        return ""
    return cell if style in tags_of(present.cells["tags"]) else style


def _tags_cell(record: Record, derived: set[str], present: Row) -> str:
    """The tags that nothing else gives, those that are there now in their order and spacing."""
    wanted, cell = set(_texts(record, "tags")), present.cells["tags"]
    if tags_of(cell) | derived == wanted:
        return cell
    kept = [tag for tag in cell.split(",") if cell and tag.strip() in wanted]
    new = sorted(wanted - derived - {tag.strip() for tag in kept})
    gap = "," if kept and "," in cell and ", " not in cell else ", "
    return ",".join(kept).strip() + (gap if kept and new else "") + gap.join(new)


def _settings_cell(record: Record, generation_params: Collection[str] | None, present: Row) -> str:
    settings, cell = record.get("settings", {}), present.cells["settings"]
    if not isinstance(settings, dict):
        raise PayloadError("settings: give an object")
    for key in settings:
        if generation_params is not None and key not in generation_params:
            raise PayloadError(f"settings: {json.dumps(key)} is not in generation_params.json")
    if not settings:
        return cell if "".join(cell.split()) == "{}" else ""
    try:
        return _edited_settings(cell, settings) if cell else dump(settings, ensure_ascii=True, allow_nan=False)
    except ValueError:
        raise PayloadError("settings: a number is not finite") from None


def _edited_settings(cell: str, settings: Record) -> str:
    """The cell with what changes in it; as a document's one member it is edited like any."""
    head, tail = '{"": ', "}"
    try:
        edited = edit_records((head + cell + tail).encode(), {"": settings}).decode()
    except DocumentError as error:
        raise PayloadError(f"settings: the cell of models.csv can't be edited, {error.reason}; mend it first") from None
    return edited[len(head) : -len(tail)]


def _texts(record: Record, field: str) -> list[str]:
    values = record.get(field, [])
    if not _is_list_of_texts(values):
        raise PayloadError(f"{field}: give a list of texts")
    return list(values)


def _is_list_of_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _check_encodable(row: Row) -> None:
    for column, text in [*row.cells.items(), *((SURPLUS_FIELD, text) for text in row.surplus)]:
        if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
            raise PayloadError(f"{column}: has a lone surrogate, which no file can hold")
