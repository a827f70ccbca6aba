"""The built-in checks of a reference: what can be known to be wrong without running anything."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from refsync.categories import MODEL_REFERENCE_CATEGORY, CanonicalFormat, is_table
from refsync.clone.revisions import Snapshot
from refsync.documents.encoding import decode
from refsync.documents.field_order import FieldOrder
from refsync.documents.json_document import Record, check_editable, read_records
from refsync.documents.json_text import Path, every_container, scan_document
from refsync.errors import DocumentError
from refsync.pending_queue.diffs import critical_fields
from refsync.review.category_files import CategoryFile, category_files
from refsync.review.changes import compare_file
from refsync.review.finding import Finding
from refsync.review.text_findings import text_faults


@dataclass(frozen=True)
class CriticalChange:
    """An updated model whose critical fields were touched, which is nothing wrong, but not to be missed."""

    file: str
    model: str
    fields: list[str]


@dataclass(frozen=True)
class Verdict:
    """What a check found: ``failures``, what the base has ``already``, and what was touched that is ``critical``."""

    base: Snapshot | None
    head: Snapshot
    files: list[str]
    failures: list[Finding]
    already: list[Finding]
    critical: list[CriticalChange]


def check(head: Snapshot, base: Snapshot | None, committed: Snapshot | None) -> Verdict:
    """Check a snapshot.

    Args:
        head: what is checked.
        base: what is wrong there already is no failure.
        committed: what the files were before; ``base``, or what an edited work tree stands on. ``None`` before
            the first commit.
    """
    findings = find_faults(head, committed)
    known = find_faults(base, base) if base else []
    files = category_files(head.files)
    return Verdict(
        base,
        head,
        [file.path for file in files],
        [each for each in findings if each not in known],
        [each for each in findings if each in known],
        [touched for file in files for touched in _critical_changes(file, head, committed)],
    )


def find_faults(snapshot: Snapshot, before: Snapshot | None) -> list[Finding]:
    """Everything wrong in a snapshot; ``before`` says whether a file was in canonical order."""
    faults = [fault for file in category_files(snapshot.files) for fault in _faults_of_file(file, snapshot, before)]
    return faults + list(text_faults(snapshot))


def _faults_of_file(file: CategoryFile, snapshot: Snapshot, before: Snapshot | None) -> Iterator[Finding]:
    if not snapshot.files[file.path].is_regular:
        yield Finding(file.path, None, None, "is no regular file", "put the file itself in the place of the link")
        return
    if is_table(file.path):
        return
    data = snapshot.read(file.path)
    yield from faults_of_document(file.path, data)
    if not _is_dumped(file) or before is None or not before.has_file(file.path) or not is_readable(data):
        return
    yield from faults_of_dump(file.path, data, before.read(file.path))


def _is_dumped(file: CategoryFile) -> bool:
    return file.category is MODEL_REFERENCE_CATEGORY.image_generation and file.format is CanonicalFormat.legacy


def is_readable(data: bytes) -> bool:
    """Whether a category file's records can be read at all."""
    try:
        read_records(data)
    except DocumentError:
        return False
    return True


# One file by itself


def faults_of_document(file: str, data: bytes) -> Iterator[Finding]:
    """What is wrong with the text and the names of a category file."""
    try:
        check_editable(data)
    except DocumentError as error:
        faults = list(_faults_with_place(file, data))
        yield from faults or [Finding(file, error.line, None, error.reason, "mend it by hand")]
    if is_readable(data):
        yield from _faults_of_names(file, read_records(data), _Lines(data))


def _faults_with_place(file: str, data: bytes) -> Iterator[Finding]:
    """Every key that is there twice, if the text is an object otherwise."""
    try:
        _, text = decode(data)
        if not isinstance(json.loads(text), dict):
            return
        yield from _double_keys(file, text)
    except (DocumentError, ValueError, RecursionError):
        return


def _double_keys(file: str, text: str) -> Iterator[Finding]:
    document = scan_document(text)
    for path, container in every_container(text, document.start):
        seen: set[str] = set()
        for item in container.items:
            if item.key is not None and item.key in seen:
                what = f"the key {json.dumps(item.key, ensure_ascii=False)} is there twice"
                model = path[0] if path else item.key
                yield Finding(file, _line(text, item.start), model, what, "readers take the last one: delete the other")
            seen.add(item.key or "")


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


class _Lines:
    """Where the models of a file begin; found when first asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._lines: dict[str | None, int] = {}

    def of(self, model: str) -> int | None:
        if not self._lines:
            _, text = decode(self._data)
            self._lines = {item.key: _line(text, item.start) for item in scan_document(text).items}
        return self._lines.get(model)


def _faults_of_names(file: str, records: dict[str, Record], lines: _Lines) -> Iterator[Finding]:
    """A record whose ``name`` is not its key, while the records around it keep to that."""
    named = [(key, record["name"]) for key, record in records.items() if "name" in record]
    for place, (key, name) in enumerate(named):
        around = [named[near] for near in (place - 1, place + 1) if 0 <= near < len(named)]
        if key != name and around and all(key == name for key, name in around):
            what = f"its name is {json.dumps(name, ensure_ascii=False)}, unlike its key"
            yield Finding(file, lines.of(key), key, what, "make the two the same, as the records around it have them")


# The canonical dump


def faults_of_dump(file: str, data: bytes, before: bytes) -> Iterator[Finding]:
    """Where a file is no longer a dump in fixed field order, ASCII escapes and four spaces, if it was one before."""
    if not is_readable(before) or not _is_dump(before):
        return
    records = read_records(data)
    order = FieldOrder([*read_records(before).values(), *records.values()])
    yield from _faults_of_order(file, records, order, _Lines(data))
    plain, _, text = _dump(records), *decode(data)
    if text != plain:
        line, mend = _first_differing_line(text, plain)
        yield Finding(file, line, _model_at(text, line), "is not written as json.dumps(..., indent=4) writes it", mend)


def _faults_of_order(file: str, records: dict[str, Record], order: FieldOrder, lines: _Lines) -> Iterator[Finding]:
    for name, record in records.items():
        misplaced = next(_misplaced(record, (), order), None)
        if misplaced is not None:
            keys, key, after = misplaced
            what = f"the field {'.'.join((*keys, key))} is out of order"
            yield Finding(file, lines.of(name), name, what, f"put it behind {after}" if after else "put it first")


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


def _is_dump(data: bytes) -> bool:
    records = read_records(data)
    order = FieldOrder(records.values())
    ordered = not any(True for record in records.values() for _ in _misplaced(record, (), order))
    return ordered and data.decode() == _dump(records)


def _dump(records: dict[str, Record]) -> str:
    return json.dumps(records, indent=4) + "\n"


def _first_differing_line(text: str, plain: str) -> tuple[int, str]:
    """The number of the first line that differs, and how to mend it."""
    found, wanted = text.split("\n"), plain.split("\n")
    place = next((at for at, lines in enumerate(zip(found, wanted, strict=False)) if lines[0] != lines[1]), None)
    if place is not None:
        return place + 1, f"write {json.dumps(wanted[place])}" if wanted[place] else "delete it"
    return min(len(found), len(wanted)), "end the file with one newline"


def _model_at(text: str, line: int) -> str | None:
    return next(
        (item.key for item in scan_document(text).items if _line(text, item.start) <= line <= _line(text, item.end)),
        None,
    )


# What was touched


def _critical_changes(file: CategoryFile, head: Snapshot, base: Snapshot | None) -> Iterable[CriticalChange]:
    changes = compare_file(base, head, file) if base else None
    for change in changes.models if changes else ():
        if change.operation == "update" and change.critical:
            paths = [each["field_path"] for each in change.fields if each["critical"]]
            fields = [name for name in critical_fields(file.category) if any(_related(path, name) for path in paths)]
            yield CriticalChange(file.path, change.model, fields)


def _related(path: str, field: str) -> bool:
    """Whether one of two dotted paths leads to the other."""
    return f"{path}.".startswith(f"{field}.") or f"{field}.".startswith(f"{path}.")
