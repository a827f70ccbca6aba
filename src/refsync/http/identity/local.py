"""The providers that need nobody else: tokens, the machine's own users, and a reverse proxy on the machine."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from loguru import logger

from refsync.accounts import account_name
from refsync.errors import ConfigError
from refsync.http.identity.callers import Caller, Person, ProviderAwayError
from refsync.pending_queue.models import SYSTEM
from refsync.pending_queue.payloads import check_line
from refsync.tokens import PROVIDER, TokensFile, hash_of

_LONGEST_ID = 255


class Tokens:
    """People who show a token of the tokens file."""

    name = PROVIDER
    asks_others = False

    def __init__(self, path: Path) -> None:
        self._file = TokensFile(path)

    async def identify(self, caller: Caller) -> Person | None:
        """By the key."""
        if caller.key is None:
            return None
        try:
            token = self._file.by_hash().get(hash_of(caller.key))
        except ConfigError as problem:
            logger.warning("no token can be looked up: {}", problem)
            raise ProviderAwayError(str(problem), 60.0) from None
        return None if token is None else Person(self.name, token.id, token.username)


class System:
    """The machine's own users, on the Unix socket, where the kernel says who they are."""

    name = SYSTEM
    asks_others = False

    def __init__(self, proxies: Collection[str]) -> None:
        self._proxies = frozenset(proxies)

    async def identify(self, caller: Caller) -> Person | None:
        """By the peer; a reverse proxy speaks for others, never for itself."""
        if caller.peer.uid is None or caller.key is not None:
            return None
        name = account_name(caller.peer.uid)
        return None if name in self._proxies else Person(self.name, name, name)


class Proxy:
    """People whom a reverse proxy on this machine has let in, and names in a header; believed only of its own user."""

    name = "proxy"
    asks_others = False

    def __init__(self, header: str, proxies: Collection[str]) -> None:
        self._header = header.lower()
        self._proxies = frozenset(proxies)

    async def identify(self, caller: Caller) -> Person | None:
        """By the header."""
        given = caller.headers.get(self._header)
        if not given or caller.peer.uid is None or account_name(caller.peer.uid) not in self._proxies:
            return None
        try:
            name = check_line(self._header, given.encode("latin-1").decode(), limit=_LONGEST_ID)
        except ValueError:
            return None
        return Person(self.name, name, name)
