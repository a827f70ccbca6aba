"""GitHub's REST API: one request at a time, reads asked conditionally, every failure one line.

PyGithub's requester builds and paces the requests; what its classes would do beyond that (sleep until a limit
is over, follow redirects without their query, keep whole answers) is decided here.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from github import Auth
from github.Requester import HTTPSRequestsConnectionClass, Requester, RequestsResponse

from refsync.credentials import CredentialSource
from refsync.errors import ConfigError, CredentialError, ForgeRefusedError, ForgeUnavailableError, RefsyncError

T = TypeVar("T")

LONGEST_WAIT = 3600.0
UNSAID_WAIT = 60.0  # what GitHub asks for where a limit names no time
PAGE = 100
MOST_PAGES = 200
REMEMBERED_ANSWERS = 500

# PyGithub logs whole answers when debugging, a new token of an App among them.
logging.getLogger("github.Requester").setLevel(logging.INFO)


class Answer(NamedTuple):
    """What came back, with header names in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str


class RedirectedError(ForgeRefusedError):
    """The forge keeps what was asked for elsewhere on the same host, as it does after a rename."""

    def __init__(self, reason: str, location: str) -> None:
        """Keep where it is now."""
        super().__init__(reason)
        self.location = location


class GitHubApi:
    """The API at ``base_url``, used with the credential as it is at each request."""

    def __init__(
        self,
        base_url: str,
        credential: CredentialSource | None,
        *,
        timeout_seconds: float = 15.0,
        write_seconds: float = 1.0,
        unauthorized: str = "the credential is wrong, expired or revoked; replace it",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``write_seconds`` lie between two writes at least; ``unauthorized`` says what to do about a 401."""
        self._base = _origin(base_url)
        self._host = self._base.netloc
        self._timeout = timeout_seconds
        self._clock = clock
        self._auth = _AskedAnew(credential) if credential else None
        self._unauthorized = unauthorized if credential else "a credential is needed; configure one"
        self._requester = _requester(self._base.geturl(), self._auth, timeout_seconds, write_seconds)
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._silent_until = 0.0

    def read(self, path: str, understand: Callable[[Any], T], *, doing: str, **parameters: str) -> T:
        """What ``understand`` makes of the answer; an unchanged answer is neither sent nor understood again."""
        value: T = self._page(_with_parameters(path, parameters), understand, doing).value
        return value

    def read_pages(self, path: str, understand: Callable[[Any], T], *, doing: str, **parameters: str) -> list[T]:
        """The same for all pages of a list, one value for each page."""
        return list(self._pages(_with_parameters(path, parameters | {"per_page": str(PAGE)}), understand, doing))

    def send(self, verb: str, path: str, body: Any, understand: Callable[[Any], T], *, doing: str) -> T:
        """Write, and give what ``understand`` makes of the answer."""
        return self._understood(self._request(verb, path, doing=doing, body=body), understand, doing)

    def present_name(self, repository: str) -> str:
        """The name of a repository that may have been renamed, however often."""
        path, doing = f"/repos/{repository}", f"find the present name of {repository}"
        for _ in range(3):
            try:
                return self.read(path, lambda data: str(data["full_name"]), doing=doing)
            except RedirectedError as moved:
                path = moved.location
        raise ForgeRefusedError(f"cannot {doing}: {self._host} redirects without end; correct the name in the config")

    def _pages(self, url: str, understand: Callable[[Any], T], doing: str) -> Iterator[T]:
        for _ in range(MOST_PAGES):
            page = self._page(url, understand, doing)
            yield page.value
            if page.following is None:
                return
            url = page.following
        raise ForgeUnavailableError(f"cannot {doing}: {self._host} answers with pages without end; check base_url")

    def _page(self, url: str, understand: Callable[[Any], Any], doing: str) -> _Remembered:
        known = self._remembered.get(url)
        answer = self._request("GET", url, doing=doing, etag=known.etag if known else None)
        if known is None or answer.status != 304:
            value = self._understood(answer, understand, doing)
            known = _Remembered(answer.headers.get("etag"), value, _following(answer.headers.get("link", "")))
        self._remember(url, known)
        return known

    def _remember(self, url: str, page: _Remembered) -> None:
        self._remembered[url] = page
        self._remembered.move_to_end(url)
        if len(self._remembered) > REMEMBERED_ANSWERS:
            self._remembered.popitem(last=False)

    def _understood(self, answer: Answer, understand: Callable[[Any], T], doing: str) -> T:
        try:
            return understand(json.loads(answer.text))
        except (ValueError, RecursionError):
            problem = "answers what is no JSON; check base_url and what stands between"
        except (KeyError, TypeError, AttributeError):
            problem = "answers what GitHub does not; check base_url"
        raise ForgeUnavailableError(f"cannot {doing}: {self._host} {problem}")

    def _request(self, verb: str, url: str, *, doing: str, body: Any = None, etag: str | None = None) -> Answer:
        self._stay_silent(doing)
        answer = self._exchange(verb, url, body, etag, doing)
        if 300 <= answer.status < 400 and answer.status != 304:
            raise self._redirected(answer, doing)
        if answer.status >= 400:
            raise self._failed(answer, doing)
        return answer

    def _exchange(self, verb: str, url: str, body: Any, etag: str | None, doing: str) -> Answer:
        """One request on a connection of its own: nothing is left open between two passes."""
        headers = {"Accept": "application/vnd.github+json"} | ({"If-None-Match": etag} if etag else {})
        connection = _Connection(self._base, self._timeout)
        try:
            return Answer(*self._requester.requestJson(verb, url, headers=headers, input=body, cnx=connection))
        except _AnsweredError as answered:
            return answered.answer
        except requests.RequestException as error:
            raise self._unreachable(error, doing) from None  # the chain holds the request with its headers
        except ValueError:
            raise ForgeUnavailableError(f"cannot {doing}: {self._host} answers nonsense; check base_url") from None
        finally:
            connection.close()

    def _stay_silent(self, doing: str) -> None:
        """Who goes on asking while told to wait is locked out for longer."""
        left = self._silent_until - time.monotonic()
        if left > 0:
            raise ForgeUnavailableError(_wait_text(doing, self._host, left), retry_seconds=left)

    def _unreachable(self, error: Exception, doing: str) -> RefsyncError:
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                untrusted = f"the certificate of {self._host} is not trusted ({cause.verify_message})"
                return ForgeRefusedError(f"cannot {doing}: {untrusted}; install its authority, or correct base_url")
        if any(isinstance(cause, socket.gaierror) for cause in causes):
            problem = f"{self._host} is not a known host; check base_url and the network"
        elif any(isinstance(cause, ConnectionRefusedError) for cause in causes):
            problem = f"{self._host} refuses the connection; check base_url, or wait"
        elif isinstance(error, requests.Timeout):
            problem = f"{self._host} does not answer within {self._timeout:g} seconds"
        else:
            problem = f"the connection to {self._host} broke"
        return ForgeUnavailableError(f"cannot {doing}: {problem}")

    def _redirected(self, answer: Answer, doing: str) -> ForgeRefusedError:
        location = answer.headers.get("location", "")
        try:
            target = urlsplit(urljoin(self._base.geturl(), location))
            at_home = _place(target) == _place(self._base)
        except ValueError:
            return ForgeRefusedError(f"cannot {doing}: {self._host} redirects to no URL; check base_url")
        if at_home:
            text = f"cannot {doing}: {self._host} redirects; check the repository's name and base_url"
            return RedirectedError(text, target.geturl())
        elsewhere = _one_line(self._without_secret(f"{target.scheme}://{target.netloc.rpartition('@')[2]}"))
        return ForgeRefusedError(
            f"cannot {doing}: {self._host} redirects to {elsewhere}, where credentials are not sent; correct base_url"
        )

    def _failed(self, answer: Answer, doing: str) -> RefsyncError:
        message = _one_line(self._without_secret(_said(answer.text)))
        wait = _asked_wait(answer, message, self._clock())
        if answer.status in (403, 429) and wait is not None:
            self._silent_until = time.monotonic() + wait
            return ForgeUnavailableError(_wait_text(doing, self._host, wait), retry_seconds=wait)
        if answer.status >= 500 or answer.status == 408:
            text = f"cannot {doing}: {self._host} fails (status {answer.status})"
            return ForgeUnavailableError(text, retry_seconds=wait)
        return ForgeRefusedError(f"cannot {doing}: {self._without_secret(self._refusal(answer, message))}")

    def _refusal(self, answer: Answer, message: str) -> str:
        said = message or f"status {answer.status}"
        match answer.status:
            case 401:
                return f"{self._host} says {said}: {self._unauthorized}"
            case 403:
                return f"{self._host} says {said}; give the credential {_permission(answer.headers)}"
            case 404:
                return f"{self._host} says {said}; check the repository's name and that the credential may see it"
            case _:
                return f"{self._host} says {said}"

    def _without_secret(self, text: str) -> str:
        """The forge's words, should they repeat what it was sent."""
        return text.replace(self._auth.last, "***") if self._auth and self._auth.last else text


@dataclass(frozen=True)
class _Remembered:
    etag: str | None
    value: Any
    following: str | None


class _AskedAnew(Auth.Auth):
    """Asks for the credential at each request, so that a rotated one is taken up."""

    def __init__(self, source: CredentialSource) -> None:
        self._source = source
        self.last = ""

    @property
    def token_type(self) -> str:
        return "Bearer"

    @property
    def token(self) -> str:
        secret = self._source().secret
        if not secret or not all("!" <= character <= "~" for character in secret):
            raise CredentialError("the forge's credential is empty or holds characters that no token has; replace it")
        self.last = secret
        return secret


class _AnsweredError(Exception):
    """Carries an answer past the requester, which would follow a redirect, and sleep over a 202."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Connection(HTTPSRequestsConnectionClass):
    """Used for one request, over http as well; it follows nothing and tries nothing again."""

    def __init__(self, base: SplitResult, timeout: float) -> None:
        _, host, port = _place(base)
        super().__init__(f"[{host}]" if host and ":" in host else str(host), port)
        self.protocol = base.scheme
        self.timeout = timeout  # type: ignore[assignment]  # PyGithub says int, requests takes both

    def getresponse(self) -> RequestsResponse:
        response = super().getresponse()
        response.response.encoding = "utf-8"
        if response.status == 202 or (300 <= response.status < 400 and response.status != 304):
            headers = {name.lower(): value for name, value in response.getheaders()}
            raise _AnsweredError(Answer(response.status, headers, response.read()))
        return response


def _origin(base_url: str) -> SplitResult:
    """The parts of the URL, without a name and password that someone put into it."""
    try:
        base = urlsplit(base_url)
        known = base.scheme in ("http", "https") and all(_place(base))
    except ValueError:
        known = False
    if not known:
        raise ConfigError("base_url is no http(s) URL; write for example https://api.github.com")
    return base._replace(netloc=base.netloc.rpartition("@")[2])


def _place(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _requester(base_url: str, auth: Auth.Auth | None, timeout_seconds: float, write_seconds: float) -> Requester:
    return Requester(
        auth=auth,
        base_url=base_url,
        timeout=int(timeout_seconds),  # for connections that it makes itself: none
        user_agent="refsync",
        per_page=PAGE,
        verify=True,
        retry=None,
        pool_size=None,
        seconds_between_writes=write_seconds,
        api_version="2022-11-28",
    )


def _with_parameters(path: str, parameters: Mapping[str, str]) -> str:
    return Requester.add_parameters_to_url(path, dict(parameters))


def _following(link: str) -> str | None:
    """The URL of the next page in a Link header."""
    for part in requests.utils.parse_header_links(link):
        if part.get("rel") == "next":
            return str(part["url"])
    return None


def _asked_wait(answer: Answer, message: str, now: float) -> float | None:
    """How long the forge asks to wait, by its own clock; ``None`` where it does not ask."""
    now = _moment(answer.headers.get("date", "")) or now
    after = answer.headers.get("retry-after", "")
    if after:
        wait = _number(after) or (_moment(after) or now) - now
    elif answer.headers.get("x-ratelimit-remaining") == "0":
        wait = (_number(answer.headers.get("x-ratelimit-reset", "")) or now + UNSAID_WAIT) - now
    elif answer.status == 429 or "rate limit" in message.lower():
        wait = UNSAID_WAIT
    else:
        return None
    return min(max(wait, 1.0), LONGEST_WAIT)


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _number(text: str) -> float | None:
    return float(text) if text.strip().isdecimal() else None


def _wait_text(doing: str, host: str, wait: float) -> str:
    return f"cannot {doing}: {host} asks to wait {wait:.0f} seconds (rate limit)"


def _permission(headers: Mapping[str, str]) -> str:
    accepted = headers.get("x-accepted-github-permissions", "")
    if accepted:
        return f"the permission {_one_line(accepted)}"
    scopes = headers.get("x-accepted-oauth-scopes", "")
    if "x-oauth-scopes" in headers and scopes:
        return f"the scope {_one_line(scopes)} (it has: {_one_line(headers['x-oauth-scopes']) or 'none'})"
    return "read and write access to pull requests"


def _said(text: str) -> str:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(data, dict):
        return ""
    errors = data.get("errors")
    details = [_detail(error) for error in errors] if isinstance(errors, list) else []
    return f"{data.get('message', '')}{': ' if details else ''}{'; '.join(details)}"


def _detail(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)
    return str(
        error.get("message") or f"{error.get('field', error.get('resource', ''))} {error.get('code', '')}".strip()
    )


def _one_line(text: str, longest: int = 300) -> str:
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= longest else f"{line[:longest]}…"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
