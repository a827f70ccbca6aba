"""What every command starts from: the global options, and the parts when a command needs them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from refsync.application import Application
    from refsync.categories import CategoryName
    from refsync.config import Config
    from refsync.use_cases.conventions import ConfigPlace


@dataclass(frozen=True)
class Context:
    """The global options of one call."""

    config_file: Path | None = None
    verbose: bool = False

    def found_config_file(self) -> Path:
        """The config file in force.

        Raises:
            ConfigError: there is none.
        """
        from refsync.config import find_config_file

        return find_config_file(self.config_file, os.environ)

    def config_place(self) -> ConfigPlace:
        """Where a config is looked for, by commands that can do without."""
        from refsync.use_cases.conventions import ConfigPlace

        return ConfigPlace(self.config_file, os.environ)

    def config(self) -> Config:
        """The checked settings.

        Raises:
            ConfigError: there are none, or something in them is wrong.
        """
        return self._config

    @cached_property
    def _config(self) -> Config:
        from refsync.config import load_config

        return load_config(self.config_file, os.environ)

    def category(self, name: str) -> CategoryName:
        """The category of this name.

        Raises:
            ConfigError: as :meth:`config`.
            UnknownCategoryError: there is none.
        """
        return self.config().catalogue.parse(name)

    @contextmanager
    def application(self) -> Iterator[Application]:
        """The parts put together, closed at the end."""
        from refsync.application import open_application

        with open_application(self.config()) as application:
            yield application


def context_of(ctx: typer.Context) -> Context:
    """The global options that the call began with."""
    found = ctx.find_object(Context)
    return found if found is not None else Context()
