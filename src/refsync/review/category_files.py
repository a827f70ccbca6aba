"""Which files of a clone are category files, by the layout's default names."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from refsync.categories import (
    DESCRIPTORS,
    MODEL_REFERENCE_CATEGORY,
    CanonicalFormat,
    Layout,
    default_files,
    stand_in_of,
)

ROWS, DERIVED = "models.csv", "db.json"
"""A text reference: the file that people edit, and the one with the records."""


class CategoryFile(NamedTuple):
    """A file that holds records of one category, by its path in the clone."""

    category: MODEL_REFERENCE_CATEGORY
    format: CanonicalFormat
    path: str


def category_files(paths: Collection[str]) -> list[CategoryFile]:
    """The category files among the paths of a clone, in the order of the categories.

    The layout is ``upstream`` unless the folder ``legacy`` holds a category file. ``models.csv`` is read through
    the ``db.json`` that stands beside it, and in ``legacy`` by itself if none does; a ``db.json`` on its own belongs to
    no category.
    """
    legacy = {f"legacy/{each.legacy_file}" for each in DESCRIPTORS.values() if each.legacy_file}
    layout = Layout.upstream if legacy.isdisjoint(paths) else Layout.primary
    return [
        CategoryFile(category, form, found)
        for category in MODEL_REFERENCE_CATEGORY
        for form, file in default_files(layout, category).items()
        if (found := _with_records(file, paths)) in paths
    ]


def _with_records(file: str, paths: Collection[str]) -> str:
    """The file that readers read: of a table, the document made from it, or in ``legacy`` a document in its place."""
    folder, slash, name = file.rpartition("/")
    if name != ROWS:
        return file
    derived = f"{folder}{slash}{DERIVED}"
    if file in paths:
        return derived if derived in paths or not folder else file
    return stand_in_of(file) if folder else file
