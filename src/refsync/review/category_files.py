"""Which files of a clone are category files: those that its config lists, or by the layouts' usual names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from refsync.categories import (
    CanonicalFormat,
    CategoryDescriptor,
    CategoryName,
    Layout,
)
from refsync.file_patterns import is_pattern, starred
from refsync.review.conventions import USUAL, Conventions

Files = Mapping[CategoryName, Mapping[CanonicalFormat, str]]


class CategoryFile(NamedTuple):
    """A file that holds records of one category, by its path in the clone."""

    category: CategoryName
    format: CanonicalFormat
    path: str


class Table(NamedTuple):
    """A table that a document is made from, by their paths, and by those of all that it takes, the table too."""

    path: str
    document: str
    made_of: tuple[str, ...]


def category_files(paths: Collection[str], conventions: Conventions = USUAL) -> list[CategoryFile]:
    """The category files among the paths of a clone, in the order of the categories.

    Where no config tells, the layout is ``upstream`` unless the folder ``legacy`` holds a category file.
    ``models.csv`` is read through the ``db.json`` that stands beside it, and in ``legacy`` by itself if none does; a
    ``db.json`` on its own belongs to no category.
    """
    found = []
    for each in expected_files(paths, conventions):
        if is_pattern(each.path):
            found += [each._replace(path=path) for path in sorted(paths) if starred(each.path, path) is not None]
        elif each.path in paths:
            found.append(each)
    return found


def expected_files(paths: Collection[str], conventions: Conventions = USUAL) -> list[CategoryFile]:
    """Where each category's records would be, whether there is such a file or not."""
    return [
        CategoryFile(category, form, _with_records(conventions.catalogue[category], file, paths))
        for category, files in _held(paths, conventions).items()
        for form, file in files.items()
    ]


def tables(paths: Collection[str], conventions: Conventions = USUAL) -> Iterator[Table]:
    """The tables among the paths, those that records are read from and those that a document is made from."""
    found = [(name, file) for name, files in _held(paths, conventions).items() for file in files.values()]
    for name, file in dict.fromkeys((*conventions.tables.items(), *found)):
        described = conventions.catalogue[name]
        if file in paths and described.table_of(file) is not None:
            yield Table(file, described.read_file(file), described.made_of(file))


def _held(paths: Collection[str], conventions: Conventions) -> Files:
    if conventions.files is not None:
        return conventions.files
    legacy = {f"legacy/{each.legacy_file}" for each in conventions.catalogue.descriptors.values() if each.legacy_file}
    layout = Layout.upstream if legacy.isdisjoint(paths) else Layout.primary
    return {name: descriptor.files(layout) for name, descriptor in conventions.catalogue.descriptors.items()}


def _with_records(category: CategoryDescriptor, file: str, paths: Collection[str]) -> str:
    """The file that readers read: of a table, the document made from it, or in ``legacy`` a document in its place."""
    document, stand_in, in_legacy = category.read_file(file), category.stand_in_of(file), "/" in file
    if file in paths:
        return document if document in paths or not in_legacy else file
    return stand_in if in_legacy and stand_in is not None else file
