"""One HTTP request and its answer: an end in time, a bounded size, no redirect followed, nothing left open."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, NamedTuple

import httpx

MOST_BYTES = 64 * 1024 * 1024
"""Of an answer: a hundred requests with the longest texts that forges take."""
WHOLE_IN_TIMEOUTS = 4.0
"""An exchange as a whole may take so many times what each of its steps may."""


class Answer(NamedTuple):
    """What came back, with header names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def asked_by_header(answer: Answer, now: float) -> float | None:
    """What ``Retry-After`` asks for, in seconds; ``None`` where it is not there."""
    after = answer.headers.get("retry-after", "")
    if not after:
        return None
    seconds = whole_number(after)
    return seconds if seconds is not None else (moment(after) or now) - now


def moment(text: str) -> float | None:
    """The time of an HTTP date in Unix seconds, ``None`` where it is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def whole_number(text: str) -> float | None:
    """The number that a header holds, ``None`` where it is none."""
    return float(text) if re.fullmatch(r"\s*[0-9]{1,15}\s*", text) else None


class Unanswered(Exception):  # noqa: N818  # what became of a request, and no failure of ours
    """No whole answer came: ``problem`` says why, ``is_untrusted`` that the certificate is the reason."""

    def __init__(self, problem: str, *, is_untrusted: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.is_untrusted = is_untrusted


class Exchange:
    """Asks one host, called ``host`` in what is said of it, on a connection of its own for each request.

    Proxies are those of the environment; certificates those that the machine trusts, as git does.
    """

    def __init__(self, host: str, timeout_seconds: float, *, told_by: str = "base_url") -> None:
        """``told_by`` is what a person has to look at where the host cannot be asked."""
        self._host = host
        self._timeout = timeout_seconds
        self._told_by = told_by
        self._deadline: _Deadline | None = None
        self._is_broken_off = False

    def break_off(self) -> None:
        """End the request that another thread makes, or is about to: as soon as it is connected."""
        self._is_broken_off = True
        if self._deadline is not None:
            self._deadline.pass_now()

    def ask(
        self,
        verb: str,
        url: str,
        headers: Mapping[str, str],
        body: Any = None,
        *,
        content: bytes | None = None,
        address: str | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> Answer:
        """Send a request, with ``body`` as JSON, and read the answer to its end.

        Args:
            verb: the method.
            url: an absolute URL.
            headers: beside those of the connection.
            body: what is sent as JSON; ``None`` for nothing.
            content: what is sent byte for byte instead; ``headers`` say what it is.
            address: where to connect to, if the host's name shall not be looked up.
            most_bytes: so much is read of an answer; one that is longer is none. Nothing is read for 0.

        Raises:
            Unanswered: none came in time, none that is whole, or one that is too long.
        """
        content = content if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"content-type": "application/json"}
        self._deadline = deadline = _Deadline(self._timeout * WHOLE_IN_TIMEOUTS)
        deadline.has_passed = self._is_broken_off
        try:
            with deadline.running() as trace:
                request = self._client.build_request(verb, url, headers={**headers, **kind}, content=content)
                request.extensions |= {"trace": trace}
                if address is not None:
                    _lead_to(request, address)
                return self._answer(request, most_bytes)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._explained(error, is_late=deadline.has_passed) from None  # the chain holds the headers

    @cached_property
    def _client(self) -> httpx.Client:
        try:
            return httpx.Client(
                verify=ssl.create_default_context(),
                timeout=self._timeout,
                limits=httpx.Limits(max_keepalive_connections=0),
                follow_redirects=False,
            )
        except (ValueError, ImportError, httpx.InvalidURL):  # of the URL of a proxy, which may hold a password
            problem = "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY or NO_PROXY in the environment names no http(s) proxy"
            raise Unanswered(f"{problem}; correct it, or unset it") from None

    def _answer(self, request: httpx.Request, most_bytes: int) -> Answer:
        request.headers["accept-encoding"] = "identity"  # what is packed may be a bomb
        with closing(self._client.send(request, stream=True)) as response:
            read = bytearray()
            for chunk in response.iter_raw() if most_bytes else ():
                read += chunk
                if len(read) > most_bytes:
                    raise Unanswered(f"{self._host} answers without end; check {self._told_by}")
            names = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, names, bytes(read))

    def _explained(self, error: Exception, *, is_late: bool) -> Unanswered:
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                untrusted = f"the certificate of {self._host} is not trusted ({cause.verify_message})"
                return Unanswered(f"{untrusted}; install its authority, or correct {self._told_by}", is_untrusted=True)
        if any(isinstance(cause, socket.gaierror) for cause in causes):
            return Unanswered(f"{self._host} is not a known host; check {self._told_by} and the network")
        if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
            return Unanswered(f"{self._host} refuses the connection; check {self._told_by}, or wait")
        if isinstance(error, httpx.TimeoutException):
            return Unanswered(f"{self._host} does not answer within {self._timeout:g} seconds")
        if is_late:
            whole = self._timeout * WHOLE_IN_TIMEOUTS
            return Unanswered(f"{self._host} does not answer to the end within {whole:g} seconds")
        return Unanswered(f"the connection to {self._host} broke")


class _Deadline:
    """Shuts the connection of an exchange down, for a host that sends a byte now and then never times out."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._sockets: list[socket.socket] = []
        self.has_passed = False

    @contextmanager
    def running(self) -> Iterator[Any]:
        """Watch over an exchange; what it gives is told of the exchange's steps."""
        timer = threading.Timer(self._seconds, self.pass_now)
        timer.daemon = True
        timer.start()
        try:
            yield self._note
        finally:
            timer.cancel()
            timer.join()

    def _note(self, step: str, details: Mapping[str, Any]) -> None:
        if step.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._sockets.append(details["return_value"].get_extra_info("socket"))
            if self.has_passed:
                self.pass_now()

    def pass_now(self) -> None:
        """Behave as if the time were over."""
        self.has_passed = True
        for each in self._sockets:
            with suppress(OSError):  # one that TLS has taken over is none any more
                socket.socket.shutdown(each, socket.SHUT_RDWR)


def _lead_to(request: httpx.Request, address: str) -> None:
    """Connect to this address; the host's name stays that of the request and of the certificate."""
    request.extensions |= {"sni_hostname": request.url.host}
    request.url = request.url.copy_with(host=address)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
