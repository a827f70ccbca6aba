"""The gate: who asks is recognised by the first provider that knows them, or turned away."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from fastapi import Request

from refsync.accounts import account_name
from refsync.config import ServeSettings
from refsync.http.connections import PEER, Peer
from refsync.http.failures import DoorError
from refsync.http.identity.callers import Caller, Person, Provider, ProviderAwayError
from refsync.http.identity.horde import Horde
from refsync.http.identity.limits import FailedAttempts
from refsync.http.identity.local import Proxy, System, Tokens

_UNKNOWN_PEER = Peer("unknown")


class Gate:
    """The providers in their order, and how often each address has failed."""

    def __init__(self, settings: ServeSettings, horde: Horde | None = None) -> None:
        """Ask whom the settings name; ``horde`` in place of the real one."""
        self._proxies = frozenset(settings.proxy_users)
        self.horde = horde or Horde(settings.horde_url)
        known: dict[str, Provider] = {
            "token": Tokens(settings.tokens_file),
            "horde": self.horde,
            "proxy": Proxy(settings.proxy_header, settings.proxy_users),
            "system": System(settings.proxy_users),
        }
        self._providers: Sequence[Provider] = [known[name] for name in settings.identity]
        self._failed = FailedAttempts()

    async def close(self) -> None:
        """Let go of connections."""
        await self.horde.close()

    async def identify(self, caller: Caller) -> Person:
        """Who asks.

        Raises:
            DoorError: nobody knows them (401), they guess too often (429), or a provider cannot say (503).
        """
        address = self._address(caller)
        shut = self._failed.seconds_shut(address)
        away: ProviderAwayError | None = None
        for provider in self._providers:
            if shut and provider.asks_others:
                continue
            try:
                if person := await provider.identify(caller):
                    return person
            except ProviderAwayError as problem:
                away = problem
        raise self._refusal(caller, address, shut, away)

    def _refusal(self, caller: Caller, address: str, shut: float, away: ProviderAwayError | None) -> DoorError:
        if caller.key is None:
            return DoorError(401, "Not authenticated")
        if shut:
            return DoorError(429, "too many failed attempts", {"Retry-After": str(ceil(shut))})
        if away is not None:
            return DoorError(503, "who you are cannot be told now", {"Retry-After": str(ceil(away.seconds))})
        self._failed.note(address)
        return DoorError(401, "Invalid API key")

    def _address(self, caller: Caller) -> str:
        """Where the caller is; of whom a proxy of ours speaks for, what it says of them."""
        if caller.peer.uid is None or account_name(caller.peer.uid) not in self._proxies:
            return caller.peer.address
        return caller.headers.get("x-forwarded-for", "").rpartition(",")[2].strip() or caller.peer.address


def caller_of(request: Request) -> Caller:
    """What a program's request shows of who sent it; its key stands in a header."""
    return Caller(request.headers.get("apikey"), getattr(request.state, PEER, _UNKNOWN_PEER), request.headers)
