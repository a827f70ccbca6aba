"""Questions asked of a door: the same answers as here, and the same refusals."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from refsync.categories import Catalogue, CategoryName
from refsync.client.login import Login
from refsync.dumping import dump, load
from refsync.errors import RefsyncError, RequestError, TemporaryError
from refsync.use_cases.questions.question import Arguments, Question

_SECONDS = 120.0
_CONNECT_SECONDS = 10.0
_MOST_BYTES = 256 * 1024 * 1024

R = TypeVar("R", bound=BaseModel)
A = TypeVar("A", bound=Arguments)


class DoorAwayError(TemporaryError):
    """The door does not answer, or answers what is none."""


class There:
    """A door; a context manager that hangs up."""

    def __init__(self, login: Login) -> None:
        self._login = login
        path = login.socket
        if path:
            _knock(path, login.url)
        self._client = httpx.Client(
            base_url="http://refsync" if path else login.url,
            transport=httpx.HTTPTransport(uds=str(path)) if path else None,
            headers={"apikey": login.token} if login.token else {},
            timeout=httpx.Timeout(_SECONDS, connect=_CONNECT_SECONDS),
            follow_redirects=False,
        )

    def __enter__(self) -> There:
        return self

    def __exit__(self, *why: object) -> None:
        self._client.close()

    def ask(self, question: Question[A, R], **given: Any) -> R:
        """The answer, as the use case gives it.

        Raises:
            RefsyncError: it is refused there, in the same words; or the door is away.
        """
        asked, path = dict(given), question.path
        for name in [each for each in asked if f"{{{each}}}" in path or f"{{{each}:path}}" in path]:
            word = quote(str(asked.pop(name)).encode("utf-8", "surrogatepass"), safe="")
            path = path.replace(f"{{{name}:path}}", word).replace(f"{{{name}}}", word)
        body = self._exchange(question.method, path, asked)
        try:
            return question.answer.model_validate(load(body), context={"catalogue": _AnyCategory(())})
        except (ValueError, ValidationError, RecursionError):
            raise DoorAwayError(
                f"{self._login.url} answers what is no {question.answer.__name__}; is it a refsync?"
            ) from None

    def roles(self) -> dict[str, Any]:
        """Who one is there, and what one may do."""
        found = load(self._exchange("GET", "/model_references/v2/me/roles", {}))
        if not isinstance(found, dict):
            raise DoorAwayError(f"{self._login.url} does not say who you are; is it a refsync?")
        return found

    def _exchange(self, method: str, path: str, given: dict[str, Any]) -> bytes:
        url = self._login.url
        present = {name: value for name, value in given.items() if value is not None}
        request = self._client.build_request(
            method,
            path,
            params=present if method == "GET" else None,
            content=dump(present).encode("utf-8", "backslashreplace") if method == "POST" else None,
        )
        try:
            got = self._client.send(request, stream=True)
            body = _read(got)
        except (httpx.HTTPError, ValueError) as problem:
            raise DoorAwayError(f"{url} does not answer: {problem or type(problem).__name__}") from None
        if got.is_success:
            return body
        raise self._refusal(got.status_code, body)

    def _refusal(self, status: int, body: bytes) -> RefsyncError:
        url = self._login.url
        try:
            detail = load(body)["detail"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return DoorAwayError(f"{url} answers with status {status}; is it a refsync?")
        if status == httpx.codes.UNAUTHORIZED:
            return RequestError(f"{url} does not know you: refsync login {url}")
        if isinstance(detail, list):  # of bodies that do not validate
            detail = "; ".join(str(each.get("msg", each)) if isinstance(each, dict) else str(each) for each in detail)
        return (TemporaryError if status >= httpx.codes.INTERNAL_SERVER_ERROR else RequestError)(str(detail))


class _AnyCategory(Catalogue):
    """The door knows which categories there are."""

    def parse(self, name: str) -> CategoryName:
        return CategoryName(name)


def _knock(path: Path, url: str) -> None:
    """See that somebody serves a socket; httpx would leave its own end of a failed attempt open."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        try:
            knock.connect(str(path))
        except OSError as problem:
            raise DoorAwayError(
                f"{url} does not answer: {problem.strerror or problem}; does refsync serve run?"
            ) from None


def _read(got: httpx.Response) -> bytes:
    body = bytearray()
    try:
        for part in got.iter_bytes():
            body += part
            if len(body) > _MOST_BYTES:
                raise ValueError("an answer without end")
    finally:
        got.close()
    return bytes(body)
