"""A text reference: ``models.csv``, which people edit, and the ``db.json`` that is made from it, as one document."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from refsync.documents.csv_document import Row, edit_rows, read_rows
from refsync.documents.json_document import Document, edit_document
from refsync.documents.merge import MISSING, describe_difference
from refsync.documents.model_places import Place
from refsync.documents.text_derivation import Derivation, variants
from refsync.documents.text_payload import record_to_row
from refsync.documents.values import same_value
from refsync.errors import DocumentError, PayloadError

Record = dict[str, Any]


class Disagreement(NamedTuple):
    """A place where ``db.json`` is not what ``models.csv`` makes.

    ``field`` is ``None`` where one of the two has no such model. A side without the model or the field has ``MISSING``.
    ``line`` is that of the row in ``models.csv``, if one makes this model.
    """

    model: str
    field: str | None
    made: Any
    found: Any
    line: int | None

    def __str__(self) -> str:
        """One line for a person."""
        model = json.dumps(self.model)
        if self.field is None and self.found is MISSING:
            return f"{model} is missing in db.json; line {self.line} of models.csv makes it"
        if self.field is None:
            return f"{model} is in db.json, but no row of models.csv makes it"
        made, found = ({} if side is MISSING else {self.field: side} for side in (self.made, self.found))
        difference = describe_difference(made, found, words=("by models.csv", "in db.json"))
        return f"{model}: {difference or f'{self.field} differs'}"


def base_name(name: str, rows: Iterable[Row]) -> str | None:
    """The base name of the model that a record of ``db.json`` belongs to; ``None`` if no row makes it.

    Where rows share the name of a variant it belongs to the last of them, as its record does.
    """
    makers = {each: row.name for row in rows for each in (row.name, *variants(row.name))}
    return makers.get(name)


class ParsedText(NamedTuple):
    """Both files as what they say, the table also as bytes, and what makes the document.

    ``is_as_made`` tells whether the document is byte for byte what the table makes, ``differing`` where it is not that
    apart from how it is written.
    """

    csv: bytes
    rows: Sequence[Row]
    document: Document
    is_as_made: bool
    differing: Sequence[Disagreement]
    derivation: Derivation


def edit_parsed_text(
    text: ParsedText,
    edits: Mapping[str, Record | None],
    *,
    places: Mapping[str, Place] | None = None,
    renames: Mapping[str, str] | None = None,
) -> tuple[bytes, bytes]:
    """Both files with some of the models written or removed, and every other byte as it was.

    A ``db.json`` that is exactly what the CSV makes is so afterwards. One that is written in another way keeps that,
    and new records stand where the derivation puts them; the models that are edited need not have agreed before.

    Args:
        text: both files, and what they are made with.
        edits: base name to its record as ``db.json`` shall have it, or to ``None`` to remove the model and its
            variants.
        places: new base name to where its row is asked to stand.
        renames: base name to the new one, under which ``edits`` has its record. Row and records keep their places.

    Returns:
        The table, and the document.

    Raises:
        DocumentError: a file can't be read, they disagree in a model that is not edited, or a record that is edited
            can't be edited safely.
        PayloadError: no row makes a record, or a name is that of a variant.
    """
    renames = renames or {}
    edits = {name: record for name, record in edits.items() if name not in renames}
    _check_agreement(text.differing, [*edits, *renames])
    row_edits = _row_edits(text.rows, text.derivation, edits, renames)
    edited_csv = edit_rows(text.csv, row_edits, places=places, renames=renames)
    derived = text.derivation.of(read_rows(edited_csv))
    if text.is_as_made:
        return edited_csv, derived.content
    found, after = text.document.readable_records, derived.records
    changed = {name: after.get(name) for name in (*found, *after) if not same_value(found.get(name), after.get(name))}
    renamed = _renamed_records(renames, found, after)
    return edited_csv, edit_document(text.document, changed, order=list(after), renames=renamed)


def _renamed_records(renames: Mapping[str, str], found: Collection[str], after: Collection[str]) -> dict[str, str]:
    """The records that go by another name: the model's and its variants', where no other model makes either."""
    pairs = (pair for old, new in renames.items() for pair in zip(_records_of(old), _records_of(new), strict=True))
    return {old: new for old, new in pairs if old in found and old not in after and new not in found}


def _records_of(name: str) -> tuple[str, ...]:
    return name, *variants(name)


def differences(rows: Iterable[Row], made: Mapping[str, Record], found: Mapping[str, Record]) -> list[Disagreement]:
    """Every place where a document is not what a table makes, apart from how it is written.

    Args:
        rows: of the table.
        made: what they make.
        found: what the document holds.

    Returns:
        Those of the models that the table makes, in its order, then the models that only the document has.
    """
    lines = {name: row.line for row in rows for name in (row.name, *variants(row.name))}
    differing: list[Disagreement] = []
    for name, record in made.items():
        if name not in found:
            differing.append(Disagreement(name, None, record, MISSING, lines[name]))
        elif not same_value(record, found[name]):
            differing += _field_disagreements(name, record, found[name], lines[name])
    surplus = [Disagreement(name, None, MISSING, record, None) for name, record in found.items() if name not in made]
    return differing + surplus


def _field_disagreements(name: str, made: Record, found: Record, line: int) -> Iterator[Disagreement]:
    for field in dict.fromkeys((*made, *found)):
        sides = made.get(field, MISSING), found.get(field, MISSING)
        if not same_value(*sides):
            yield Disagreement(name, field, *sides, line)


def _check_agreement(differing: Iterable[Disagreement], edits: Iterable[str]) -> None:
    touched = {each for name in edits for each in (name, *variants(name))}
    rest = [each for each in differing if each.model not in touched]
    if rest:
        more = f" (and {len(rest) - 1} more)" if len(rest) > 1 else ""
        raise DocumentError(f"db.json is not what models.csv makes: {rest[0]}{more}")


def _row_edits(
    rows: Iterable[Row],
    derivation: Derivation,
    edits: Mapping[str, Record | None],
    renames: Mapping[str, str],
) -> dict[str, Row | None]:
    present = {renames.get(row.name, row.name): row for row in rows}
    wanted: dict[str, Row | None] = {}
    for name, record in edits.items():
        _check_base(name, present)
        if record is not None and record.get("name") != name:
            raise PayloadError(f"name: has to be {json.dumps(name)}, the model that is edited")
        made_with = derivation.defaults, derivation.generation_params
        wanted[name] = None if record is None else record_to_row(record, present.get(name), *made_with)
    return wanted


def _check_base(name: str, present: Mapping[str, Row]) -> None:
    base = None if name in present else base_name(name, present.values())
    if base is not None:
        raise PayloadError(f"{json.dumps(name)} is a variant; change {json.dumps(base)}, and it follows")
