"""What the config says of a clone that a command looks at, if there is a config."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from refsync.cli.context import Context, context_of

if TYPE_CHECKING:
    from refsync.config.settings import Config, RepositorySettings
    from refsync.review.conventions import Conventions


def conventions_of(ctx: typer.Context, clone: Path) -> Conventions:
    """What holds in a clone.

    The config that ``--config`` or the environment names is taken at its word: with one repository it is about that,
    wherever the clone is. One that is found by default counts where it names this clone.

    Raises:
        ConfigError: something is wrong in the config, or it names several repositories and not this clone.
    """
    from refsync.config import load_config
    from refsync.errors import ConfigError
    from refsync.review.conventions import USUAL

    context = context_of(ctx)
    path, asked = _config_file(context)
    if path is None:
        return USUAL
    config = load_config(path, os.environ)
    repository = _repository_at(clone, config.repositories)
    if repository is None and asked:
        if len(config.repositories) > 1:
            names = ", ".join(each.name for each in config.repositories)
            raise ConfigError(f"{path}: none of its repositories ({names}) is the clone {clone}; name another config")
        repository = config.repositories[0]
    return USUAL if repository is None else _conventions(path, config, repository)


def _config_file(context: Context) -> tuple[Path | None, bool]:
    """The config file, and whether somebody asked for it; one that this user may not read is none."""
    from refsync.config.problems import CONFIG_VARIABLE
    from refsync.errors import ConfigError

    asked = bool(context.config_file or os.environ.get(CONFIG_VARIABLE))
    try:
        path = context.found_config_file()
    except ConfigError:
        if asked:
            raise
        return None, False
    return (path if asked or os.access(path, os.R_OK) else None), asked


def _repository_at(clone: Path, repositories: Sequence[RepositorySettings]) -> RepositorySettings | None:
    """The repository of a clone, or of the clone that a linked work tree belongs to."""
    from refsync.clone.revisions import common_directory

    there = {os.path.realpath(clone), os.path.realpath(common_directory(clone))}
    for each in repositories:
        if there & {os.path.realpath(each.path), os.path.realpath(each.path / ".git")}:
            return each
    return None


def _conventions(path: Path, config: Config, repository: RepositorySettings) -> Conventions:
    from refsync.review.conventions import Conventions

    return Conventions(
        files=repository.files,
        tables=repository.tables,
        listed=repository.categories,
        critical=repository.critical_fields,
        switched_off=frozenset(repository.check.switched_off),
        source=str(path),
    )
