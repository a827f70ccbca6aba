"""``.refsync.toml``: what a repository itself says of its files, to everyone who looks at a clone of it.

Whoever gets a commit into the repository writes it, so it may say only how files are read, and which checks are left
out where no operator's config speaks of the clone. It names no command, no path outside the clone and no secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from refsync.categories import SPECIFIED
from refsync.config.faults import Fault, FaultsError
from refsync.config.layers import read_layers
from refsync.config.problems import explain
from refsync.config.repository import Table
from refsync.config.settings import CategoryTable, OwnCategory, named_once
from refsync.config.values import CheckRule
from refsync.errors import ConfigError

NAME = ".refsync.toml"
_LARGEST_BYTES = 64 * 1024


class Switches(Table):
    """``[check]``: what ``check`` leaves out."""

    switched_off: tuple[CheckRule, ...] = ()


class RepositoryFile(Table):
    """The whole file."""

    category_tables: Annotated[tuple[CategoryTable, ...], Field(alias="category")] = ()
    check: Switches = Switches()

    @field_validator("category_tables")
    @classmethod
    def _take_no_file_of_others(cls, tables: tuple[CategoryTable, ...]) -> tuple[CategoryTable, ...]:
        if faults := list(_taken(named_once(tables))):
            raise FaultsError(faults)
        return tables

    @property
    def own_categories(self) -> list[OwnCategory]:
        """The categories that are none of the specification's."""
        return [each for each in self.category_tables if isinstance(each, OwnCategory)]


def parse_repository_file(content: bytes, where: str) -> RepositoryFile:
    """Read what a repository says.

    Args:
        content: of the file.
        where: which one it is, for people.

    Raises:
        ConfigError: it is no TOML, too large, or says what it may not.
    """
    if len(content) > _LARGEST_BYTES:
        raise ConfigError(f"{where}: has {len(content)} bytes; at most {_LARGEST_BYTES} are read")
    try:
        layers = read_layers(content.decode(), Path(where), {})
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{where}: byte {problem.start + 1} is not UTF-8; save the file as UTF-8") from None
    if strange := next(_strange_keys(layers.file), None):
        raise ConfigError(f"{where}: {strange} may not stand here, only [[category]] and switched_off of [check] may")
    try:
        return RepositoryFile.model_validate(layers.file)
    except ValidationError as error:
        problems = [problem for details in error.errors() for problem in explain(details, layers)]
        raise ConfigError(*(" ".join(f"{place}: {reason}".split()) for place, reason in problems)) from None


def _strange_keys(said: Mapping[str, Any]) -> Iterator[str]:
    yield from (key for key in said if key not in ("category", "check"))
    check = said.get("check")
    yield from (f"check.{key}" for key in check if key not in Switches.model_fields) if isinstance(check, dict) else ()


def _taken(tables: tuple[CategoryTable, ...]) -> Iterator[Fault]:
    """The files that are those of the specification's categories."""
    usual = {each.v2_file: name for name, each in SPECIFIED.descriptors.items()}
    usual |= {each.legacy_file: name for name, each in SPECIFIED.descriptors.items() if each.legacy_file}
    for place, each in enumerate(tables):
        if isinstance(each, OwnCategory) and each.path in usual:
            yield Fault((place, "file"), f"{each.path} is the file of {usual[each.path]}; give the category its own")
