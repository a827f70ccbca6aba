"""The ecosystem's own accounts: the horde is asked whose key it is, and neither key nor answer is kept for long."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from loguru import logger

from refsync.http.identity.callers import LONGEST_KEY, Caller, Person, ProviderAwayError
from refsync.pending_queue.payloads import check_line, parse_json

KNOWN_SECONDS = 60.0
UNKNOWN_SECONDS = 15.0
DEADLINE_SECONDS = 5.0
FAILURES_UNTIL_OPEN = 3
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 120.0
_MOST_KEPT = 10_000
_MOST_BYTES = 64 * 1024
_UNKNOWN = (401, 403, 404)


@dataclass
class Breaker:
    """Whether to ask at all: after some failures in a row not before a pause, which doubles with each further one."""

    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    closed_at: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether nobody is asked now."""
        return self.seconds_until_retry > 0

    @property
    def seconds_until_retry(self) -> float:
        """How long nobody is asked."""
        return max(0.0, self.closed_at - self.clock())

    def succeed(self) -> None:
        """Somebody answered."""
        self.failures = 0
        self.closed_at = 0.0

    def fail(self) -> None:
        """Nobody did."""
        self.failures += 1
        if (beyond := self.failures - FAILURES_UNTIL_OPEN) >= 0:
            self.closed_at = self.clock() + min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(beyond, 10))


class Horde:
    """People with an account there.

    Args:
        url: of the horde, without ``/api``.
        transport: how it is reached; the network by default.
        clock: seconds that only grow.
    """

    name = "horde"
    asks_others = True

    def __init__(
        self,
        url: str,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = f"{url}/api/v2/find_user"
        self._client = httpx.AsyncClient(transport=transport, timeout=DEADLINE_SECONDS, trust_env=transport is None)
        self._clock = clock
        self._answers: OrderedDict[bytes, tuple[float, Person | None]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Person | None]] = {}
        self.breaker = Breaker(clock)

    async def close(self) -> None:
        """Hang up."""
        for task in self._asking.values():
            task.cancel()
        await self._client.aclose()

    async def identify(self, caller: Caller) -> Person | None:
        """By the key."""
        if caller.key is None or not caller.key.isascii() or not 0 < len(caller.key) <= LONGEST_KEY:
            return None
        hashed = hashlib.sha256(caller.key.encode()).digest()
        good_until, person = self._answers.get(hashed, (0.0, None))
        if self._clock() < good_until:
            return person
        return await self._ask_once(hashed, caller.key)

    async def _ask_once(self, hashed: bytes, key: str) -> Person | None:
        """One question for all who ask it at once; who gives up waiting does not end it for the others."""
        if hashed not in self._asking:
            if self.breaker.is_open:
                raise ProviderAwayError("the horde does not answer", self.breaker.seconds_until_retry)
            task = asyncio.create_task(self._ask(hashed, key))
            self._asking[hashed] = task
            task.add_done_callback(lambda done: self._forget(hashed, done))
        return await asyncio.shield(self._asking[hashed])

    def _forget(self, hashed: bytes, done: asyncio.Task[Person | None]) -> None:
        del self._asking[hashed]
        if not done.cancelled():
            done.exception()  # who waited has it; where nobody does any more, it is no news

    async def _ask(self, hashed: bytes, key: str) -> Person | None:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                person = await self._find_user(key)
        except (httpx.HTTPError, TimeoutError, ValueError) as problem:
            self.breaker.fail()
            logger.warning("the horde does not say whose a key is: {}: {}", type(problem).__name__, problem)
            seconds = max(1.0, self.breaker.seconds_until_retry)
            raise ProviderAwayError("the horde does not answer", seconds) from None
        self.breaker.succeed()
        self._answers[hashed] = (self._clock() + (UNKNOWN_SECONDS if person is None else KNOWN_SECONDS), person)
        self._answers.move_to_end(hashed)
        if len(self._answers) > _MOST_KEPT:
            self._answers.popitem(last=False)
        return person

    async def _find_user(self, key: str) -> Person | None:
        """Raises ValueError for an answer that is none."""
        async with self._client.stream("GET", self._url, headers={"apikey": key, "accept": "application/json"}) as got:
            if got.status_code in _UNKNOWN:
                return None
            if got.status_code != httpx.codes.OK:
                raise ValueError(f"status {got.status_code}")
            body = b""
            async for part in got.aiter_bytes():
                body += part
                if len(body) > _MOST_BYTES:
                    raise ValueError("an answer without end")
        return _person(parse_json(body, what="answer"))


def _person(answer: Any) -> Person:
    """Of ``{"username": "name#id"}``."""
    told = answer.get("username") if isinstance(answer, dict) else None
    if not isinstance(told, str) or "#" not in told:
        raise ValueError("an answer that names nobody")
    name, _, id = told.rpartition("#")
    return Person("horde", check_line("horde id", id, limit=64), check_line("horde name", name or id, limit=255))
