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
    from refsync.cli.desk import Desk
    from refsync.client.login import Login
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

    def login(self) -> Login | None:
        """The door that is asked instead of this machine's store, if one is: never with ``--config``.

        Raises:
            RefsyncError: what names it cannot be used.
        """
        from refsync.client.login import login_in_force

        return None if self.config_file else login_in_force(os.environ)

    @contextmanager
    def desk(self, by: str | None = None, username: str | None = None) -> Iterator[Desk]:
        """Where questions are answered: by this machine's store, or by the door.

        Args:
            by: the identity that acts, if it is not oneself.
            username: its display name.

        Raises:
            RequestError: an identity is named at the door, which knows who one is.
        """
        login = self.login()
        if login is None:
            from refsync.cli.desk import Here
            from refsync.cli.options import acting

            actor = acting(by, username)
            with self.application() as application:
                yield Here(application, actor)
            return
        from refsync.client.there import There
        from refsync.errors import RequestError

        if by is not None or username is not None:
            raise RequestError(f"{login.url} knows who you are: leave --by and --username out")
        with There(login) as there:
            yield there

    def check_here(self, command: str) -> None:
        """Refuse what works only where the store is.

        Raises:
            RequestError: a door is asked.
        """
        from refsync.errors import RequestError

        if login := self.login():
            raise RequestError(
                f"{command} does not go through {login.url}; run it where the queue is, with --config FILE"
            )

    @contextmanager
    def application(self) -> Iterator[Application]:
        """The parts put together, closed at the end."""
        from refsync.application import open_application
        from refsync.state_directory import made_for_the_group

        with made_for_the_group(), open_application(self.config()) as application:
            yield application


def context_of(ctx: typer.Context) -> Context:
    """The global options that the call began with."""
    found = ctx.find_object(Context)
    return found if found is not None else Context()
