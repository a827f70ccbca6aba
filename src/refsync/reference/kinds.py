"""The kinds of categories: how each keeps its records in files, and edits them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from refsync.categories import CategoryName, has_variants
from refsync.documents.json_document import Record
from refsync.documents.model_places import Place
from refsync.errors import DocumentError
from refsync.reference.json_file import JsonFile, JsonFileWithVariants
from refsync.reference.text_table import TextTable
from refsync.reference.view import View


class CategoryFiles(Protocol):
    """The files of one category in one state of the reference; what it gives is read-only."""

    @property
    def records(self) -> Mapping[str, Record]:
        """Every record, of variants too; raises DocumentError for a document that cannot be read."""
        ...

    @property
    def models(self) -> Collection[str]:
        """The names beside which a new model can stand."""
        ...

    def check_editable(self, touched: Collection[str]) -> None:
        """See that the files can be edited, in these models at least; raises DocumentError."""
        ...

    def fault_of(self, model: str, removed: bool = False) -> DocumentError | None:
        """Why one record cannot be changed safely, or removed; ``None`` where it can."""
        ...

    def edited(
        self,
        edits: Mapping[str, Record | None],
        *,
        places: Mapping[str, Place] | None = None,
        renames: Mapping[str, str] | None = None,
    ) -> dict[str, bytes]:
        """The whole of each file, by path, with these models written, removed (``None``) or renamed."""
        ...

    @property
    def writes_variants(self) -> bool:
        """Whether the records of variants follow from their model's by themselves; else they are edited with it."""
        ...

    def variants(self, name: str) -> tuple[str, ...]:
        """The other records that a model of this name may have, those that are not there too."""
        ...

    def owners(self, names: Collection[str]) -> Mapping[str, str]:
        """Each variant that models of these names may have -> the model."""
        ...

    def base_of(self, name: str) -> str:
        """The model that is meant by a name, which may be that of a variant."""
        ...

    def related(self, name: str) -> list[str]:
        """The records that follow a model."""
        ...

    def check_new(self, name: str, replaced: str | None) -> None:
        """See that a new model may have the name, also of one that it replaces; raises PayloadError."""
        ...

    def complete(self, name: str, payload: Record) -> Record:
        """The record as the files will hold it; raises PayloadError where they cannot."""
        ...

    def under(self, old: str, new: str) -> Record:
        """The record that a model will have under another name; raises PayloadError where it can have none."""
        ...

    def check(self, name: str, record: Record | None) -> None:
        """See that the files can hold exactly this record, or none; raises PayloadError where they cannot."""
        ...


def open_files(view: View, category: CategoryName, path: str, table: str | None = None) -> CategoryFiles:
    """The files of a category: the document at a path, and the table that it is made from, where there is one.

    Raises:
        DocumentError: there is no plain file, or a table's files cannot be read.
    """
    if table is not None:
        return TextTable.read(view, table)
    kind = JsonFileWithVariants if has_variants(category) else JsonFile
    return kind(path, view.version(path))
