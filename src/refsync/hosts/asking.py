"""Asking hosts about files: bounded in time and size, never of a private address, no secret sent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

from refsync.exchange import Answer, Exchange, Unanswered, asked_by_header, whole_number
from refsync.hosts.addresses import ForbiddenAddressError, UnknownHostError, address_of
from refsync.hosts.verdict import Found, Standing

USER_AGENT = "refsync (link check of a model reference)"
MOST_BYTES = 4 * 1024 * 1024
"""Of an answer about a file; of the file itself nothing is read."""


class CannotAskError(Exception):
    """A host cannot be asked, or may not be; the text says why."""


class Ask(Protocol):
    """Asks one question."""

    def __call__(self, verb: str, url: str, *, headers: Mapping[str, str] | None = None, reads: bool = False) -> Answer:
        """See ``Asking``."""
        ...


@dataclass(frozen=True)
class Asking:
    """Asks hosts; ``allows_private`` is whether they may be of this machine or its networks."""

    allows_private: bool = False
    timeout_seconds: float = 10.0

    def __call__(self, verb: str, url: str, *, headers: Mapping[str, str] | None = None, reads: bool = False) -> Answer:
        """Ask, and give the answer, with its content if ``reads``; no redirect is followed.

        Raises:
            CannotAskError: the URL is none that is asked, or no answer came.
        """
        parts = _parts(url)
        try:
            address = address_of(parts, allows_private=self.allows_private)
            exchange = Exchange(parts.hostname or "", self.timeout_seconds, told_by="the URL")
            sent = {**(headers or {}), "user-agent": USER_AGENT}
            return exchange.ask(verb, url, sent, address=address, most_bytes=MOST_BYTES if reads else 0)
        except ForbiddenAddressError:
            raise CannotAskError(f"{parts.hostname} has an address of a private network") from None
        except UnknownHostError:
            raise CannotAskError(f"{parts.hostname} is not a known host") from None
        except Unanswered as unanswered:
            raise CannotAskError(unanswered.problem) from None


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
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if not known:
        raise CannotAskError("it is no http(s) URL")
    if parts.username or parts.password:
        raise CannotAskError("there is a name or password in the URL")
    return parts
