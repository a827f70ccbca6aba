"""A text reference: ``models.csv``, which people edit, and the ``db.json`` that is made from it, as one document."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from refsync.documents.csv_document import Row, Table
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


def edit_table(
    table: Table,
    derivation: Derivation,
    differing: Iterable[Disagreement],
    edits: Mapping[str, Record | None],
    *,
    places: Mapping[str, Place] | None = None,
    renames: Mapping[str, str] | None = None,
) -> Table:
    """A table with some of its models written or removed, and every other byte as it was.

    Args:
        table: as it is.
        derivation: makes the document of it.
        differing: where the document is not what the table makes: of the models that are edited it may be so.
        edits: base name to its record as the document shall have it, or to ``None`` to remove the model and its
            variants.
        places: new base name to where its row is asked to stand.
        renames: base name to the new one, under which ``edits`` has its record. The row keeps its place.

    Raises:
        DocumentError: they disagree in a model that is not edited.
        PayloadError: no row makes a record, or a name is that of a variant.
    """
    renames = renames or {}
    edits = {name: record for name, record in edits.items() if name not in renames}
    _check_agreement(differing, [*edits, *renames])
    rows = _row_edits(table.rows, derivation, edits, renames)
    return table.edited(rows, places=places, renames=renames)


def follow_table(document: Document, made: Mapping[str, Record], renames: Mapping[str, str] | None = None) -> bytes:
    """A document once its table makes something else; how it is written stays, and every other byte.

    Args:
        document: as it is.
        made: what the table makes now; new records stand where that has them.
        renames: base name to the new one; the records keep their places.

    Raises:
        DocumentError: it can't be read, or a record that differs can't be edited safely.
    """
    found = document.readable_records
    changed = {name: made.get(name) for name in (*found, *made) if not same_value(found.get(name), made.get(name))}
    return edit_document(document, changed, order=list(made), renames=_renamed_records(renames or {}, found, made))


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
