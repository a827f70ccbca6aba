"""The canonical dump: a file in fixed field order, ASCII escapes and four spaces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from refsync.documents.encoding import decode
from refsync.documents.field_order import FieldOrder
from refsync.documents.json_document import Record
from refsync.documents.json_text import Path, scan_document
from refsync.reference.versions import Version
from refsync.review.file_findings import Lines, is_readable, line_at
from refsync.review.finding import Finding, Rule


def faults_of_dump(file: str, version: Version, before: Version) -> Iterator[Finding]:
    """Where a file is no longer a dump in fixed field order, ASCII escapes and four spaces, if it was one before."""
    if not is_readable(before) or not _is_dump(before):
        return
    data, records = version.content, version.records()
    order = FieldOrder([*before.records().values(), *records.values()])
    yield from _faults_of_order(file, records, order, Lines(data))
    plain, _, text = _dump(records), *decode(data)
    if text != plain:
        line, mend = _first_differing_line(text, plain)
        yield Finding(
            Rule.dump, file, line, _model_at(text, line), "is not written as json.dumps(..., indent=4) writes it", mend
        )


def _faults_of_order(file: str, records: Mapping[str, Record], order: FieldOrder, lines: Lines) -> Iterator[Finding]:
    for name, record in records.items():
        misplaced = next(_misplaced(record, (), order), None)
        if misplaced is not None:
            keys, key, after = misplaced
            what = f"the field {'.'.join((*keys, key))} is out of order"
            yield Finding(
                Rule.dump, file, lines.get(name), name, what, f"put it behind {after}" if after else "put it first"
            )


def _misplaced(value: Any, path: Path, order: FieldOrder) -> Iterator[tuple[list[str], str, str | None]]:
    """The keys on the way, the first key that stands where another one should, and the one to put it behind."""
    if isinstance(value, dict):
        wanted = order.sort(path, value)
        for place, (key, found) in enumerate(zip(wanted, value, strict=True)):
            if key != found:
                yield [step for step in path if step], key, wanted[place - 1] if place else None
                return
        for key, inner in value.items():
            yield from _misplaced(inner, (*path, key), order)
    elif isinstance(value, list):
        for element in value:
            yield from _misplaced(element, (*path, None), order)


def _is_dump(version: Version) -> bool:
    records = version.records()
    order = FieldOrder(records.values())
    ordered = not any(True for record in records.values() for _ in _misplaced(record, (), order))
    return ordered and version.content.decode() == _dump(records)


def _dump(records: Mapping[str, Record]) -> str:
    return json.dumps(records, indent=4) + "\n"


def _first_differing_line(text: str, plain: str) -> tuple[int, str]:
    """The number of the first line that differs, and how to mend it."""
    found, wanted = text.split("\n"), plain.split("\n")
    place = next((at for at, lines in enumerate(zip(found, wanted, strict=False)) if lines[0] != lines[1]), None)
    if place is not None:
        return place + 1, f"write {json.dumps(wanted[place])}" if wanted[place] else "delete it"
    return min(len(found), len(wanted)), "end the file with one newline"


def _model_at(text: str, line: int) -> str | None:
    items = scan_document(text).items
    on_line = (item.key for item in items if line_at(text, item.start) <= line <= line_at(text, item.end))
    return next(on_line, None)
