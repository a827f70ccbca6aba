"""The kind of category whose file is made from a table: people's table, and the document that is made from it.

Changes are made of the document's records, under their base names; the table and the records of the variants
follow. Beside the table stand ``defaults.json`` and ``generation_params.json``, which the derivation reads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from refsync.categories import CategoryDescriptor
from refsync.documents.csv_document import Row, read_table
from refsync.documents.json_document import read_json
from refsync.documents.model_places import Place
from refsync.documents.text_derivation import (
    DEFAULTS,
    GENERATION_PARAMS,
    Derivation,
    Derived,
    derive_document,
    derived_tags,
    row_to_record,
    tags_of,
    variants,
)
from refsync.documents.text_payload import complete_record, record_to_row
from refsync.documents.text_reference import Disagreement, base_name, differences, edit_table, follow_table
from refsync.documents.text_variants import base_names, check_variants_free, record_under
from refsync.errors import DocumentError, PayloadError

if TYPE_CHECKING:
    from refsync.reference.versions import Version
    from refsync.reference.view import View

Record = dict[str, Any]

_APHRODITE, _KOBOLDCPP = "aphrodite/", "koboldcpp/"
_V2_FIELDS = ("record_type", "model_classification", "metadata")


def read_derived(content: bytes, beside: Callable[[str], bytes | None]) -> dict[str, Record]:
    """The records that the rows of a table make, with what stands beside it.

    Raises:
        DocumentError: a row that nothing can be made of, or a file beside it that is no JSON object.
    """
    rows = read_table(content).rows
    defaults, generation_params = (_object_beside(beside, name) for name in (DEFAULTS, GENERATION_PARAMS))
    return derive_document(rows, defaults or {}, generation_params)


def open_table(view: View, category: CategoryDescriptor, path: str) -> TextTable:
    """The category whose table this is.

    Raises:
        DocumentError: a file is missing or cannot be read.
    """
    return TextTable.read(view, path, category.read_file(path))


@dataclass(frozen=True)
class TextTable:
    """A table with all that its document is made of, as they are in one state of the reference."""

    table_path: str
    table: Version
    document_path: str
    document: Version
    beside: tuple[Version, Version]
    defaults: Mapping[str, Any]
    generation_params: Collection[str]
    rows: Sequence[Row]

    @classmethod
    def read(cls, view: View, table_path: str, document_path: str) -> TextTable:
        """Read the files.

        Raises:
            DocumentError: one is missing or cannot be understood; the text names it.
        """
        beside = PurePosixPath(table_path).with_name
        table = _version(view, table_path)
        document = _version(view, document_path)
        defaults, parameters = (str(beside(name)) for name in (DEFAULTS, GENERATION_PARAMS))
        return cls(
            table_path=table_path,
            table=table,
            document_path=document_path,
            document=document,
            defaults=_object(view, defaults),
            generation_params=_object(view, parameters),
            beside=(_version(view, defaults), _version(view, parameters)),
            rows=_named(table_path, lambda version: version.parsed(read_table).rows, table),
        )

    @property
    def records(self) -> Mapping[str, Record]:
        """The models of the document, with their variants."""
        return self.document.models()

    @property
    def models(self) -> Collection[str]:
        """The base names, beside whose rows a new one can stand."""
        return self.row_of

    def check_editable(self, touched: Collection[str]) -> None:
        """See that the document is what the table makes, apart from the models that are about to be edited.

        Raises:
            DocumentError: it is not; the text names the first disagreement.
        """
        apart = {each for name in touched for each in (name, *variants(name))}
        found = [each for each in self._disagreements if each.model not in apart]
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise DocumentError(f"it is not what {self.table_path} makes: {found[0]}{more}")

    def fault_of(self, model: str, removed: bool = False) -> DocumentError | None:
        """Why the record of a model cannot be changed safely; ``None`` where it can."""
        if self._is_as_made:
            return None
        return self.document.document().fault_of(model, removed)

    def edited(
        self,
        edits: Mapping[str, Record | None],
        *,
        places: Mapping[str, Place] | None = None,
        renames: Mapping[str, str] | None = None,
    ) -> dict[str, bytes]:
        """Both files by path, with these models written, removed or renamed, new ones where they are asked to stand.

        A document that is exactly what the table makes is so afterwards; one that is written in another way keeps that.
        """
        derivation, present = _derivation(*self.beside), self.table.parsed(read_table)
        table = edit_table(present, derivation, self._disagreements, edits, places=places, renames=renames)
        made = derivation.of(table.rows)
        before = None if self._is_as_made else self.document.document()
        document = made.content if before is None else follow_table(before, made.records, renames)
        return {self.table_path: table.content, self.document_path: document}

    @property
    def _is_as_made(self) -> bool:
        return is_as_made(self.table, self.document, *self.beside)

    @property
    def _disagreements(self) -> list[Disagreement]:
        return disagreements(self.table, self.document, *self.beside)

    @cached_property
    def row_of(self) -> dict[str, Row]:
        """Base name to the row that counts."""
        return {row.name: row for row in self.rows}

    def home(self, name: str, asked: str | None, is_beside: bool) -> None:
        """See that no other file than the table is asked for.

        Raises:
            PayloadError: it is.
        """
        if asked not in (None, self.table_path):
            raise PayloadError(f"file: the category has one table, {self.table_path}; leave it out")

    @property
    def writes_variants(self) -> bool:
        """Yes: a row makes all of its records."""
        return True

    def variants(self, name: str) -> tuple[str, ...]:
        """One for each other backend."""
        return variants(name)

    def owners(self, names: Collection[str]) -> Mapping[str, str]:
        """Each variant -> the model of these, the last one where several share it."""
        return base_names(names)

    def base_of(self, name: str) -> str:
        """The base name of a model or of one of its variants, that of a model which is not there yet, too."""
        return base_name(name, self.rows) or name.removeprefix(_APHRODITE)

    def related(self, name: str) -> list[str]:
        """The variants of a model, which follow it."""
        return list(variants(name))

    def check_new(self, name: str, replaced: str | None) -> None:
        """See that a new model would take no variant from another one, but for the one that it replaces.

        Raises:
            PayloadError: it would; the text names the variant and whose it is.
        """
        if name not in self.row_of:
            check_variants_free(name, self._owners, self._owners, replaced)

    @cached_property
    def _owners(self) -> Mapping[str, str]:
        return base_names(self.row_of)

    def complete(self, name: str, payload: Record) -> Record:
        """The record that a row can hold, with what the derivation gives to each filled in.

        Raises:
            PayloadError: no row makes it; the text names the field.
        """
        if foreign := [field for field in _V2_FIELDS if field in payload]:
            raise PayloadError(f"{foreign[0]}: makes this a v2 record; {self.table_path} takes legacy ones")
        if payload.get("name", name) not in (name, *variants(name)):
            raise PayloadError(f"name: has to be {name!r}, as the model is called")
        record = complete_record(self._without_stale_tags(name, payload) | {"name": name}, self.defaults)
        self.check(name, record)
        return record

    def under(self, old: str, new: str) -> Record:
        """The record of a model once its row says another name.

        Raises:
            PayloadError: the row makes none.
        """
        row = self.row_of.get(old)
        if row is None:
            return record_under(self.records[old], old, new)
        return self._made_of(replace(row, cells={**row.cells, "name": new}))

    def _without_stale_tags(self, name: str, payload: Record) -> Record:
        """Where tags were left as they are, drop those that came of a size or style which now is another."""
        row = self.row_of.get(name)
        if row is None or payload.get("tags") != (made := self._made_of(row))["tags"]:
            return payload
        size, style = derived_tags(row.cells["parameters_bn"], ""), {row.cells["style"]}
        stale: set[str] = set()
        for field, tags in (("parameters", size), ("style", style)):
            if payload.get(field, self.defaults.get(field)) != made.get(field):
                stale |= tags - tags_of(row.cells["tags"])
        return payload | {"tags": [tag for tag in payload["tags"] if tag not in stale]}

    def _made_of(self, row: Row) -> Record:
        try:
            return row_to_record(row, self.defaults, self.generation_params)
        except DocumentError as problem:
            raise PayloadError(f"{self.table_path}: {problem}; mend the row first") from None

    def check(self, name: str, record: Record | None) -> None:
        """See that a row makes exactly this record, or that one can be removed (``None``).

        Raises:
            PayloadError: none does; the text names the field.
        """
        present = self.row_of
        if name not in present and (name.startswith(_KOBOLDCPP) or self.base_of(name) != name):
            raise PayloadError(f"name: {name!r} is that of a variant; change its base model, and it follows")
        if record is None:
            return
        if record.get("name") != name:
            raise PayloadError(f"name: has to be {name!r}, as the model is called")
        self._row(name, record)

    def remarks(self, name: str, record: Record) -> Iterator[str]:
        """That cells would become formulas in a spreadsheet."""
        present = self.row_of.get(name)
        already = {} if present is None else present.formulas()
        new = [column for column, text in self._row(name, record).formulas().items() if already.get(column) != text]
        if new:
            yield f"a spreadsheet takes for a formula what it writes into {self.table_path}: {', '.join(new)}"

    def _row(self, name: str, record: Record) -> Row:
        return record_to_row(record, self.row_of.get(name), self.defaults, self.generation_params)


def disagreements(
    table: Version, document: Version, defaults: Version, generation_params: Version
) -> list[Disagreement]:
    """Every place where a document is not what its table makes; known to the version of the table.

    Args:
        table: of which the rows are.
        document: that is made from it.
        defaults: taken beside the rows.
        generation_params: taken beside the rows.

    Raises:
        DocumentError: one of them cannot be read, or nothing can be made of a row.
    """

    def found(_: bytes) -> list[Disagreement]:
        if is_as_made(table, document, defaults, generation_params):
            return []
        made = derived(table, defaults, generation_params).records
        return differences(table.parsed(read_table).rows, made, document.document().readable_records)

    return table.parsed(found, "disagreements", document, defaults, generation_params)


def is_as_made(table: Version, document: Version, defaults: Version, generation_params: Version) -> bool:
    """Whether a document is what its table makes, byte for byte; known to the version of the table.

    Raises:
        DocumentError: see ``disagreements``.
    """

    def compared(_: bytes) -> bool:
        return document.content == derived(table, defaults, generation_params).content

    return table.parsed(compared, "as made", document, defaults, generation_params)


def derived(table: Version, defaults: Version, generation_params: Version) -> Derived:
    """What the rows of a table make with the files that stand beside it; known to the version of the table.

    Raises:
        DocumentError: one of them cannot be read, or nothing can be made of a row.
    """
    derivation = _derivation(defaults, generation_params)
    return table.parsed(lambda _: derivation.of(table.parsed(read_table).rows), "derived", defaults, generation_params)


def _derivation(defaults: Version, generation_params: Version) -> Derivation:
    """What makes documents of tables that have these files beside them; it is quicker with each."""

    def begun(_: bytes) -> Derivation:
        return Derivation(defaults.parsed(read_json), generation_params.parsed(read_json))

    return defaults.parsed(begun, "derivation", generation_params)


def _object_beside(beside: Callable[[str], bytes | None], name: str) -> dict[str, Any] | None:
    content = beside(name)
    if content is None:
        return None
    try:
        found = read_json(content)
    except DocumentError as error:
        raise DocumentError(f"{name}: {error}") from None
    if not isinstance(found, dict):
        raise DocumentError(f"{name}: not an object")
    return found


def _version(view: View, path: str) -> Version:
    found = view.version(path)
    if found is None:
        raise DocumentError(f"{path} is missing, without which a text model cannot be changed")
    return found


def _object(view: View, path: str) -> dict[str, Any]:
    found = _named(path, lambda version: version.parsed(read_json), _version(view, path))
    if not isinstance(found, dict):
        raise DocumentError(f"{path}: not an object")
    return found


def _named(path: str, parse: Callable[[Version], Any], version: Version) -> Any:
    try:
        return parse(version)
    except DocumentError as problem:
        raise DocumentError(f"{path}: {problem}") from None
