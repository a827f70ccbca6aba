"""Read a category file, and edit single models in it without touching another byte."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from refsync.collecting import without_collecting
from refsync.documents.encoding import decode
from refsync.documents.json_decoders import (
    READER,
    READER_AS_WRITTEN,
    STRICT_READER,
    DuplicateKeyError,
    NotFiniteError,
)
from refsync.documents.json_doubles import all_doubles, doubled_names
from refsync.documents.json_edit import replace_members
from refsync.documents.json_faults import fault_at, faults_explained, first_of, not_finite, shown
from refsync.documents.json_text import Container, scan_unproven
from refsync.documents.model_places import Place
from refsync.documents.nesting import MAX_DEPTH, TOO_DEEP, Outline, is_surely_shallow, is_too_deep, outlines
from refsync.documents.record_texts import RecordTexts, document_text
from refsync.documents.shape import ROOT, Shape
from refsync.dumping import dump
from refsync.errors import DocumentError

Record = dict[str, Any]

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Document:
    """A category file as it can be edited.

    Attributes:
        records: the models, in the file's order; of a key that is there twice the last value.
        others: the members that are no models, see ``is_record``.
        doubles: the members that are there twice, or have a key twice within.
        deep: the members that are nested too deeply to be read; what ``records`` has of them only stands for them.
        shape: where in the file they are.
        around: what else stands in the file.
    """

    records: dict[str, Record] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
    doubles: Mapping[str, DocumentError] = field(default_factory=dict)
    deep: Mapping[str, DocumentError] = field(default_factory=dict)
    shape: Shape = ROOT
    around: Mapping[str, Any] = field(default_factory=dict)
    _text: str = "{}"
    _cut: Mapping[str, str] = field(default_factory=dict)
    _mark: str = ""
    _is_doubled: bool = False
    _scanned: Container | None = None

    @cached_property
    def container(self) -> Container:
        """Where its members stand in its text."""
        return self.shape.locate(self._text) if self._scanned is None else self._scanned

    @property
    def text_around(self) -> tuple[str, str]:
        """The text ahead of the object or list that holds the models, with a mark, and the text behind it."""
        return self._mark + self._text[: self.container.start], self._text[self.container.end :]

    @property
    def whole_text(self) -> str | None:
        """The text, without a mark, whose members ``container`` has; ``None`` where ``records`` has not all of them."""
        return None if self._cut or self.doubles else self._text

    @property
    def has_doubles(self) -> bool:
        """Whether any object of the file has a key twice."""
        return self._is_doubled

    @property
    def readable_records(self) -> dict[str, Record]:
        """The models as ``read_records`` gives them.

        Raises:
            DocumentError: a member is nested too deeply to be read.
        """
        if self.deep:
            raise min(self.deep.values(), key=lambda fault: (fault.line or 0, fault.column or 0)).with_traceback(None)
        return self.records

    def fault_of(self, model: str, removed: bool = False) -> DocumentError | None:
        """Why a model can't be changed safely, or ``removed``, be it there or not; ``None`` where it can."""
        if model in self.deep:
            return None if removed else self.deep[model]
        if model not in self.others:
            return self.doubles.get(model)
        items = enumerate(self.container.items)
        at = next(item.value_start for place, item in items if self.shape.name(item, place) == model)
        return fault_at(self._text, at, f"the record of {shown(json.dumps(model))} is not an object")

    def check_editable(self, models: Collection[str] | None = None) -> None:
        """See that models can be changed safely, be they there or not; all that are there by default.

        Raises:
            DocumentError: one cannot; with the line and column of the second of two keys.
        """
        for name in (*self.deep, *self.records) if models is None else models:
            if fault := self.fault_of(name):
                raise fault.with_traceback(None)


def read_document(data: bytes, shape: Shape = ROOT) -> Document:
    """A category file's models, its other members, and which of them can't be changed safely.

    Args:
        data: the whole file.
        shape: where in it the models are.

    Raises:
        DocumentError: see ``read_records``.
    """
    mark, text = decode(data)
    with faults_explained():
        document = _document_of(text, shape)
        return replace(document, _mark=mark) if mark else document


def read_records(data: bytes, *, as_written: bool = False, shape: Shape = ROOT) -> dict[str, Record]:
    """The models of a category file, in the file's order; what else stands there is left out.

    Of a key that is there twice the last value counts, as for every other reader of JSON.

    Args:
        data: the whole file: UTF-8, with or without byte order mark.
        as_written: whether each number shall carry its text, so that the records can be written back as they were.
        shape: where in the file the models are.

    Raises:
        DocumentError: no UTF-8, no valid JSON, a number that is not finite, or not of the shape; with the line and
            column where the fault has a place.
    """
    _, text = decode(data)
    with faults_explained():
        try:
            _, members = _members_of(text, READER_AS_WRITTEN if as_written else READER, shape)
            return _parted(members, shape)[0]
        except _TooDeepError:
            raise _too_deep(text) from None


def read_json(data: bytes) -> Any:
    """Any JSON value of a whole file, as strictly read as a category file.

    Raises:
        DocumentError: no UTF-8, no valid JSON, or a number that is not finite.
    """
    _, text = decode(data)
    with faults_explained():
        try:
            value = READER.decode(text)
        except NotFiniteError as error:
            raise not_finite(text, error) from None
    if is_too_deep([value]):
        raise DocumentError(TOO_DEEP)
    return value


def edit_records(
    data: bytes,
    edits: Mapping[str, Record | None],
    *,
    order: Sequence[str] = (),
    places: Mapping[str, Place] | None = None,
    renames: Mapping[str, str] | None = None,
    alike: Iterable[Record] = (),
) -> bytes:
    """A category file with some of its models written or removed, and every other byte as it was.

    A changed record keeps its key order and the text of what did not change, at every depth. New fields stand where the
    file's other records have them, unknown ones last. New models go to the end, in the order given; to their sorted
    place if the file has at least four models and is sorted by name (by code points, or without regard to case).

    Args:
        data: the whole file.
        edits: model name to the record to write, or to ``None`` to remove the model. Removing a model that is not there
            changes nothing.
        order: model names; a new model that is among them stands behind the nearest one ahead of it.
        places: new model to where it is asked to stand; a place next to a model that is not there counts as none.
        renames: model to its new name, under which ``edits`` may have its new record. It keeps its place, and its text
            apart from that. Of a model that is renamed ``edits`` may also have the old name, with ``None``.
        alike: records of other files, see ``edit_document``.

    Returns:
        The new file; the same bytes if every edit is there already, be it with its keys in another order.

    Raises:
        DocumentError: the file, or one of the models, cannot be edited safely, see ``Document.check_editable``.
        ValueError: a record holds a number that is not finite, a model to rename is not there, or its new name is.
    """
    return edit_document(read_document(data), edits, order=order, places=places, renames=renames, alike=alike)


def edit_document(
    document: Document,
    edits: Mapping[str, Record | None],
    *,
    order: Sequence[str] = (),
    places: Mapping[str, Place] | None = None,
    renames: Mapping[str, str] | None = None,
    others: Mapping[str, Any] | None = None,
    alike: Iterable[Record] = (),
) -> bytes:
    """``edit_records`` of a file that has been read.

    ``others`` are members to write that are no models, nor null; ``alike`` are records of other files, whose fields are
    in the order that new ones shall be in, too.
    """
    renames = renames or {}
    with faults_explained():
        for name in (*edits, *renames, *renames.values()):
            if fault := document.fault_of(name, edits.get(name, {}) is None):
                raise fault.with_traceback(None)
        _check_renames(document.records, edits, renames)
        members = {name: record for name, record in edits.items() if name not in renames} | dict(others or {})
        return (document._mark + _edited(document, members, order, places or {}, renames, alike)).encode()


def _edited(
    document: Document,
    edits: Mapping[str, Record | None],
    order: Sequence[str],
    places: Mapping[str, Place],
    renames: Mapping[str, str],
    alike: Iterable[Record],
) -> str:
    text = replace_members(
        document._text, document.container, document.records, edits, order, places, renames, document.shape, alike
    )
    for stand_in, value in document._cut.items():
        text = text.replace(stand_in, value)
    return text


def _check_renames(
    records: Mapping[str, Record], edits: Mapping[str, Record | None], renames: Mapping[str, str]
) -> None:
    for old, new in renames.items():
        if old not in records or edits.get(old) is not None:
            raise ValueError(f"{old!r} cannot be renamed: there is no such model, or it is to stay")
        if new in records or list(renames.values()).count(new) > 1:
            raise ValueError(f"{old!r} cannot be renamed: there is a model {new!r} already")


def new_document(records: Mapping[str, Record], shape: Shape = ROOT) -> bytes:
    """A category file that does not exist yet: four spaces, ASCII escapes, one final newline."""
    if shape == ROOT:
        texts = RecordTexts()
        return document_text(texts.member(name, record) for name, record in records.items()).encode()
    return (dump(shape.whole(records), indent=4, ensure_ascii=True, allow_nan=False) + "\n").encode()


class _TooDeepError(Exception):
    """An object or list is nested beyond the limit, or beyond what can be decoded at all."""


def _document_of(text: str, shape: Shape) -> Document:
    try:
        return _shallow_document(text, shape)
    except _TooDeepError:
        if not shape.is_root_object:
            raise _too_deep(text) from None
        return _deep_document(text, shape)


def _shallow_document(text: str, shape: Shape) -> Document:
    scanned = _scanned(text) if shape.is_root_object else None
    if scanned and (document := document_of_members(text, scanned, shape)):
        return document
    try:
        root, members = _members_of(text, STRICT_READER, shape)
        doubles = doubled_names(text, shape) if shape.has_doubles(root, members) else {}
        is_doubled = bool(doubles)
    except DuplicateKeyError:
        root, members = _members_of(text, READER, shape)
        doubles, is_doubled = all_doubles(text, shape), True
    parts, around = _parted(members, shape), shape.around(root)
    return Document(*parts, doubles, shape=shape, around=around, _text=text, _is_doubled=is_doubled)


def _scanned(text: str) -> Container | None:
    """The members of a text, read and scanned at once; ``None`` where it has faults, which are told by another look."""
    try:
        with without_collecting():
            scanned = scan_unproven(text, STRICT_READER.raw_decode)
    except (ValueError, RecursionError, NotFiniteError, DuplicateKeyError):
        return None
    doubtful = [item.value for item in scanned.items if not is_surely_shallow(text, item.value_start, item.end)]
    return None if is_too_deep(doubtful) else scanned


def document_of_members(
    text: str, container: Container, shape: Shape, around: Mapping[str, Any] = _NOTHING, mark: str = ""
) -> Document | None:
    """A document of which all members have been read, none of them too deep; ``None`` if one is there twice."""
    members = {shape.name(item, place): item.value for place, item in enumerate(container.items)}
    if len(members) < len(container.items):
        return None
    parts = _parted(members, shape)
    return Document(*parts, shape=shape, around=around, _text=text, _mark=mark, _scanned=container)


def _deep_document(text: str, shape: Shape) -> Document:
    """A document with stand-ins for the values that are too deep to be read, so that all else can be edited."""
    cut: dict[str, str] = {}
    deep: dict[str, DocumentError] = {}
    shallow = text
    for each in reversed([each for each in outlines(text) if each.depth > MAX_DEPTH]):
        value = text[text.index(":", each.key_end) + 1 : each.end].strip(" \t\r\n")
        stand_in = f"refsync-{len(cut)}-{len(text)}"
        stand_in = f'{{"{stand_in}": 0}}' if value[0] == "{" else f'["{stand_in}"]'
        at = text.index(value, each.key_end)
        shallow = shallow[:at] + stand_in + shallow[at + len(value) :]
        cut[stand_in] = value
        deep[json.loads(text[each.start : each.key_end])] = _too_deep(text, each)
    if not cut or any(stand_in in text for stand_in in cut):
        raise _too_deep(text)
    return replace(_document_of(shallow, shape), deep=deep, _cut=cut)


def _too_deep(text: str, member: Outline | None = None) -> DocumentError:
    """The error for a member, the first that is too deep by default."""
    found = member or next((each for each in outlines(text) if each.depth > MAX_DEPTH), None)
    if found is None:
        return DocumentError(TOO_DEEP)
    return fault_at(text, found.start, f"{shown(text[found.start : found.key_end])} is {TOO_DEEP}")


def _members_of(text: str, reader: json.JSONDecoder, shape: Shape) -> tuple[Any, dict[str, Any]]:
    """The value of the whole text, and the members by name."""
    try:
        with without_collecting():
            root = reader.decode(text)
    except RecursionError:
        raise _TooDeepError from None
    except NotFiniteError as error:
        json.loads(text)  # a fault of syntax comes first, and its place can be found
        raise not_finite(text, error) from None
    except DuplicateKeyError:
        json.loads(text)
        raise
    try:
        members = shape.members(root)
    except DocumentError as fault:
        raise fault_at(text, first_of(text), fault.reason) from None
    if is_too_deep(members.values()):
        raise _TooDeepError
    return root, members


def _parted(members: dict[str, Any], shape: Shape) -> tuple[dict[str, Record], dict[str, Any]]:
    """The models, and the members that are none."""
    others = {name: value for name, value in members.items() if not shape.is_model(name, value)}
    return {name: value for name, value in members.items() if name not in others} if others else members, others
