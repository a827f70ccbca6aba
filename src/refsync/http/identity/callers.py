"""Who asks, before and after they have been recognised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from refsync.http.connections import Peer
from refsync.pending_queue.models import SYSTEM, Actor

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

    @property
    def actor(self) -> Actor:
        """The same as the queue knows people."""
        os_user = self.id if self.provider == SYSTEM else None  # the kernel has said so
        return Actor(self.id, self.username, os_user, self.provider)


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
