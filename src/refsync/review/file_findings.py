"""What is wrong with one category file by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator

from refsync.documents.encoding import decode
from refsync.documents.json_document import Document
from refsync.documents.json_text import every_container, scan_document, shadowing
from refsync.errors import DocumentError
from refsync.reference.versions import Version
from refsync.review.finding import Finding, Rule
from refsync.review.name_findings import faults_of_look_alikes, faults_of_names


def faults_of_document(file: str, version: Version) -> Iterator[Finding]:
    """What is wrong with the text and the names of a category file."""
    try:
        document = version.document
    except DocumentError as error:
        yield Finding(Rule.syntax, file, error.line, None, error.reason, "mend it by hand")
        return
    if document.deep:
        yield from _deep_members(file, document)
        return
    if document.has_doubles:
        yield from _double_keys(file, decode(version.content)[1])
    lines = Lines(version.content)
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


def faults_of_members(file: str, version: Version, before: Version | None) -> Iterator[Finding]:
    """What stands in a readable file and is no record: lost, if it was one before, or worth a note."""
    others = version.document.others
    lines = Lines(version.content)
    records = before.records if others and before is not None and is_readable(before) else {}
    for name, value in others.items():
        what = f"is {_KINDS[type(value)]}, no record"
        if name in records:
            what, mend = f"was a record, and {what}", "put the record back, or delete it"
            yield Finding(Rule.lost_record, file, lines.get(name), name, what, mend)
        else:
            yield Finding(Rule.no_record, file, lines.get(name), name, what, "refsync leaves it as it is")


_MEND_DOUBLE = "readers take the last one: delete the other"
_KINDS = {str: "a text", bool: "a truth value", int: "a number", float: "a number", list: "a list", type(None): "null"}


def is_readable(version: Version) -> bool:
    """Whether a category file's records can be read at all."""
    try:
        _ = version.records
    except DocumentError:
        return False
    return True


def _double_keys(file: str, text: str) -> Iterator[Finding]:
    document = scan_document(text)
    for path, container in every_container(text, document.start):
        for item in shadowing(container):
            what = f"the key {json.dumps(item.key, ensure_ascii=False)} is there twice"
            model, mend = (
                path[0] if path else item.key,
                "readers take the last one: delete the other",
            )
            yield Finding(Rule.duplicate_key, file, line_at(text, item.start), model, what, mend)


def line_at(text: str, position: int) -> int:
    """The number of the line that a position is on."""
    return text.count("\n", 0, position) + 1


class Lines:
    """The line on which each member of a document begins; looked up when first asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._lines: dict[str | None, int] = {}

    def get(self, member: str) -> int | None:
        """The line of a member; of one that is there twice that of the last."""
        if not self._lines:
            _, text = decode(self._data)
            line, at = 1, 0
            for item in scan_document(text).items:
                line, at = line + text.count("\n", at, item.start), item.start
                self._lines[item.key] = line
        return self._lines.get(member)
