"""Tokens made, listed and ended."""

from __future__ import annotations

from refsync import tokens
from refsync.config import Config
from refsync.errors import RequestError
from refsync.pending_queue.payloads import check_line
from refsync.use_cases.answer import Answer, AnswerOf

ROLES = ("requestor", "approver")
_LONGEST = 255


class NewToken(Answer):
    """A token, told this once, and whose it is."""

    id: str
    username: str
    role: str
    file: str
    token: str


class TokenHolder(Answer):
    """Somebody who has a token, without it."""

    id: str
    username: str
    role: str
    made_at: int


class TokenHolders(AnswerOf[list[TokenHolder]]):
    """Every token that is good, the oldest first."""


class EndedTokens(Answer):
    """How many tokens of somebody ended."""

    id: str
    ended: int


def add_token(config: Config, id: str, *, username: str | None, role: str) -> NewToken:
    """Make a token for somebody.

    Raises:
        RequestError: there is no such role, or the id or name cannot be used.
        ConfigError: the file of tokens cannot be used.
    """
    if role not in ROLES:
        raise RequestError(f"unknown role {role!r}; it is one of {', '.join(ROLES)}")
    holder = check_line("id", id, limit=_LONGEST)
    name = check_line("username", id if username is None else username, limit=_LONGEST)
    token = tokens.add_token(config.serve.tokens_file, id=holder, username=name, role=role)
    return NewToken(id=holder, username=name, role=role, file=str(config.serve.tokens_file), token=token)


def list_tokens(config: Config) -> TokenHolders:
    """Who has a token.

    Raises:
        ConfigError: the file of tokens cannot be used.
    """
    found = tokens.read_tokens(config.serve.tokens_file).values()
    return TokenHolders([TokenHolder(**each.model_dump(exclude={"sha256"})) for each in found])


def revoke_tokens(config: Config, id: str) -> EndedTokens:
    """End every token of somebody, at once.

    Raises:
        RequestError: they have none.
        ConfigError: the file of tokens cannot be used.
    """
    return EndedTokens(id=id, ended=tokens.revoke_tokens(config.serve.tokens_file, id))
