"""What the config says of a clone that somebody asks about, if there is a config."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from refsync.clone.revisions import common_directory
from refsync.config import Config, RepositorySettings, find_config_file, load_config
from refsync.config.problems import CONFIG_VARIABLE
from refsync.config.repository_file import NAME, parse_repository_file
from refsync.config.rules import rules_of
from refsync.config.settings import ProbeSettings
from refsync.errors import ConfigError, RequestError
from refsync.reference.snapshot import Snapshot, at_revision, versions_of
from refsync.review.conventions import USUAL, Conventions


class ConfigPlace(NamedTuple):
    """Where a config is looked for: the file that is asked for, and the environment, which may name one."""

    file: Path | None
    environ: Mapping[str, str]


def conventions_of(place: ConfigPlace, clone: Path) -> Conventions:
    """What holds in a clone.

    The config that somebody asks for, or that the environment names, is taken at its word: with one repository it is
    about that, wherever the clone is. One that is found by default counts where it names this clone.

    Raises:
        ConfigError: something is wrong in the config, or it names several repositories and not this clone.
    """
    asked = bool(place.file or place.environ.get(CONFIG_VARIABLE))
    path = _config_file(place, asked)
    if path is None:
        return USUAL
    config = load_config(path, place.environ)
    repository = _repository_at(clone, config.repositories)
    if repository is None and asked:
        if len(config.repositories) > 1:
            names = ", ".join(each.name for each in config.repositories)
            raise ConfigError(f"{path}: none of its repositories ({names}) is the clone {clone}; name another config")
        repository = config.repositories[0]
    return USUAL if repository is None else _conventions(path, config, repository)


def with_repository_file(conventions: Conventions, snapshot: Snapshot | None) -> Conventions:
    """The same with what the repository itself says in a revision, if it says anything.

    Raises:
        ConfigError: something is wrong in its file.
    """
    if snapshot is None or not snapshot.has_file(NAME):
        return conventions
    said = parse_repository_file(snapshot.read(NAME), f"{NAME} in {snapshot.name}")
    descriptors = (each.descriptor for each in said.own_categories)
    return conventions.with_own(descriptors, frozenset(said.check.switched_off), rules_of(said.category_tables))


def conventions_at_head(place: ConfigPlace, clone: Path) -> Conventions:
    """What holds in a clone, by what is checked out, too.

    Raises:
        ConfigError: as :func:`conventions_of` does, and for the repository's own file.
    """
    try:
        head = at_revision(versions_of(clone), clone, "HEAD", ("",))
    except RequestError:  # before the first commit
        head = None
    return with_repository_file(conventions_of(place, clone), head)


def probe_settings(place: ConfigPlace) -> ProbeSettings:
    """How hosts are asked, by the config in force, or without one as usual.

    Raises:
        ConfigError: something is wrong in the config.
    """
    path = _config_file(place, bool(place.file or place.environ.get(CONFIG_VARIABLE)))
    return ProbeSettings() if path is None else load_config(path, place.environ).probe


def _config_file(place: ConfigPlace, asked: bool) -> Path | None:
    """The config file; one that nobody asked for and that this user may not read is none."""
    try:
        path = find_config_file(place.file, place.environ)
    except ConfigError:
        if asked:
            raise
        return None
    return path if asked or os.access(path, os.R_OK) else None


def _repository_at(clone: Path, repositories: Sequence[RepositorySettings]) -> RepositorySettings | None:
    """The repository of a clone, or of the clone that a linked work tree belongs to."""
    there = {os.path.realpath(clone), os.path.realpath(common_directory(clone))}
    for each in repositories:
        if there & {os.path.realpath(each.path), os.path.realpath(each.path / ".git")}:
            return each
    return None


def _conventions(path: Path, config: Config, repository: RepositorySettings) -> Conventions:
    return Conventions(
        files=repository.files,
        layout=repository.layout,
        tables=repository.tables,
        listed=repository.categories,
        critical=repository.critical_fields,
        switched_off=frozenset(repository.check.switched_off),
        rules=config.rules,
        source=str(path),
        catalogue=repository.catalogue,
    )
