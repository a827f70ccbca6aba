"""What is wrong with a configuration, in lines for a person: where, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import BaseModel

from refsync.config.faults import FaultsError
from refsync.config.layers import PREFIX, Key, Layers, is_for_file_only, lookup, scalar_keys, table_in, variable
from refsync.config.notify import NotifySettings
from refsync.config.ownership import NO_REPOSITORY
from refsync.config.repository import RepositorySettings
from refsync.config.rules import RulesTable
from refsync.config.settings import Config, OwnCategory
from refsync.config.values import nearest, shown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CONFIG_VARIABLE = "REFSYNC_CONFIG"
_NOT_SETTINGS = {CONFIG_VARIABLE, "REFSYNC_TEST_DATA", "REFSYNC_TEST_STORE", "REFSYNC_URL", "REFSYNC_TOKEN"}

Problem = tuple[str, str]
"""Where, and why."""

_LISTED: Mapping[int | str, type[BaseModel]] = {"category": OwnCategory, "notify": NotifySettings}
"""The tables that a list of the config file has, beside ``[[repository]]``."""

_REASONS = {
    "missing": "is required",
    "bool_type": "must be true or false, not {input}",
    "bool_parsing": "must be true or false, not {input}",
    "float_type": "must be a number, not {input}",
    "float_parsing": "must be a number, not {input}",
    "finite_number": "must be a finite number, not {input}",
    "greater_than_equal": "must be at least {ge:g}, not {input}",
    "less_than_equal": "must be at most {le:g}, not {input}",
    "greater_than": "must be more than {gt:g}, not {input}",
    "string_type": "must be a string, not {input}",
    "path_type": "must be a string, not {input}",
    "tuple_type": "must be a list, not {input}",
    "model_type": "must be a table, not {input}",
    "mapping_type": "must be a table, not {input}",
    "literal_error": "must be {expected}, not {input}",
    "enum": "must be {expected}, not {input}",
}


def unknown_variables(environ: Mapping[str, str]) -> Iterator[Problem]:
    """Find the ``REFSYNC_`` variables that set nothing."""
    keys = list(scalar_keys())
    known = [CONFIG_VARIABLE, *(variable(key) for key in keys if not is_for_file_only(key))]
    guarding = {variable(key): ".".join(key) for key in keys if is_for_file_only(key)}
    for name in environ:
        if not name.startswith(PREFIX) or name in known or name in _NOT_SETTINGS:
            continue
        if name in guarding:
            yield name, f"{guarding[name]} is set in the config file only"
            continue
        if name.startswith(f"{PREFIX}REPOSITORY"):
            yield name, "a repository cannot be set by environment; edit the config file"
        else:
            yield name, f"is no known variable{nearest(name, known)}"


def mistyped(layers: Layers) -> Iterator[Problem]:
    """Find text in the file where a number or a truth value belongs; only the environment writes those as text."""
    for key in scalar_keys():
        value = lookup(layers.file, key)
        wanted = _table_at(key[:-1]).model_fields[key[-1]].annotation
        if wanted is float and value is not None and type(value) not in (int, float):
            yield f"{layers.path}: {'.'.join(key)}", f"must be a number, not {shown(value)}"
        if wanted is bool and value is not None and type(value) is not bool:
            yield f"{layers.path}: {'.'.join(key)}", f"must be true or false, not {shown(value)}"


def explain(error: ErrorDetails, layers: Layers) -> Iterator[Problem]:
    """Put one of pydantic's errors in our own words."""
    key = _key(error["loc"])
    context = error.get("ctx", {})
    if isinstance(faults := context.get("error"), FaultsError):
        yield from ((layers.place((*key, *fault.key)), fault.reason) for fault in faults.faults)
    elif error["type"] == "value_error":
        yield layers.place(key), str(context["error"])
    elif error["type"] == "extra_forbidden":
        yield layers.place(key), f"is no known key{nearest(str(key[-1]), _names_near(key))}"
    elif key == ("repository",):
        yield layers.place(key), NO_REPOSITORY
    else:
        reason = _REASONS.get(error["type"], "{msg}")
        if "credentials" in key or key[0] == "notify":  # somebody may have put the secret itself there
            reason = reason.removesuffix(", not {input}")
        yield layers.place(key), reason.format(msg=error["msg"], input=shown(error["input"]), **context)


def _key(location: Key) -> Key:
    """Where pydantic found it, without its own words: which kind of ``[[category]]`` it took a table for is one."""
    key = tuple(part for part in location if part != "[key]")
    return (*key[:2], *key[3:]) if key[:1] == ("category",) else key


def _table_at(key: Key) -> type[BaseModel]:
    """Find the class that describes a table of the config file."""
    if not key:
        return Config
    if key[0] == "repository" and len(key) < 3:
        return RepositorySettings
    if key[0] == "category" and key[2:3] == ("rules",):
        return RulesTable
    if key[0] in _LISTED:
        return _LISTED[key[0]]
    owner, name = (RepositorySettings, key[2]) if key[0] == "repository" else (Config, key[0])
    inner = table_in(owner.model_fields[str(name)].annotation)
    assert inner is not None
    deeper = inner.model_fields.get(str(key[-1])) if key[0] != "repository" and len(key) > 1 else None
    return (table_in(deeper.annotation) if deeper else None) or inner


def _names_near(key: Key) -> list[str]:
    """List the keys that may stand in this table, and those of this very name that stand in another one."""
    own = [field.alias or name for name, field in _table_at(key[:-1]).model_fields.items()]
    return [*own, *(".".join(other) for other in scalar_keys() if other[-1] == key[-1])]
