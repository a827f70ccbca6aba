"""Which repository holds which category: each belongs to one."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence

from refsync.categories import (
    Catalogue,
    CategoryName,
)
from refsync.config.faults import Fault
from refsync.config.repository import RepositorySettings

NO_REPOSITORY = "at least one [[repository]] is needed; `refsync init PATH` writes it"


def faults_between(catalogue: Catalogue, repositories: Sequence[RepositorySettings]) -> Iterator[Fault]:
    """Find what several repositories cannot be together."""
    if not repositories:
        yield Fault((), NO_REPOSITORY)
    yield from _same_name(repositories)
    yield from _same_path(repositories)
    yield from _listed_twice(repositories)
    yield from _contested(catalogue, repositories)


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
