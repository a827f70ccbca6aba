"""A forge's REST API: reads asked conditionally, writes at a measured pace, every failure one line.

No forge is known here. What one does in its own way, it says in its :class:`Customs`; what its answers look like, in
pydantic models of its own.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit

from pydantic import TypeAdapter, ValidationError

from refsync import plain_text
from refsync.credentials import CredentialSource
from refsync.errors import ConfigError, CredentialError, ForgeRefusedError, ForgeUnavailableError, RefsyncError
from refsync.exchange import Answer, Exchange, Unanswered, moment
from refsync.forges.pace import Pace
from refsync.plain_text import cut

T = TypeVar("T")

LONGEST_WAIT = 3600.0
PAGE = 100
MOST_PAGES = 200
REMEMBERED_ANSWERS = 500


@dataclass(frozen=True)
class Customs:
    """What a forge does in its own way.

    ``said`` is its own words in an answer that refuses, ``asked_wait`` how long one asks to wait at a time by the
    forge's clock (``None``: it does not ask), ``advice`` what a person can do about a refusal, to be put behind its
    words.
    """

    name: str
    example_url: str
    headers: Mapping[str, str]
    said: Callable[[Answer], str]
    asked_wait: Callable[[Answer, str, float], float | None]
    advice: Callable[[Answer, str], str]


class AnsweredRefusalError(ForgeRefusedError):
    """The forge refuses what was asked, with this answer."""

    def __init__(self, reason: str, answer: Answer) -> None:
        """Keep the answer, for those who know the forge."""
        super().__init__(reason)
        self.answer = answer


class RedirectedError(ForgeRefusedError):
    """The forge keeps what was asked for elsewhere on the same host, as it does after a rename."""

    def __init__(self, reason: str, location: str) -> None:
        """Keep where it is now."""
        super().__init__(reason)
        self.location = location


class StrangeAnswerError(ForgeUnavailableError):
    """The answer is not what this forge answers: somebody else stands between, or the forge is of another kind."""


@dataclass(frozen=True)
class _Remembered:
    etag: str | None
    value: Any
    following: str | None


class RestApi:
    """The API at ``base_url``, used with the credential as it is at each request."""

    def __init__(
        self,
        base_url: str,
        credential: CredentialSource | None,
        customs: Customs,
        *,
        timeout_seconds: float = 15.0,
        pace: Pace | None = None,
        today: Callable[[], float] = time.time,
        heard: Callable[[Answer | None], None] = lambda answer: None,
    ) -> None:
        """Ask nothing yet.

        ``today`` is the time in Unix seconds, for a forge that does not tell its own; ``heard`` is told of each
        request, with its answer if one came.
        """
        self._base = _origin(base_url, customs.example_url)
        self._host = self._base.netloc
        self._credential = credential
        self._secret = ""
        self._customs = customs
        self._exchange = Exchange(self._host, timeout_seconds)
        self._today = today
        self._heard = heard
        self._remembered: OrderedDict[tuple[str, Any], _Remembered] = OrderedDict()
        self._silent_until = float("-inf")
        self.pace = pace or Pace()

    def read(self, path: str, shape: type[T], *, doing: str, **parameters: str) -> T:
        """The answer in its shape; an unchanged one is neither sent nor understood again."""
        value: T = self._page(self._url(path, parameters), shape, doing).value
        return value

    def read_pages(self, path: str, shape: type[T], *, doing: str, **parameters: str) -> Iterator[T]:
        """The same for the pages of a list, one value for each page."""
        url: str | None = self._url(path, parameters | {"per_page": str(PAGE)})
        for _ in range(MOST_PAGES):
            assert url
            page = self._page(url, shape, doing)
            yield page.value
            url = page.following
            if url is None:
                return
            if not self._is_at_home(url):
                raise StrangeAnswerError(f"cannot {doing}: {self._host} sends for more to another host; check base_url")
        raise StrangeAnswerError(f"cannot {doing}: {self._host} answers with pages without end; check base_url")

    def send(self, verb: str, path: str, body: Any, shape: type[T], *, doing: str) -> T:
        """Write, and give the answer in its shape."""
        self._stay_silent(doing)
        self.pace.await_turn_to_write()
        return self._understood(self._request(verb, self._url(path, {}), doing, body=body), shape, doing)

    def _url(self, path: str, parameters: Mapping[str, str]) -> str:
        """Of a path below the base, or of a place that the forge itself named."""
        url = path if "://" in path else f"{self._base.geturl()}{path}"
        return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}" if parameters else url

    def _page(self, url: str, shape: type[Any], doing: str) -> _Remembered:
        known = self._remembered.get((url, shape))
        headers = {"if-none-match": known.etag} if known and known.etag else {}
        answer = self._request("GET", url, doing, headers=headers)
        if known is None or answer.status != 304:
            value = self._understood(answer, shape, doing)
            known = _Remembered(answer.headers.get("etag"), value, _following(url, answer.headers.get("link", "")))
        self._remembered[url, shape] = known
        self._remembered.move_to_end((url, shape))
        if len(self._remembered) > REMEMBERED_ANSWERS:
            self._remembered.popitem(last=False)
        return known

    def _understood(self, answer: Answer, shape: type[T], doing: str) -> T:
        known: Any = shape
        try:
            value: T = _adapter(known).validate_json(answer.content or b"null")
        except ValidationError as error:
            problem = f"{_strangeness(error, self._customs.name)}; check base_url and what stands between"
            raise StrangeAnswerError(f"cannot {doing}: {self._host} {problem}") from None
        return value

    def _request(
        self, verb: str, url: str, doing: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        self._stay_silent(doing)
        sent = {**self._customs.headers, "user-agent": "refsync", **(headers or {}), **self._authorization()}
        try:
            answer = self._exchange.ask(verb, url, sent, body)
        except Unanswered as unanswered:
            self._heard(None)
            kind = ForgeRefusedError if unanswered.is_untrusted else ForgeUnavailableError
            raise kind(f"cannot {doing}: {unanswered.problem}") from None
        self._heard(answer)
        if 300 <= answer.status < 400 and answer.status != 304:
            raise self._redirected(url, answer, doing)
        if answer.status >= 400:
            raise self._failed(answer, doing)
        return answer

    def _authorization(self) -> dict[str, str]:
        if self._credential is None:
            return {}
        secret = self._credential().secret
        if not secret or not all("!" <= character <= "~" for character in secret):
            raise CredentialError("the forge's credential is empty or holds characters that no token has; replace it")
        self._secret = secret
        return {"authorization": f"Bearer {secret}"}

    def _stay_silent(self, doing: str) -> None:
        """Who goes on asking while told to wait is locked out for longer."""
        left = self._silent_until - self.pace.clock()
        if left > 0:
            raise ForgeUnavailableError(self._wait_text(doing, left), retry_seconds=left)

    def _redirected(self, url: str, answer: Answer, doing: str) -> ForgeRefusedError:
        try:
            target = urlsplit(urljoin(url, answer.headers.get("location", "")))
            at_home = _place(target) == _place(self._base)
        except ValueError:
            return ForgeRefusedError(f"cannot {doing}: {self._host} redirects to no URL; check base_url")
        if at_home:
            text = f"cannot {doing}: {self._host} redirects; check the repository's name and base_url"
            return RedirectedError(text, target.geturl())
        elsewhere = one_line(self._without_secret(f"{target.scheme}://{target.netloc.rpartition('@')[2]}"))
        return ForgeRefusedError(
            f"cannot {doing}: {self._host} redirects to {elsewhere}, where credentials are not sent; correct base_url"
        )

    def _is_at_home(self, url: str) -> bool:
        try:
            return _place(urlsplit(url)) == _place(self._base)
        except ValueError:
            return False

    def _failed(self, answer: Answer, doing: str) -> RefsyncError:
        message = one_line(self._without_secret(self._customs.said(answer)))
        now = moment(answer.headers.get("date", "")) or self._today()
        asked = self._customs.asked_wait(answer, message, now)
        wait = None if asked is None else min(max(asked, 1.0), LONGEST_WAIT)
        if answer.status in (403, 429) and wait is not None:
            self._silent_until = self.pace.clock() + wait
            return ForgeUnavailableError(self._wait_text(doing, wait), retry_seconds=wait)
        if answer.status >= 500 or answer.status == 408:
            text = f"cannot {doing}: {self._host} fails (status {answer.status})"
            return ForgeUnavailableError(text, retry_seconds=wait)
        advice = self._without_secret(self._customs.advice(answer, message))
        said = message or f"status {answer.status}"
        return AnsweredRefusalError(f"cannot {doing}: {self._host} says {said}{advice}", answer)

    def _wait_text(self, doing: str, wait: float) -> str:
        return f"cannot {doing}: {self._host} asks to wait {wait:.0f} seconds (rate limit)"

    def _without_secret(self, text: str) -> str:
        """The forge's words, should they repeat what it was sent."""
        return text.replace(self._secret, "***") if self._secret else text


def one_line(text: str, longest: int = 300) -> str:
    """A forge's words as they can be shown: printable, on one line, and not too many."""
    return cut(plain_text.one_line(text), longest)


def _strangeness(error: ValidationError, forge: str) -> str:
    """What is wrong with an answer, without anything of its content."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return "answers what is no JSON"
    field = one_line(".".join(map(str, first["loc"])), 100)
    return f"answers what {forge} does not ({f'{field}: ' if field else ''}{one_line(first['msg'], 100)})"


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def _origin(base_url: str, example: str) -> SplitResult:
    """The parts of the URL, without a name and password that someone put into it."""
    try:
        base = urlsplit(base_url)
        known = base.scheme in ("http", "https") and all(_place(base))
    except ValueError:
        known = False
    if not known:
        raise ConfigError(f"base_url is no http(s) URL; write for example {example}")
    return base._replace(netloc=base.netloc.rpartition("@")[2])


def _place(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _following(url: str, links: str) -> str | None:
    """The URL of the next page in a Link header."""
    for target, parameters in re.findall(r"<([^<>]*)>([^<]*)", links):
        if re.search(r';\s*rel\s*=\s*"?next"?\s*(?:[;,]|$)', parameters):
            return str(urljoin(url, target))
    return None
