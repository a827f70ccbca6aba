"""The settings: whether they are good, and which are in force."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from refsync.categories import CategoryName
from refsync.clone.repository import Repository
from refsync.config import Config, RepositorySettings, find_config_file, load_config, sources
from refsync.errors import ConfigError, RefsyncError
from refsync.file_patterns import is_pattern
from refsync.use_cases.answer import Answer, Text
from refsync.use_cases.conventions import ConfigPlace


class ConfigVerdict(Answer):
    """Whether the settings are good: a line for each mistake, with its key and reason.

    ``categories`` counts, by the repository's name, those that it holds; they are no part of the JSON.
    """

    file: Text | None
    valid: bool
    problems: list[Text]
    categories: dict[str, int] = Field(default_factory=dict, exclude=True)


class SettingInForce(Answer):
    """A setting's value, and where it came from: default, file or environment."""

    value: Any
    source: str


class ConfigInForce(Answer):
    """Every setting in force, by its dotted key."""

    file: Text
    settings: dict[Text, SettingInForce]


def check_config(place: ConfigPlace) -> ConfigVerdict:
    """Check the config file and the environment's variables.

    A mistake is also a category file that the config lists and its clone, if it is there, has not.
    """
    path: Path | None = None
    try:
        path = find_config_file(place.file, place.environ)
        config = load_config(path, place.environ)
        if missing := list(_missing_files(path, config)):
            raise ConfigError(*missing)
    except ConfigError as error:
        return ConfigVerdict(file=path and str(path), valid=False, problems=list(error.problems))
    held = {repository.name: len(repository.files) for repository in config.repositories}
    return ConfigVerdict(file=str(path), valid=True, problems=[], categories=held)


def show_config(place: ConfigPlace) -> ConfigInForce:
    """Every setting in force and where it came from.

    Raises:
        ConfigError: something is wrong in the settings.
    """
    path = find_config_file(place.file, place.environ)
    settings = sources(path, place.environ)
    return ConfigInForce(
        file=str(path),
        settings={key: SettingInForce(value=value, source=source) for key, (value, source) in settings.items()},
    )


def _missing_files(path: Path, config: Config) -> Iterator[str]:
    """A line for each category file that is listed and is not in its clone: neither at the branch's tip nor by hand."""
    for repository in config.repositories:
        for category, file in missing_files(repository).items():
            key = f"{path}: repository.{repository.name}.categories.{category}"
            yield f"{key}: {repository.path} has no file {file!r}; correct the name, or add the file"


def missing_files(repository: RepositorySettings) -> dict[CategoryName, str]:
    """The files that the config lists and the clone has neither at the branch's tip nor in its work tree."""
    listed = repository.categories.items() if repository.path.is_dir() else ()
    return {category: file for category, file in listed if not _has_file(repository, file)}


def _has_file(repository: RepositorySettings, file: str) -> bool:
    if is_pattern(file) or (repository.path / file).is_file():
        return True
    try:
        with Repository(repository.path, repository.branch) as clone:
            return clone.file_at(clone.tip(), file) is not None  # a sparse clone need not have it in its work tree
    except RefsyncError:
        return False
