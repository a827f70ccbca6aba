"""Who asks, before and after they have been recognised."""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from refsync.http.connections import Peer

LONGEST_KEY = 256


@dataclass(frozen=True)
class Caller:
    """What a request shows of who sent it: a key, the other end of its connection, its headers."""

    key: str | None
    peer: Peer
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Person:
    """Somebody, and the provider that vouches for them: the system's ``ada`` and a token's ``ada`` are two."""

    provider: str
    id: str
    username: str


class ProviderAwayError(Exception):
    """A provider cannot say now whether it knows somebody; ``seconds`` until it may be asked again."""

    def __init__(self, reason: str, seconds: float) -> None:
        """Keep when to come back."""
        super().__init__(reason)
        self.seconds = seconds


class Provider(Protocol):
    """Knows some people."""

    name: str
    asks_others: bool
    """Whether it costs others something to be asked."""

    async def identify(self, caller: Caller) -> Person | None:
        """Who it is; ``None`` where the provider does not know them.

        Raises:
            ProviderAwayError: it cannot say.
        """
        ...


def account_name(uid: int) -> str:
    """The login name of a user id; the number itself where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
