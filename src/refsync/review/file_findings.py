"""What is wrong with one category file by itself."""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Iterator, Mapping

from refsync.categories import CategoryDescriptor
from refsync.documents.encoding import decode
from refsync.documents.json_document import Document, Record
from refsync.documents.json_text import every_container, scan_document, shadowing
from refsync.documents.shape import ROOT, Shape
from refsync.errors import DocumentError
from refsync.reference.kinds import records_in
from refsync.reference.snapshot import Snapshot
from refsync.reference.versions import Version
from refsync.review.finding import Finding, Rule
from refsync.review.name_findings import faults_of_look_alikes, faults_of_names


def faults_of_document(file: str, version: Version, shape: Shape = ROOT) -> Iterator[Finding]:
    """What is wrong with the text and the names of a category file, whose records stand as the shape says."""
    try:
        document = version.document(shape)
    except DocumentError as error:
        yield Finding(Rule.syntax, file, error.line, None, error.reason, "mend it by hand")
        return
    if document.deep:
        yield from _deep_members(file, document)
        return
    if document.has_doubles:
        yield from _double_keys(file, decode(version.content)[1], document)
    lines = Lines(version.content, shape)
    yield from faults_of_names(file, document.records, lines)
    yield from faults_of_look_alikes(file, document.records, lines)


def _deep_members(file: str, document: Document) -> Iterator[Finding]:
    """The members that are too deep to be read, and as much of the others as can be told without reading those."""
    for name, fault in document.deep.items():
        yield Finding(Rule.syntax, file, fault.line, name, fault.reason, "make it flatter")
    for name, fault in document.doubles.items():
        yield Finding(Rule.duplicate_key, file, None, name, fault.reason, _MEND_DOUBLE)
    readable = {name: record for name, record in document.records.items() if name not in document.deep}
    yield from faults_of_names(file, readable, {})
    yield from faults_of_look_alikes(file, document.records, {})


def faults_of_members(file: str, version: Version, before: Version | None, shape: Shape = ROOT) -> Iterator[Finding]:
    """What stands in a readable file and is no record: lost, if it was one before, or worth a note."""
    document = version.document(shape)
    others = {name: value for name, value in document.others.items() if name not in shape.ignored}
    lines = Lines(version.content, shape)
    records = before.records(shape) if others and before is not None and is_readable(before, shape) else {}
    for name, value in others.items():
        if isinstance(value, dict):
            what = f"has no {json.dumps(shape.field)} that it could be known by"
        else:
            what = f"is {_KINDS[type(value)]}, no record"
        if name in records:
            what, mend = f"was a record, and {what}", "put the record back, or delete it"
            yield Finding(Rule.lost_record, file, lines.get(name), name, what, mend)
        else:
            yield Finding(Rule.no_record, file, lines.get(name), name, what, "refsync leaves it as it is")


_MEND_DOUBLE = "readers take the last one: delete the other"
_KINDS = {str: "a text", bool: "a truth value", int: "a number", float: "a number", list: "a list", type(None): "null"}


def is_readable(version: Version, shape: Shape = ROOT) -> bool:
    """Whether a category file's records can be read at all."""
    try:
        _ = version.records(shape)
    except DocumentError:
        return False
    return True


def readable_records(snapshot: Snapshot, category: CategoryDescriptor, path: str) -> Mapping[str, Record] | None:
    """The records of a file, none where it is not there; ``None`` where it cannot be read: a finding already."""
    try:
        version = snapshot.find_version(path)
        return {} if version is None else records_in(version, category, path)
    except DocumentError:
        return None


def _double_keys(file: str, text: str, document: Document) -> Iterator[Finding]:
    members = document.container.items
    names = [document.shape.name(item, place) for place, item in enumerate(members)]
    starts = [item.start for item in members]
    for _, container in every_container(text, scan_document(text).start):
        for item in shadowing(container):
            what = f"the key {json.dumps(item.key, ensure_ascii=False)} is there twice"
            place = bisect(starts, item.start) - 1
            model = names[place] if place >= 0 and item.end <= members[place].end else None
            yield Finding(Rule.duplicate_key, file, line_at(text, item.start), model, what, _MEND_DOUBLE)
    for name, fault in document.doubles.items() if document.shape.field is not None else ():
        if names.count(name) > 1:
            yield Finding(Rule.duplicate_key, file, fault.line, name, fault.reason, _MEND_DOUBLE)


def line_at(text: str, position: int) -> int:
    """The number of the line that a position is on."""
    return text.count("\n", 0, position) + 1


class Lines:
    """The line on which each member of a document begins; looked up when first asked for."""

    def __init__(self, data: bytes, shape: Shape = ROOT) -> None:
        self._data, self._shape = data, shape
        self._lines: dict[str, int] = {}

    def get(self, member: str) -> int | None:
        """The line of a member; of one that is there twice that of the last."""
        if not self._lines:
            _, text = decode(self._data)
            line, at = 1, 0
            for place, item in enumerate(self._shape.locate(text).items):
                line, at = line + text.count("\n", at, item.start), item.start
                self._lines[self._shape.name(item, place)] = line
        return self._lines.get(member)
