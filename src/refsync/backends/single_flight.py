"""One load for all who ask at once, in threads and on event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Hashable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Abandoned(Exception):  # noqa: N818  not an error: ask again
    """The one who loaded was cancelled before the end."""


class Flight:
    """A load under way, and later its result or failure.

    ``generation`` counts the invalidations that had happened before it began: only readers who know of no
    later one may take its result.
    """

    def __init__(self, generation: int, *, asynchronous: bool) -> None:
        self.generation = generation
        self._asynchronous = asynchronous
        self._thread = threading.get_ident()
        self._future: Future[Any] = Future()
        # What event loops wait for: never fails, so that a waiter who was cancelled leaves no failure
        # unseen; and it runs, so that his cancellation does not reach the others.
        self._over: Future[None] = Future()
        self._over.set_running_or_notify_cancel()

    def may_be_joined(self, generation: int, *, asynchronous: bool) -> bool:
        """Whether its result is new enough, and waiting would not block the thread that has to finish it."""
        if generation != self.generation:
            return False
        return self._thread != threading.get_ident() or (asynchronous and self._asynchronous)

    def succeed(self, result: Any) -> None:
        """Give everybody the result."""
        self._future.set_result(result)
        self._over.set_result(None)

    def fail(self, error: Exception) -> None:
        """Give everybody the failure."""
        self._future.set_exception(error)
        self._over.set_result(None)

    def result(self) -> Any:
        """Wait in this thread.

        Raises:
            Abandoned: the load was given up; ask again.
            Exception: what the load raised.
        """
        return self._future.result()

    async def wait(self) -> None:
        """Wait on this event loop until the result, or the failure, is there."""
        await asyncio.wrap_future(self._over)


class SingleFlight(Generic[Key]):
    """The loads under way, at most one that can be joined for each key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Key, Flight] = {}

    def board(self, key: Key, generation: int, *, alone: bool, asynchronous: bool = False) -> tuple[Flight, bool]:
        """The flight to take, and whether the caller leads it: the leader loads and must ``land`` it.

        With ``alone`` no load that began earlier is joined.
        """
        with self._lock:
            flight = None if alone else self._flights.get(key)
            if flight is not None and flight.may_be_joined(generation, asynchronous=asynchronous):
                return flight, False
            flight = self._flights[key] = Flight(generation, asynchronous=asynchronous)
            return flight, True

    def land(self, key: Key, flight: Flight) -> None:
        """The flight is over: nobody joins it any more."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
