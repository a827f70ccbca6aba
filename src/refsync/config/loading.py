"""From a file and an environment to a checked :class:`Config`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from refsync.categories import SPECIFIED, Catalogue
from refsync.config.layers import Layers, Source, lookup, read_layers, scalar_keys
from refsync.config.problems import CONFIG_VARIABLE, explain, mistyped, unknown_variables
from refsync.config.repository import RepositorySettings
from refsync.config.rules import is_of_specified
from refsync.config.settings import Config, OwnCategory
from refsync.config.unasked import check_unasked
from refsync.errors import ConfigError

_DEFAULT_PLACES = ("./refsync.toml", "/etc/refsync/refsync.toml")
STORE_KEYS = ("url", "password_file", "password_variable", "password_credential")
"""The keys of ``[queue]`` that say where the queue is kept, and what lets in."""
_RESTART_KEYS = (("state_directory",), *(("queue", key) for key in STORE_KEYS))


def find_config_file(explicit: Path | None, environ: Mapping[str, str]) -> Path:
    """Find the config file: the one asked for, ``REFSYNC_CONFIG``, ``./refsync.toml``, ``/etc/refsync/refsync.toml``.

    Raises:
        ConfigError: the file asked for is not there, or none is, or one that nobody asked for may be somebody else's.
    """
    asked = str(explicit or "") or environ.get(CONFIG_VARIABLE, "")
    for place in [asked] if asked else _DEFAULT_PLACES:
        if os.path.exists(place):
            found = Path(os.path.abspath(place))
            if not asked:
                check_unasked(found)
            return found
    advice = "`refsync init PATH` writes one for the clone at PATH"
    if not asked:
        raise ConfigError(f"no config file: looked for {' and '.join(_DEFAULT_PLACES)}; {advice}")
    said_by = "--config" if explicit else CONFIG_VARIABLE
    raise ConfigError(f"{asked}: there is no such config file ({said_by} names it); {advice}")


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read and check the settings.

    Args:
        path: the config file; ``None`` looks where :func:`find_config_file` does.
        environ: the environment; its ``REFSYNC_`` variables win over the file.

    Raises:
        ConfigError: the file cannot be read, or something in it or in the environment is wrong.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "refsync.toml")
        ...     _ = file.write_text("repository = [{ name = 'image', path = 'image' }]")
        ...     config = load_config(file, {"REFSYNC_LOG__LEVEL": "DEBUG"})
        >>> config.repositories[0].name, config.log.level
        ('image', 'DEBUG')
    """
    found = find_config_file(path, environ)
    return parse_config(_read(found), found, environ)


def parse_config(text: str, path: Path, environ: Mapping[str, str]) -> Config:
    """Check settings given as TOML text.

    Args:
        text: the content of a config file.
        path: where it stands or will stand, absolute; relative paths in it start at its folder.
        environ: the environment; its ``REFSYNC_`` variables win over the text.

    Raises:
        ConfigError: something in the text or in the environment is wrong.
    """
    return _checked(read_layers(text, path, environ), environ)


def sources(config_path: Path | None, environ: Mapping[str, str]) -> dict[str, tuple[Any, Source]]:
    """List every setting in force by its dotted key: the value as plain JSON, and where it came from.

    A repository's keys stand under ``repository.NAME``; its ``categories`` are the files that changes are written
    to, of every category that it holds. A target's keys stand under ``notify.NAME``.
    A password in a URL is masked.

    Raises:
        ConfigError: as :func:`load_config`.
    """
    path = find_config_file(config_path, environ)
    layers = read_layers(_read(path), path, environ)
    return dict(_values(_checked(layers, environ), layers))


def restart_keys(old: Config, new: Config) -> list[str]:
    """List the keys that differ and take effect only at the next start."""
    before, after = old.model_dump(), new.model_dump()
    return [".".join(key) for key in _RESTART_KEYS if lookup(before, key) != lookup(after, key)]


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode().removeprefix("\ufeff")  # the mark that some editors put in front
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path}: byte {problem.start + 1} is not UTF-8; save the file as UTF-8") from None
    except OSError as problem:
        raise ConfigError(f"{path}: cannot be read: {problem.strerror}") from None


def _checked(layers: Layers, environ: Mapping[str, str]) -> Config:
    problems = dict(unknown_variables(environ)) | dict(mistyped(layers))
    try:
        values = layers.merged()
        config = Config(_catalogue(values.get("category")), **values)
    except ValidationError as error:
        for place, reason in (problem for details in error.errors() for problem in explain(details, layers)):
            problems.setdefault(place, reason)
    if problems:
        raise ConfigError(*(" ".join(f"{place}: {reason}".split()) for place, reason in problems.items()))
    return config


def _catalogue(tables: Any) -> Catalogue:
    """The specification's categories with those of the config; what is wrong in one is told where it is checked."""
    own = []
    for table in tables if isinstance(tables, list) else ():
        if is_of_specified(table):
            continue
        with suppress(ValidationError):
            own.append(OwnCategory.model_validate(table).descriptor)
    return SPECIFIED.with_own(own)


def _values(config: Config, layers: Layers) -> Iterator[tuple[str, tuple[Any, Source]]]:
    dump = config.model_dump(mode="json")
    for key in scalar_keys():
        value = lookup(dump, key)
        yield ".".join(key), (_masked(value) if key == ("queue", "url") else value, layers.source(key))
    for index, repository in enumerate(config.repositories):
        for inner, value in _repository_values(repository):
            source = layers.source(("repository", index, *inner))
            yield f"repository.{repository.name}.{'.'.join(inner)}", (value, source)
    for index, target in enumerate(config.notify):
        for name, setting in target.model_dump(mode="json").items():
            value = _masked(setting) if name == "url" else setting
            yield f"notify.{target.name}.{name}", (value, layers.source(("notify", index, name)))


def _repository_values(repository: RepositorySettings) -> Iterator[tuple[tuple[str, ...], Any]]:
    plain = repository.model_dump(mode="json", exclude={"categories", "critical_fields"})
    for name, value in (plain | {"stamp_records": repository.stamps}).items():
        if isinstance(value, dict):
            yield from (((name, inner), setting) for inner, setting in value.items())
        else:
            yield (name,), value
    for category, files in repository.files.items():
        yield ("categories", category), repository.tables.get(category, files[repository.format])
    for category, fields in repository.critical_fields.items():
        yield ("critical_fields", category), list(fields)


def _masked(url: str) -> str:
    without = re.sub(r"://([^/@:]*):.*@", r"://\1:***@", url)
    return re.sub(r"(?i)([?&][^=&]*(?:pass|pwd|secret|token|key)[^=&]*=)[^&]*", r"\1***", without)
