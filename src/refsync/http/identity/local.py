"""The providers that need nobody else: tokens, the machine's own users, and a reverse proxy on the machine."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from refsync.backends.file_state import FileState
from refsync.errors import RefsyncError
from refsync.http.identity.callers import Caller, Person, ProviderAwayError, account_name
from refsync.pending_queue.payloads import check_line
from refsync.tokens import PROVIDER, Token, hash_of, read_tokens

_LONGEST_ID = 255


class Tokens:
    """People who show a token of the tokens file, which is read again when it has changed."""

    name = PROVIDER
    asks_others = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state: FileState | None = None
        self._tokens: dict[str, Token] = {}

    async def identify(self, caller: Caller) -> Person | None:
        """By the key."""
        token = None if caller.key is None else self._read().get(hash_of(caller.key))
        return None if token is None else Person(self.name, token.id, token.username)

    def roles(self, id: str) -> set[str]:
        """What the tokens of somebody say that they are."""
        return {token.role for token in self._read().values() if token.id == id}

    def _read(self) -> dict[str, Token]:
        try:
            state = FileState.of(os.stat(self._path))
        except OSError:
            state = None
        if state is None or state != self._state:
            try:
                self._tokens = read_tokens(self._path)
            except RefsyncError as problem:
                self._state = None
                raise ProviderAwayError(str(problem), 60.0) from None
            self._state = state
        return self._tokens


class System:
    """The machine's own users, on the Unix socket, where the kernel says who they are."""

    name = "system"
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
