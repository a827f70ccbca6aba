"""The kinds of categories: how each keeps its records in files, and edits them.

A file's name tells its kind, and the category where in a JSON file the records are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from refsync.categories import CategoryDescriptor, is_table
from refsync.documents.csv_document import read_table
from refsync.documents.file_merge import FileMerge, merge_documents, merge_tables
from refsync.documents.json_document import Record, read_records
from refsync.documents.merge import Stamps
from refsync.documents.model_places import Place
from refsync.documents.shape import ROOT, shape_of
from refsync.documents.text_derivation import variants
from refsync.documents.text_variants import base_names
from refsync.errors import DocumentError
from refsync.file_patterns import is_pattern
from refsync.reference import json_file, many_files, text_table

if TYPE_CHECKING:
    from refsync.reference.versions import Version
    from refsync.reference.view import View

Beside = Callable[[str], bytes | None]
"""The bytes of a file in the same folder, ``None`` where there is none."""


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
    ) -> Mapping[str, bytes | None]:
        """The whole of each file, by path, with these models written, removed (``None``) or renamed.

        ``None`` is a file that goes with its only model.
        """
        ...

    def home(self, name: str, asked: str | None, is_beside: bool) -> None:
        """See that it is clear in which file a new model goes: one that is ``asked`` for, or, ``is_beside``, another's.

        Raises PayloadError where it is not.
        """
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

    def remarks(self, name: str, record: Record) -> Iterator[str]:
        """What a reviewer should know of how the files will hold a record that they can hold."""
        ...


class Merge(Protocol):
    """Merges three versions of a file."""

    def __call__(self, base: bytes, ours: bytes, theirs: bytes, *, stamps: Stamps = ...) -> FileMerge:
        """The arguments are those of ``documents.file_merge``."""
        ...


class Kind(NamedTuple):
    """One kind of category file."""

    parse: Callable[[bytes], object]
    """Raises DocumentError for bytes that are no file of this kind."""
    read: Callable[[bytes, Beside], dict[str, Record]]
    """The records in the bytes of a file, with what stands beside it; raises DocumentError."""
    open: Callable[[View, CategoryDescriptor, str], CategoryFiles]
    """The category whose file this is, to be edited; raises DocumentError where its files cannot be opened."""
    merge: Merge
    """What two sides made of a file, merged; raises DocumentError where a version cannot be read."""


_TABLE = Kind(read_table, text_table.read_derived, text_table.open_table, merge_tables)


def kind_of(category: CategoryDescriptor | None, path: str) -> Kind:
    """The kind of a category's file of this name; without a category of the usual shape."""
    if is_table(path):
        return _TABLE
    shape = ROOT if category is None else shape_of(category, path)
    read = partial(read_records, shape=shape)
    return Kind(
        parse=read,
        read=lambda content, beside: read(content),
        open=many_files.open_files if is_pattern(path) else json_file.open_file,
        merge=partial(merge_documents, shape=shape),
    )


def variants_of(category: CategoryDescriptor, name: str) -> tuple[str, ...]:
    """The other records that a model of this name may have, whichever files the category has."""
    return variants(name) if category.has_variants else ()


def bases_of(category: CategoryDescriptor, records: Collection[str]) -> Mapping[str, str]:
    """Each variant that the models of these records may have -> the model's name."""
    return base_names(records) if category.has_variants else {}


def records_in(version: Version, category: CategoryDescriptor, path: str) -> Mapping[str, Record]:
    """The records in one version of a category's file of this name, by itself; read-only.

    Raises:
        DocumentError: it cannot be read, or nothing can be made of a row.
    """
    return records_of_table(version) if is_table(path) else version.records(shape_of(category, path))


def records_of_table(version: Version) -> Mapping[str, Record]:
    """What a version of a table makes by itself; raises DocumentError where nothing can be made of a row."""
    return version.parsed(_table_alone)


def records_as_written(version: Version, category: CategoryDescriptor, path: str) -> Mapping[str, Record]:
    """The same, each number with its text where the kind knows it, so that they can be written back as they were."""
    return (
        records_in(version, category, path) if is_table(path) else version.records_as_written(shape_of(category, path))
    )


def records_after(
    version: Version, before: Version | None, category: CategoryDescriptor, path: str
) -> Mapping[str, Record]:
    """The same, read by what differs from the version that was read before it, where that is less work."""
    return (
        records_in(version, category, path)
        if is_table(path)
        else version.records_after(before, shape_of(category, path))
    )


def records_at(view: View, category: CategoryDescriptor, path: str) -> Mapping[str, Record]:
    """The records of a category's file in a state of the reference, none where there is no file; read-only.

    Raises:
        DocumentError: it cannot be read, or nothing can be made of a row.
    """
    if is_pattern(path):
        return many_files.open_files(view, category, path).records
    version = view.version(path)
    return {} if version is None else records_in(version, category, path)


def records_as_written_at(view: View, category: CategoryDescriptor, path: str) -> Mapping[str, Record]:
    """The same, each number with its text where the kind knows it."""
    found: dict[str, Record] = {}
    for each in view.matching(path) if is_pattern(path) else (path,):
        version = view.version(each)
        found |= {} if version is None else records_as_written(version, category, each)
    return found


def readable_records_at(view: View, category: CategoryDescriptor, path: str) -> Mapping[str, Record]:
    """The records of a category's file, none where it cannot be read, for those whom that says nothing."""
    try:
        return records_at(view, category, path)
    except DocumentError:
        return {}


def _table_alone(content: bytes) -> dict[str, Record]:
    return text_table.read_derived(content, lambda name: None)
