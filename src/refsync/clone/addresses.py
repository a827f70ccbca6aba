"""Where a clone's remote is, as its own config says; the machine's settings only say what goes instead of what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_PROMISED = re.compile(r"remote\..*\.(promisor|partialclonefilter)|extensions\.partialclone", re.DOTALL)
_INSTEAD = re.compile(r"url\.(?P<base>.*)\.(?P<kind>insteadof|pushinsteadof)", re.DOTALL)


class Setting(NamedTuple):
    """A setting as git lists it: where it comes from (``"local"``, ``"global"``, ...), its key and its value."""

    scope: str
    key: str
    value: str

    @property
    def is_own(self) -> bool:
        """Whether it stands in the clone's own config."""
        return self.scope in ("local", "worktree")


LIST_SETTINGS = ("config", "-z", "--list", "--show-scope")
"""The git command whose answer :func:`parse_settings` reads."""


def parse_settings(listed: bytes) -> list[Setting]:
    """The settings that git lists, later ones stronger; sections and names are in lower case."""
    tokens = listed.decode(errors="surrogateescape").split("\0")
    pairs = zip(tokens[0:-1:2], (entry.partition("\n") for entry in tokens[1::2]), strict=True)
    return [Setting(scope, key, value if mark else "true") for scope, (key, mark, value) in pairs]


def is_partial(settings: Sequence[Setting]) -> bool:
    """Whether the clone has left out objects that a remote promised to give, so that any git may speak with that."""
    return any(_PROMISED.fullmatch(setting.key) for setting in settings)


def push_addresses(settings: Sequence[Setting], remote: str) -> list[str]:
    """Where to push to, as written in the clone's config; git still puts other beginnings in their place."""
    return _own(settings, f"remote.{remote}.pushurl") or _own(settings, f"remote.{remote}.url")


class Address(NamedTuple):
    """Where a remote is: as the clone's config has it, and as git goes there in the end."""

    written: str
    reached: str


def addresses_of(settings: Sequence[Setting], remote: str) -> list[Address]:
    """Where git fetches from and pushes to."""
    fetched = [Address(url, _instead(settings, url, "insteadof")) for url in _own(settings, f"remote.{remote}.url")]
    if named := _own(settings, f"remote.{remote}.pushurl"):
        pushed = [Address(url, _instead(settings, url, "insteadof")) for url in named]
    else:
        pushed = [Address(url, _pushed_instead(settings, url)) for url in push_addresses(settings, remote)]
    return list(dict.fromkeys([*fetched, *pushed]))


def reached_urls(settings: Sequence[Setting], remote: str) -> list[str]:
    """The URLs that git fetches from and pushes to in the end."""
    return list(dict.fromkeys(address.reached for address in addresses_of(settings, remote)))


def _own(settings: Sequence[Setting], key: str) -> list[str]:
    return [setting.value for setting in settings if setting.is_own and setting.key == key]


def _pushed_instead(settings: Sequence[Setting], url: str) -> str:
    instead = _instead(settings, url, "pushinsteadof")
    return instead if instead != url else _instead(settings, url, "insteadof")


def _instead(settings: Sequence[Setting], url: str, kind: str) -> str:
    """The URL with the longest beginning that is to be replaced, replaced."""
    found = ((setting.value, match) for setting in settings if (match := _INSTEAD.fullmatch(setting.key)))
    fitting = [(start, match["base"]) for start, match in found if match["kind"] == kind and url.startswith(start)]
    if not fitting:
        return url
    start, base = max(fitting, key=lambda pair: len(pair[0]))
    return base + url.removeprefix(start)
