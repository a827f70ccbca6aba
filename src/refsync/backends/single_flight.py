"""One load for all who ask at once."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Abandoned(Exception):  # noqa: N818  not an error: ask again
    """The one who loaded was interrupted before the end."""


class Flight:
    """A load under way, and later its result or failure.

    ``generation`` counts the invalidations that had happened before it began: only readers who know of no
    later one may take its result.
    """

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self._thread = threading.get_ident()
        self._future: Future[Any] = Future()

    def may_be_joined(self, generation: int) -> bool:
        """Whether its result is new enough, and waiting would not block the thread that has to finish it."""
        return generation == self.generation and self._thread != threading.get_ident()

    def succeed(self, result: Any) -> None:
        """Give everybody the result."""
        self._future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Give everybody the failure."""
        self._future.set_exception(error)

    def result(self) -> Any:
        """Wait in this thread.

        Raises:
            Abandoned: the load was given up; ask again.
            Exception: what the load raised.
        """
        return self._future.result()


class SingleFlight(Generic[Key]):
    """The loads under way, at most one that can be joined for each key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Key, Flight] = {}

    def board(self, key: Key, generation: int, *, alone: bool) -> tuple[Flight, bool]:
        """The flight to take, and whether the caller leads it: the leader loads and must ``land`` it.

        With ``alone`` no load that began earlier is joined.
        """
        with self._lock:
            flight = None if alone else self._flights.get(key)
            if flight is not None and flight.may_be_joined(generation):
                return flight, False
            flight = self._flights[key] = Flight(generation)
            return flight, True

    def land(self, key: Key, flight: Flight) -> None:
        """The flight is over: nobody joins it any more."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
