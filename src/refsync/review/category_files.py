"""Which files of a clone are category files: those that its config lists, or by the layouts' usual names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from refsync.categories import (
    CanonicalFormat,
    CategoryName,
    Layout,
    document_of,
    is_table,
    stand_in_of,
)
from refsync.review.conventions import USUAL, Conventions

Files = Mapping[CategoryName, Mapping[CanonicalFormat, str]]


class CategoryFile(NamedTuple):
    """A file that holds records of one category, by its path in the clone."""

    category: CategoryName
    format: CanonicalFormat
    path: str


def category_files(paths: Collection[str], conventions: Conventions = USUAL) -> list[CategoryFile]:
    """The category files among the paths of a clone, in the order of the categories.

    Where no config tells, the layout is ``upstream`` unless the folder ``legacy`` holds a category file.
    ``models.csv`` is read through the ``db.json`` that stands beside it, and in ``legacy`` by itself if none does; a
    ``db.json`` on its own belongs to no category.
    """
    return [each for each in expected_files(paths, conventions) if each.path in paths]


def expected_files(paths: Collection[str], conventions: Conventions = USUAL) -> list[CategoryFile]:
    """Where each category's records would be, whether there is such a file or not."""
    return [
        CategoryFile(category, form, _with_records(file, paths))
        for category, files in _held(paths, conventions).items()
        for form, file in files.items()
    ]


def tables(paths: Collection[str], conventions: Conventions = USUAL) -> Iterator[str]:
    """The tables among the paths, those that records are read from and those that a document is made from."""
    held = _held(paths, conventions)
    found = [file for files in held.values() for file in files.values() if is_table(file)]
    yield from (file for file in dict.fromkeys((*conventions.tables.values(), *found)) if file in paths)


def _held(paths: Collection[str], conventions: Conventions) -> Files:
    if conventions.files is not None:
        return conventions.files
    legacy = {f"legacy/{each.legacy_file}" for each in conventions.catalogue.descriptors.values() if each.legacy_file}
    layout = Layout.upstream if legacy.isdisjoint(paths) else Layout.primary
    return {name: descriptor.files(layout) for name, descriptor in conventions.catalogue.descriptors.items()}


def _with_records(file: str, paths: Collection[str]) -> str:
    """The file that readers read: of a table, the document made from it, or in ``legacy`` a document in its place."""
    if not is_table(file):
        return file
    in_legacy = "/" in file
    if file in paths:
        return document_of(file) if document_of(file) in paths or not in_legacy else file
    return stand_in_of(file) if in_legacy else file
