"""The tokens that people show at the door: a file of lines, each one the hash of a token and whose it is.

Lines are only ever added, so that no writer can lose what another one wrote: a token is made by one line, and the
tokens of a person end with another one. A token itself is kept nowhere; it is random, so its hash needs no salt.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from loguru import logger
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from refsync.deferred import Deferred
from refsync.errors import ConfigError, RequestError

PROVIDER = "token"
"""Who vouches for people that show a token."""
_PREFIX = "refsync_"
_SECRET_BYTES = 32
_FILE_MODE = 0o640
_OTHERS_WRITE = 0o002


_Moment = Annotated[int, Field(ge=0, lt=2**62)]


class Token(Deferred):
    """A token that is good: whose it is, and what they may be. ``made_at`` in Unix seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    id: str
    username: str
    role: str
    made_at: _Moment


class _End(Deferred):
    """All tokens of a person so far have ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revoked: str
    revoked_at: _Moment


def hash_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def read_tokens(path: Path) -> dict[str, Token]:
    """The tokens that are good, by their hash; none where there is no file.

    Raises:
        ConfigError: the file cannot be read, a line of it makes no sense, or anybody may write it.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS_WRITE:
                raise ConfigError(f"{path}: anybody may write it, and so let themselves in: chmod o-w {path}")
            content = file.read()
    except FileNotFoundError:
        return {}
    except OSError as problem:
        raise ConfigError(f"{path}: the tokens cannot be read: {problem.strerror}") from None
    tokens: dict[str, Token] = {}
    for entry in _entries(path, content):
        if isinstance(entry, Token):
            tokens[entry.sha256] = entry
        else:
            tokens = {key: each for key, each in tokens.items() if each.id != entry.revoked}
    return tokens


class TokensFile:
    """The tokens of a file, which is read again when it has changed; for many threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[tuple[int, ...], dict[str, Token]] | None = None
        self._told = ""

    def by_hash(self) -> dict[str, Token]:
        """The tokens that are good, by their hash.

        Raises:
            ConfigError: as :func:`read_tokens` does.
        """
        state = _state_of(self._path)
        if self._seen is None or self._seen[0] != state:
            self._seen = state, read_tokens(self._path)
        return self._seen[1]

    def good(self) -> list[Token]:
        """The tokens that are good; none, which is logged once, while the file cannot be read."""
        try:
            found = list(self.by_hash().values())
        except ConfigError as problem:
            if str(problem) != self._told:
                logger.warning("nobody's token counts: {}", problem)
            self._told = str(problem)
            return []
        self._told = ""
        return found


def _state_of(path: Path) -> tuple[int, ...]:
    """What tells one version of the file from the next; nothing where it cannot be told."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)


def add_token(path: Path, *, id: str, username: str, role: str) -> str:
    """Make a token for somebody, and give it; it cannot be had again.

    Raises:
        ConfigError: the file cannot be read or written.
    """
    read_tokens(path)  # what makes no sense is told before anything is added to it
    token = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    made = Token(sha256=hash_of(token), id=id, username=username, role=role, made_at=int(time.time()))
    _append(path, made)
    return token


def revoke_tokens(path: Path, id: str) -> int:
    """End every token of a person; how many there were.

    Raises:
        RequestError: they have none.
        ConfigError: the file cannot be read or written.
    """
    ended = sum(each.id == id for each in read_tokens(path).values())
    if not ended:
        raise RequestError(f"{path} has no token of {id!r}; refsync token list names who has one")
    _append(path, _End(revoked=id, revoked_at=int(time.time())))
    return ended


def _entries(path: Path, content: bytes) -> Iterator[Token | _End]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            given = json.loads(line)
            json.dumps(given, ensure_ascii=False).encode()  # no lone surrogate, which nobody could show or keep
            yield _End(**given) if "revoked" in given else Token(**given)
        except (ValueError, TypeError, RecursionError, ValidationError):
            raise ConfigError(
                f"{path}: line {number} is no token; delete the line, and nobody is let in by it"
            ) from None


def _append(path: Path, entry: BaseModel) -> None:
    """Add a line behind the last one, even if a crash has cut that off."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, _FILE_MODE)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"{path}: is no file; name another one in serve.tokens_file")
            torn = status.st_size and os.pread(descriptor, 1, status.st_size - 1) != b"\n"
            file.write(b"\n" * bool(torn) + entry.model_dump_json().encode() + b"\n")
            os.fsync(descriptor)
    except OSError as problem:
        advice = "set serve.tokens_file to a file that you may write, or use sudo"
        raise ConfigError(f"{path}: the token cannot be written: {problem.strerror}; {advice}") from None
