"""What the file and the environment say, before it is checked: nested tables that know where a value came from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NamedTuple, cast, get_args

from pydantic import BaseModel

from refsync.config.settings import Config
from refsync.errors import ConfigError
from refsync.plain_text import shortened

PREFIX = "REFSYNC_"
_GUARDING = {
    ("queue", "two_person_review"),
    *(("serve", key) for key in ("identity", "tokens_file", "horde_url", "proxy_header", "proxy_users")),
}
_CREDENTIAL_FILES = ("token_file", "app_key_file", "ssh_key_file", "ssh_known_hosts_file")
Source = Literal["default", "file", "environment"]
Key = tuple[int | str, ...]
"""The way to a value through tables and lists: ``("repository", 0, "path")``."""


class Layers(NamedTuple):
    """The config file's values, and the environment's, which win."""

    path: Path
    file: dict[str, Any]
    environment: dict[str, Any]

    def source(self, key: Key) -> Source:
        """Tell where the value of a key came from."""
        if lookup(self.environment, key) is not None:
            return "environment"
        return "file" if lookup(self.file, key) is not None else "default"

    def place(self, key: Key) -> str:
        """Name a key for a person: file and key, or the variable that set it."""
        if self.source(key) == "environment":
            return variable(key)
        return f"{self.path}: {_dotted(key, self.file)}" if key else str(self.path)

    def merged(self) -> dict[str, Any]:
        """Lay the environment over the file, with relative paths anchored at the config file's folder."""
        merged = dict(self.file)
        for key, value in self.environment.items():
            below = merged.get(key, {})
            if not isinstance(value, dict):
                merged[key] = value
            elif isinstance(below, dict):
                merged[key] = below | value
        if isinstance(entries := merged.get("repository"), list):
            merged["repository"] = [_repository_anchored(entry, self.path.parent) for entry in entries]
        if "queue" in merged:
            merged["queue"] = _anchored(merged["queue"], "password_file", self.path.parent)
        if isinstance(targets := merged.get("notify"), list):
            merged["notify"] = [_anchored(target, "secret_file", self.path.parent) for target in targets]
        if "serve" in merged:
            for key in ("socket", "tokens_file"):
                merged["serve"] = _anchored(merged["serve"], key, self.path.parent)
        anchored: dict[str, Any] = _anchored(merged, "state_directory", self.path.parent)
        return anchored


def read_layers(text: str, path: Path, environ: Mapping[str, str]) -> Layers:
    """Parse a config file's text, and take the settings from the environment.

    Raises:
        ConfigError: the text is no TOML.
    """
    try:
        return Layers(path, tomllib.loads(text), _from_environment(environ))
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{path}: is no valid TOML: {shortened(str(problem))}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply; no key of it goes deeper than a table in a list") from None


def scalar_keys() -> Iterator[tuple[str, ...]]:
    """List the keys outside ``[[repository]]``, ``[[category]]`` and ``[[notify]]``."""
    for name, field in Config.model_fields.items():
        if table := table_in(field.annotation):
            yield from ((name, inner) for inner in table.model_fields)
        elif name not in ("repositories", "category_tables", "notify"):
            yield (name,)


def is_for_file_only(key: Key) -> bool:
    """Whether the environment must not set a key: what guards against people cannot be theirs to switch off."""
    return key[0] in ("people", "guard") or key in _GUARDING


def table_in(annotation: Any) -> type[BaseModel] | None:
    """The table that a field holds, or may hold; ``None`` where it holds none."""
    for each in get_args(annotation) if isinstance(annotation, UnionType) else [annotation]:
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None


def variable(key: Key) -> str:
    """Name the environment variable of a key."""
    return PREFIX + "__".join(map(str, key)).upper()


def lookup(tables: Any, key: Iterable[int | str]) -> Any:
    """Get a value from nested tables and lists; ``None`` where there is none."""
    for part in key:
        try:
            tables = tables[part]
        except (KeyError, IndexError, TypeError):
            return None
    return tables


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    keys = (key for key in scalar_keys() if not is_for_file_only(key))
    names = [name for name in map(variable, keys) if name in environ]
    if not names:
        return {}
    from pydantic_settings import BaseSettings, EnvSettingsSource  # slow to import, and rarely needed

    # It asks a class for its fields alone.
    source = EnvSettingsSource(cast(type[BaseSettings], Config), env_prefix=PREFIX, env_nested_delimiter="__")
    source.env_vars = {name.lower(): environ[name] for name in names}
    return source()


def _repository_anchored(entry: Any, folder: Path) -> Any:
    entry = _anchored(entry, "path", folder)
    if not isinstance(entry, dict) or "credentials" not in entry:
        return entry
    credentials = entry["credentials"]
    for key in _CREDENTIAL_FILES:
        credentials = _anchored(credentials, key, folder)
    return entry | {"credentials": credentials}


def _anchored(table: Any, key: str, folder: Path) -> Any:
    path = table.get(key) if isinstance(table, dict) else None
    if not isinstance(path, str) or not path or path.startswith("~"):
        return table
    return table | {key: str(folder / path)}


def _dotted(key: Key, file: dict[str, Any]) -> str:
    """Write a key with dots; a repository goes by its name where it has one."""
    text = ""
    for position, part in enumerate(key):
        if isinstance(part, int):
            name = lookup(file, (*key[: position + 1], "name"))
            named = position == 1 and isinstance(name, str) and re.fullmatch(r"\w[\w.-]*", name)
            text += f".{name}" if named else f"[{part + 1}]"
        else:
            text += f".{part}" if re.fullmatch(r"[\w-]+", part) else f".{part!r}"
    return text.removeprefix(".")
