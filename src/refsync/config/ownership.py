"""Which repository holds which category: each belongs to one."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from refsync.categories import (
    CanonicalFormat,
    Catalogue,
    CategoryName,
    Layout,
    canonical_format,
    is_table,
)
from refsync.config.values import shown

if TYPE_CHECKING:
    from refsync.config.settings import RepositorySettings

Files = Mapping[CategoryName, Mapping[CanonicalFormat, str]]
"""A repository's files, relative to the clone; categories in their own order."""

NO_REPOSITORY = "at least one [[repository]] is needed; `refsync init PATH` writes it"


class Fault(NamedTuple):
    """A mistake that shows only when several keys are seen together; ``key`` starts where the check stands."""

    key: tuple[int | str, ...]
    reason: str


class FaultsError(ValueError):
    """Several faults at once; pydantic hands it on as it is."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = faults
        super().__init__("; ".join(fault.reason for fault in faults))


def files_of(catalogue: Catalogue, layout: Layout, listed: Mapping[CategoryName, str]) -> Files:
    """Put the listed files over the layout's default ones, in the format that the layout writes.

    Of a table that changes are written to, the document that is made from it; it has to be listed.
    """
    files = {}
    for category, descriptor in catalogue.descriptors.items():
        written = canonical_format(layout)
        found = {
            form: file for form, file in descriptor.files(layout).items() if form is not written or not is_table(file)
        }
        if category in listed:
            file = listed[category]
            found[written] = descriptor.read_file(file)
        if found:
            files[category] = MappingProxyType(found)
    return MappingProxyType(files)


def faults_within(repository: RepositorySettings) -> Iterator[Fault]:
    """Find what cannot be right in one repository, whatever the others are."""
    for category in repository.categories:
        if repository.layout is Layout.upstream and repository.catalogue[category].legacy_file is None:
            reason = "has no legacy format; only a clone of layout 'primary' can hold it"
            yield Fault(("categories", category), reason)
    for category, file in repository.categories.items():
        may_be_table = repository.catalogue[category].table is not None and repository.layout is Layout.upstream
        if is_table(file) and not may_be_table:
            named = " and ".join(each for each, known in repository.catalogue.descriptors.items() if known.table)
            reason = (
                f"{shown(file)} is a CSV table, which is written only for {named} of layout 'upstream'; "
                "name a JSON file"
            )
            yield Fault(("categories", category), reason)
    if repository.stamp_records and repository.tables:
        yield Fault(("stamp_records",), "no column of a CSV table holds a stamp; leave it false for this repository")
    for category in repository.critical_fields:
        if category not in repository.files:
            yield Fault(("critical_fields", category), "is a category that this repository does not hold")
    for file, users in _users(repository.files).items():
        if len(users) > 1:
            reason = f"{shown(file)} is the file of {' and of '.join(users)}; give each its own"
            yield Fault(("categories",), reason)


def faults_between(catalogue: Catalogue, repositories: Sequence[RepositorySettings]) -> Iterator[Fault]:
    """Find what several repositories cannot be together."""
    if not repositories:
        yield Fault((), NO_REPOSITORY)
    yield from _same_name(repositories)
    yield from _same_path(repositories)
    yield from _listed_twice(repositories)
    yield from _contested(catalogue, repositories)


def _users(files: Files) -> dict[str, list[str]]:
    users: dict[str, list[str]] = defaultdict(list)
    for category, by_format in files.items():
        for form, file in by_format.items():
            users[file].append(f"{category} ({form})")
    return users


def _same_name(repositories: Sequence[RepositorySettings]) -> Iterator[Fault]:
    names = [repository.name for repository in repositories]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Fault((index, "name"), f"another repository is called {name!r} too; give each its own name")


def _same_path(repositories: Sequence[RepositorySettings]) -> Iterator[Fault]:
    places = [os.path.realpath(repository.path) for repository in repositories]
    for index, place in enumerate(places):
        if place in places[:index]:
            other = repositories[places.index(place)].name
            yield Fault((index, "path"), f"is the clone of repository {other!r} too; one repository serves one clone")


def _listed_twice(repositories: Sequence[RepositorySettings]) -> Iterator[Fault]:
    owners: dict[CategoryName, str] = {}
    for index, repository in enumerate(repositories):
        for category in repository.categories:
            owner = owners.setdefault(category, repository.name)
            if owner is not repository.name:
                reason = f"is listed by repository {owner!r} too; a category belongs to one"
                yield Fault((index, "categories", category), reason)


def _contested(catalogue: Catalogue, repositories: Sequence[RepositorySettings]) -> Iterator[Fault]:
    listed = {category for repository in repositories for category in repository.categories}
    contested: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for category in catalogue:
        holders = tuple(repository.name for repository in repositories if category in repository.files)
        if category not in listed and len(holders) > 1:
            contested[holders].append(category)
    for holders, categories in contested.items():
        reason = (
            f"{' and '.join(map(repr, holders))} both hold by default: {', '.join(categories)}; "
            "list each under [repository.categories] of the one that it belongs to"
        )
        yield Fault((), reason)
