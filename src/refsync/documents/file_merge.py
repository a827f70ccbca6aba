"""Merge three versions of a category file; of ours, no byte changes but those of the records that are edited."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refsync.documents.conflict_marks import marked
from refsync.documents.csv_document import Row, read_table
from refsync.documents.json_document import Document, edit_document, new_document, read_document, read_records
from refsync.documents.merge import NO_STAMPS, Stamps
from refsync.documents.model_places import order_for_new
from refsync.documents.record_merge import Record, RecordConflict, RecordsMerge, merge_records
from refsync.documents.shape import ROOT, Shape
from refsync.documents.values import same_value
from refsync.dumping import dump
from refsync.errors import DocumentError
from refsync.plain_text import cut, json_escaped

_LONGEST = 80  # characters of a name in a sentence
_SURPLUS = "\0surplus"  # a column that no table has: what stands in a row behind the last one


@dataclass(frozen=True)
class FileMerge:
    """A merged category file.

    Attributes:
        content: the whole file, with conflict markers around each record in conflict.
        taken: model to its record, merged or theirs, or to ``None`` where they removed it.
        created: those among them that are new to us.
        conflicts: the records that a person has to decide about.
    """

    content: bytes
    taken: Mapping[str, Record | None]
    created: frozenset[str]
    conflicts: Sequence[RecordConflict]


_Edit = Callable[[Mapping[str, Record | None]], bytes]


def merge_documents(
    base: bytes, ours: bytes, theirs: bytes, *, stamps: Stamps = NO_STAMPS, shape: Shape = ROOT
) -> FileMerge:
    """Merge what two sides made of one JSON document, see ``merge_records``.

    Args:
        base: what both came of; nothing where both have added the file.
        ours: our version, in which theirs is merged.
        theirs: their version.
        stamps: what takes no part in merging a record that both changed.
        shape: where in the document the records are.

    Raises:
        DocumentError: a version cannot be read as records, or what they changed is no record of its own.
    """
    sides = [_document(side, shape) for side in (base, ours, theirs)]
    before, mine, other = sides
    as_written = read_records(theirs, as_written=True, shape=shape) if theirs else {}
    merge = merge_records(before.records, mine.records, as_written, stamps=stamps)
    for model in (*merge.edits, *(each.model for each in merge.conflicts)):
        for side in (before, other):
            if fault := side.fault_of(model):
                raise fault
    others = _members_taken(before, mine, other)
    order = order_for_new(list(mine.records), list(other.records))
    around = _around(sides) if shape.path else None

    def edit(edits: Mapping[str, Record | None]) -> bytes:
        edited = edit_document(mine, edits, order=order, others=others)
        return edited if around is None else _put_around(edited, mine, around)

    return _merged(mine.records, merge, edit)


def _document(side: bytes, shape: Shape) -> Document:
    """A side that can be edited; an empty one has no records yet."""
    if not side and shape.is_root_object:
        return Document(shape=shape)
    return read_document(side or new_document({}, shape), shape)


def _around(sides: Sequence[Document]) -> list[str]:
    """The text ahead of the records and behind them, each as the one side has it that changed it.

    Raises:
        DocumentError: both did.
    """
    before, mine, other = (each.text_around for each in sides)
    return [_of_one_side(*texts) for texts in zip(before, mine, other, strict=True)]


def _of_one_side(before: str, mine: str, other: str) -> str:
    if mine in (before, other):
        return other
    if other != before:
        raise DocumentError("what stands around the records was changed on both sides")
    return mine


def _put_around(edited: bytes, mine: Document, around: Sequence[str]) -> bytes:
    """An edited version of ours with another text around the records."""
    ahead, behind = (len(text.encode()) for text in mine.text_around)
    return around[0].encode() + edited[ahead : len(edited) - behind] + around[1].encode()


def _members_taken(before: Document, mine: Document, other: Document) -> dict[str, Any]:
    """What they made of the members that are no models; raises DocumentError where that cannot be taken."""
    if mine.shape.field is not None:
        return _same_elements(before, mine, other)
    taken: dict[str, Any] = {}
    for name in dict.fromkeys((*before.others, *other.others)):
        versions = [_member(side, name) for side in (before, mine, other)]
        if same_value(versions[0], versions[2]) or same_value(versions[1], versions[2]):
            continue
        value = other.others.get(name)
        if value is None or not same_value(versions[0], versions[1]) or name in before.records:
            raise DocumentError(f"{_shown(name)}, which is no model, was changed in a way that only a person can merge")
        taken[name] = value
    return taken


def _same_elements(before: Document, mine: Document, other: Document) -> dict[str, Any]:
    """Nothing: an element without a name is nowhere to be found again, so it must be as it was, or as they have it."""
    there, ours, theirs = (list(each.others.values()) for each in (before, mine, other))
    if not same_value(there, theirs) and not same_value(ours, theirs):
        raise DocumentError("elements that say no name were changed in a way that only a person can merge")
    return {}


def _member(document: Document, name: str) -> list[Any]:
    """The value of a member in a list; an empty one where there is none."""
    return [members[name] for members in (document.records, document.others) if name in members]


def merge_tables(base: bytes, ours: bytes, theirs: bytes, *, stamps: Stamps = NO_STAMPS) -> FileMerge:
    """Merge what two sides made of one table, row by row; arguments and errors are those of ``merge_documents``."""
    tables = [read_table(side) if side else None for side in (base, ours, theirs)]
    if len({tuple(table.columns) for table in tables if table}) > 1:
        raise DocumentError("the columns are not the same in all three versions", line=1)
    versions = [table.rows if table else [] for table in tables]
    before, mine, other = ({row.name: _cells(row) for row in rows} for rows in versions)
    merge = merge_records(before, mine, other, stamps=stamps)
    touched = {*merge.edits, *(each.model for each in merge.conflicts)}
    for row in (double for rows in versions for double in _doubles(rows) if double.name in touched):
        raise DocumentError(f"{_shown(row.name)} is there twice", line=row.line)

    def edit(edits: Mapping[str, Record | None]) -> bytes:
        rows = {name: None if cells is None else _row(cells) for name, cells in edits.items()}
        return (tables[1] or read_table(ours)).edited(rows).content

    return _merged(mine, merge, edit)


def _cells(row: Row) -> Record:
    return dict(row.cells) | ({_SURPLUS: list(row.surplus)} if row.surplus else {})


def _doubles(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows whose name another one ahead of them has."""
    seen: set[str] = set()
    for row in rows:
        if row.name in seen:
            yield row
        seen.add(row.name)


def _row(cells: Record) -> Row:
    return Row({name: value for name, value in cells.items() if name != _SURPLUS}, tuple(cells.get(_SURPLUS, ())))


def _merged(mine: Mapping[str, Record], merge: RecordsMerge, edit: _Edit) -> FileMerge:
    ours = merge.edits | {each.model: each.ours for each in merge.conflicts}

    def as_theirs(numbers: Sequence[int]) -> bytes:
        return edit(ours | {merge.conflicts[number].model: merge.conflicts[number].theirs for number in numbers})

    content = edit(ours)
    if merge.conflicts:
        content = marked(content, len(merge.conflicts), as_theirs)
    created = frozenset(model for model, record in merge.edits.items() if record is not None and model not in mine)
    return FileMerge(content, merge.edits, created, merge.conflicts)


def _shown(name: str) -> str:
    return cut(json_escaped(dump(name)), _LONGEST)
