"""What is found in a clone that nobody has configured yet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from refsync.categories import (
    SPECIFIED,
    CategoryDescriptor,
    CategoryName,
    Layout,
    canonical_format,
)
from refsync.clone.checkout import checked_out_branch, work_tree_root
from refsync.clone.repository import Repository
from refsync.config.values import category_file
from refsync.errors import CloneError, DocumentError, RequestError
from refsync.reference.kinds import kind_of

Named = Mapping[CategoryName, str]
"""The files of categories that have other names than usual."""


class Survey(NamedTuple):
    """What a clone holds: the file of each category, and why other files were left out."""

    branch: str
    layout: Layout
    files: Mapping[CategoryName, str]
    left_out: Mapping[str, str]


def named_files(words: Iterable[str]) -> Named:
    """The files that the command line names, each as ``CATEGORY=FILE``.

    Raises:
        RequestError: a word is not that, or a category has two files.
        UnknownCategoryError: there is no such category.
    """
    named: dict[CategoryName, str] = {}
    for word in words:
        name, separator, file = word.partition("=")
        if not separator:
            raise RequestError(f"--category {word}: write it as NAME=FILE, such as clip=models/clip.json")
        category = SPECIFIED.parse(name)
        if category in named:
            raise RequestError(f"--category {word}: {category} has the file {named[category]} already")
        try:
            named[category] = category_file(file)
        except ValueError as problem:
            raise RequestError(f"--category {word}: {problem}") from None
    return named


def data_paths(clone: Repository, wanted: Layout | None, named: Named) -> list[str]:
    """All that refsync reads of a reference; files that are not there yet, too, since a change may create one."""
    layout = wanted or _detect_layout(clone, clone.tip())
    usual = [(name, file) for name, each in SPECIFIED.descriptors.items() for file in each.files(layout).values()]
    files = dict[str, None]()
    for category, file in (*usual, *named.items()):
        described = SPECIFIED[category]
        if described.table_of(file) is None:
            files[file] = None
        elif clone.file_at(clone.tip(), file) is not None:
            files |= dict.fromkeys((file, described.read_file(file), *described.made_of(file)))
    return list(files)


def survey(clone: Repository, layout: Layout | None, named: Named, where: str) -> Survey:
    """Look at what the target branch holds.

    Raises:
        CloneError: there is no category file, or a file that is named is none.
    """
    tip = clone.tip()
    entries = clone.entries(tip, "")
    found_layout = layout or _detect_layout(clone, tip)
    files, left_out = _sort_files(clone, entries, found_layout, named)
    files = {**files, **{category: _checked(clone, tip, category, file) for category, file in named.items()}}
    if not files:
        why = "; ".join(f"{file}: {reason}" for file, reason in left_out.items()) or "it holds no JSON file"
        raise CloneError(
            f"{where}: no category file of layout {found_layout.value!r} on branch {clone.branch!r} ({why})"
        )
    ordered = {category: files[category] for category in SPECIFIED if category in files}
    return Survey(clone.branch, found_layout, ordered, left_out)


def refuse_folder_inside(clone: Repository) -> None:
    """See that a clone is named by its own folder."""
    root = work_tree_root(clone)
    if not os.path.samefile(root, clone.path):
        raise CloneError(f"{clone.path}: is a folder inside the clone {root}; name the clone itself")


def checked_out(clone: Repository) -> str:
    """The branch that is checked out."""
    head = checked_out_branch(clone)
    if head is None:
        raise CloneError(f"{clone.path}: HEAD is detached; name the target branch with --branch")
    return head


def _detect_layout(clone: Repository, tip: str) -> Layout:
    in_legacy_folder = set(clone.entries(tip, "legacy")) if "legacy" in clone.entries(tip, "") else set()
    legacy_files = {descriptor.legacy_file for descriptor in SPECIFIED.descriptors.values()}
    return Layout.primary if in_legacy_folder & legacy_files else Layout.upstream


def _sort_files(
    clone: Repository, entries: Mapping[str, tuple[int, str]], layout: Layout, named: Named
) -> tuple[dict[CategoryName, str], dict[str, str]]:
    """Tell category files from the other data files at the root, where both layouts keep what is written."""
    files, left_out = {}, {}
    categories = {
        descriptor.files(layout).get(canonical_format(layout)): category
        for category, descriptor in SPECIFIED.descriptors.items()
    }
    for file, (mode, blob) in entries.items():
        if not file.endswith((".json", ".csv")):
            continue
        if file in named.values():
            continue
        if reason := _reason_by_name(file, set(entries)):
            left_out[file] = reason
        elif categories.get(file) in named:
            left_out[file] = f"the file of {categories[file]} is {named[categories[file]]}"
        elif file not in categories:
            left_out[file] = f"its category has no file in layout {layout.value!r}"
        elif reason := _reason_by_content(clone, SPECIFIED[categories[file]], file, mode, blob):
            left_out[file] = reason
        else:
            files[categories[file]] = file
    return files, left_out


def _reason_by_name(file: str, siblings: set[str]) -> str | None:
    owners = {
        name: each for each in SPECIFIED.descriptors.values() for name in (each.v2_file, each.legacy_file) if name
    }
    for table, each in owners.items():
        if each.table_of(table) and table in siblings and each.read_file(table) == file:
            return f"is made from {table}, and follows it"
    if file not in owners:
        return "belongs to no category"
    document = owners[file].read_file(file)
    return None if document in siblings else f"lacks the {document} that is made from it"


def _reason_by_content(clone: Repository, category: CategoryDescriptor, file: str, mode: int, blob: str) -> str | None:
    if mode >> 12 != 0o10:
        return "is no regular file"
    try:
        kind_of(category, file).parse(clone.read_blob(blob))
    except DocumentError as problem:
        return str(problem)
    return None


def _checked(clone: Repository, tip: str, category: CategoryName, file: str) -> str:
    found = clone.file_at(tip, file)
    if found is None:
        raise CloneError(f"{clone.path}: branch {clone.branch!r} has no file {file!r}, which --category names")
    document = SPECIFIED[category].read_file(file)
    if document != file and clone.file_at(tip, document) is None:
        raise CloneError(f"{clone.path}: {file}: lacks the {document} that is made from it")
    if reason := _reason_by_content(clone, SPECIFIED[category], file, found.mode, found.blob):
        raise CloneError(f"{clone.path}: {file}: {reason}; it cannot be the file of {category}")
    return file
