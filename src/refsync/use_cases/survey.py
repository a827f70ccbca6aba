"""What is found in a clone that nobody has configured yet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from refsync.categories import (
    SPECIFIED,
    Catalogue,
    CategoryDescriptor,
    CategoryName,
    Layout,
    canonical_format,
)
from refsync.clone.checkout import checked_out_branch, work_tree_root
from refsync.clone.objects import FOLDER, TreeFile
from refsync.clone.repository import Repository
from refsync.config.settings import OwnCategory
from refsync.config.values import category_file
from refsync.errors import CloneError, DocumentError, RequestError
from refsync.file_patterns import is_pattern
from refsync.reference.kinds import kind_of, records_at
from refsync.reference.versions import Versions
from refsync.reference.view import at_commit
from refsync.use_cases.own_categories import offered, offered_folder, option_for, own_category

_NO_CATEGORY = "belongs to no category"


class Named(NamedTuple):
    """What the command line names: the files of categories with other names than usual, and categories of one's own."""

    files: Mapping[CategoryName, str] = {}
    own: tuple[OwnCategory, ...] = ()

    @property
    def catalogue(self) -> Catalogue:
        """Which categories there are."""
        return SPECIFIED.with_own(each.descriptor for each in self.own)


class Survey(NamedTuple):
    """What a clone holds: the file of each category, why other files were left out, and what some of them could be."""

    branch: str
    layout: Layout
    files: Mapping[CategoryName, str]
    left_out: Mapping[str, str]
    own: tuple[OwnCategory, ...] = ()
    offered: tuple[OwnCategory, ...] = ()


def named_files(words: Iterable[str]) -> Named:
    """The files that the command line names, each as ``CATEGORY=FILE``, of a category of one's own ``:RECORDS`` too.

    Raises:
        RequestError: a word is not that, or a category has two files.
    """
    named: dict[CategoryName, str] = {}
    own: dict[str, OwnCategory] = {}
    for word in words:
        name, separator, file = word.partition("=")
        if not separator:
            raise RequestError(f"--category {word}: write it as NAME=FILE, such as clip=models/clip.json")
        taken = own[name].path if name in own else named.get(CategoryName(name))
        if taken is not None:
            raise RequestError(f"--category {word}: {name} has the file {taken} already")
        if name not in SPECIFIED:
            own[name] = own_category(word, name, file)
            continue
        try:
            named[SPECIFIED.parse(name)] = category_file(file)
        except ValueError as problem:
            raise RequestError(f"--category {word}: {problem}") from None
    return Named(named, tuple(own.values()))


def data_paths(clone: Repository, wanted: Layout | None, named: Named) -> list[str]:
    """All that refsync reads of a reference; files that are not there yet, too, since a change may create one."""
    layout = wanted or _detect_layout(clone, clone.tip())
    known = named.catalogue
    usual = [(name, file) for name, each in known.descriptors.items() for file in each.files(layout).values()]
    files = dict[str, None]()
    for category, file in (*usual, *named.files.items()):
        described = known[category]
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
    all_named = {**named.files, **{each.descriptor.category: each.path for each in named.own}}
    for category, file in all_named.items():
        files[category] = _checked(clone, tip, named.catalogue[category], file)
    found = (offered(clone, file, TreeFile(*entries[file])) for file in left_out if left_out[file] == _NO_CATEGORY)
    folders = (name for name, (mode, _) in entries.items() if mode == FOLDER and name != "legacy")
    known = {*all_named.values()}
    in_folders = (offered_folder(clone, tip, folder) for folder in folders)
    could_be = tuple(each for each in (*found, *in_folders) if each is not None and each.path not in known)
    if not files:
        why = "; ".join(f"{file}: {reason}" for file, reason in left_out.items()) or "it holds no JSON file"
        raise CloneError(
            f"{where}: no category file of layout {found_layout.value!r} on branch {clone.branch!r} ({why})"
            + "".join(f"; {each.path} could be one of your own: {option_for(each)}" for each in could_be[:1])
        )
    ordered = {category: files[category] for category in named.catalogue if category in files}
    return Survey(clone.branch, found_layout, ordered, left_out, named.own, could_be)


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
    for file, entry in entries.items():
        if not file.endswith((".json", ".csv")):
            continue
        if file in named.files.values() or file in (each.path for each in named.own):
            continue
        if reason := _reason_by_name(file, set(entries)):
            left_out[file] = reason
        elif categories.get(file) in named.files:
            left_out[file] = f"the file of {categories[file]} is {named.files[categories[file]]}"
        elif file not in categories:
            left_out[file] = f"its category has no file in layout {layout.value!r}"
        elif reason := _reason_by_content(clone, SPECIFIED[categories[file]], file, TreeFile(*entry)):
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
        return _NO_CATEGORY
    document = owners[file].read_file(file)
    return None if document in siblings else f"lacks the {document} that is made from it"


def _reason_by_content(clone: Repository, category: CategoryDescriptor, file: str, found: TreeFile) -> str | None:
    if not found.is_regular:
        return "is no regular file"
    try:
        kind_of(category, file).parse(clone.read_blob(found.blob))
    except DocumentError as problem:
        return str(problem)
    return None


def _checked_pattern(clone: Repository, tip: str, category: CategoryDescriptor, pattern: str) -> str:
    view = at_commit(clone, tip, Versions(clone.read_blob, editable=False))
    if not view.matching(pattern):
        raise CloneError(f"{clone.path}: branch {clone.branch!r} has no file {pattern!r}, which --category names")
    try:
        records_at(view, category, pattern)
    except DocumentError as problem:
        raise CloneError(f"{clone.path}: {problem}; it cannot be a file of {category.category}") from None
    return pattern


def _checked(clone: Repository, tip: str, category: CategoryDescriptor, file: str) -> str:
    if is_pattern(file):
        return _checked_pattern(clone, tip, category, file)
    found = clone.file_at(tip, file)
    if found is None:
        raise CloneError(f"{clone.path}: branch {clone.branch!r} has no file {file!r}, which --category names")
    document = category.read_file(file)
    if document != file and clone.file_at(tip, document) is None:
        raise CloneError(f"{clone.path}: {file}: lacks the {document} that is made from it")
    if reason := _reason_by_content(clone, category, file, found):
        raise CloneError(f"{clone.path}: {file}: {reason}; it cannot be the file of {category.category}")
    return file
