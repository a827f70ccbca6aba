"""Asking hosts about files: bounded in time and size, never of a private address, no secret sent."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

from refsync.exchange import WHOLE_IN_TIMEOUTS, Answer, Exchange, Unanswered, asked_by_header, whole_number
from refsync.hosts.addresses import ForbiddenAddressError, UnknownHostError, address_of
from refsync.hosts.verdict import Found, Standing

USER_AGENT = "refsync (link check of a model reference)"
MOST_BYTES = 4 * 1024 * 1024
"""Of an answer about a file; of the file itself nothing is read."""
_LEAST_SECONDS = 0.05


class CannotAskError(Exception):
    """A host cannot be asked, or may not be; the text says why."""


class RationOverError(Exception):
    """A host has been asked as often as it may be."""


class Ask(Protocol):
    """Asks one question."""

    def __call__(self, verb: str, url: str, *, headers: Mapping[str, str] | None = None, reads: bool = False) -> Answer:
        """See ``Asking``."""
        ...


class Asking:
    """Asks hosts, each of them one question at a time."""

    def __init__(
        self,
        *,
        allows_private: bool = False,
        timeout_seconds: float = 10.0,
        within_seconds: float = math.inf,
        most: Callable[[str], int] = lambda host: 1_000_000,
    ) -> None:
        """Begin.

        Args:
            allows_private: whether hosts may be of this machine or its networks.
            timeout_seconds: what each step of a question may take.
            within_seconds: after so long no question is under way any more.
            most: how many questions a host is asked at most, by its name.
        """
        self._asked: Counter[str] = Counter()
        self._uncounted: Counter[str] = Counter()
        self._allows_private = allows_private
        self._timeout_seconds = timeout_seconds
        self._until = time.monotonic() + within_seconds
        self._most = most
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._under_way: set[Exchange] = set()
        self._stopped = threading.Event()

    def __call__(self, verb: str, url: str, *, headers: Mapping[str, str] | None = None, reads: bool = False) -> Answer:
        """Ask, and give the answer, with its content if ``reads``; no redirect is followed.

        Raises:
            CannotAskError: the URL is none that is asked, or no answer came.
            RationOverError: the host has been asked as often as it may be.
        """
        parts = _parts(url)
        host = parts.hostname or ""
        with self._turns[host]:
            seconds = self._seconds_left()
            try:
                address = address_of(parts, allows_private=self._allows_private, seconds=seconds)
                self._count(host)
                exchange = Exchange(host, seconds, told_by="the URL")
                sent = {**(headers or {}), "user-agent": USER_AGENT}
                with self._stoppable(exchange):
                    return exchange.ask(verb, url, sent, address=address, most_bytes=MOST_BYTES if reads else 0)
            except ForbiddenAddressError:
                raise CannotAskError(f"{host} has an address of a private network") from None
            except UnknownHostError:
                raise CannotAskError(f"{host} is not a known host") from None
            except Unanswered as unanswered:
                raise CannotAskError(unanswered.problem) from None

    def take_asked(self) -> dict[str, int]:
        """How many questions each host was asked since this was last called."""
        return {host: self._uncounted.pop(host) for host in list(self._uncounted)}

    def pause(self, seconds: float) -> None:
        """Wait between two questions, but not when there is no more time."""
        self._stopped.wait(max(0.0, min(seconds, self._until - time.monotonic())))

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more is asked."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Ask nothing more, and break off what is under way."""
        self._stopped.set()
        for exchange in list(self._under_way):
            exchange.break_off()

    def _seconds_left(self) -> float:
        """What each step of a question may take that begins now."""
        seconds = min(self._timeout_seconds, (self._until - time.monotonic()) / WHOLE_IN_TIMEOUTS)
        if self._stopped.is_set() or seconds < _LEAST_SECONDS:
            raise CannotAskError("there was no time to ask")
        return seconds

    def _count(self, host: str) -> None:
        if self._asked[host] >= self._most(host):
            raise RationOverError(f"{host} has been asked as often today as it may be")
        self._asked[host] += 1
        self._uncounted[host] += 1

    @contextmanager
    def _stoppable(self, exchange: Exchange) -> Iterator[None]:
        self._under_way.add(exchange)
        try:
            yield
        finally:
            self._under_way.discard(exchange)


def redirected(url: str, answer: Answer) -> str | None:
    """Where an answer sends, ``None`` if nowhere."""
    if answer.status not in (301, 302, 303, 307, 308) or not (location := answer.headers.get("location")):
        return None
    try:
        return str(urljoin(url, location))
    except ValueError:
        return None


def standing_of(answer: Answer) -> Found | None:
    """What an answer says by its status that is no file; ``None`` where there is one, or a way to it."""
    if answer.status in (401, 403, 407):
        return Found(Standing.login_needed)
    if answer.status in (404, 410):
        return Found(Standing.gone)
    if answer.status >= 400:
        asked = asked_by_header(answer, time.time()) if answer.status in (429, 503) else None
        seconds = (60.0 if answer.status == 429 else None) if asked is None else max(asked, 0.0)
        return Found(Standing.unknown, why=f"the host answers with status {answer.status}", wait_seconds=seconds)
    return None


def size_in(text: str | None) -> int | None:
    """The bytes that a header tells; ``None`` where it tells none."""
    number = whole_number(text or "")
    return None if number is None else int(number)


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = (
            url.isprintable()
            and parts.scheme in ("http", "https")
            and parts.hostname
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        known = False
    if not known:
        raise CannotAskError("it is no http(s) URL")
    if parts.username or parts.password:
        raise CannotAskError("there is a name or password in the URL")
    return parts
