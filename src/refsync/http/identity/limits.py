"""How often one address may guess."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

FAILURES = 10
WINDOW_SECONDS = 60.0
_MOST_ADDRESSES = 10_000


class FailedAttempts:
    """The failures of the last minute by address; of too many addresses the oldest are forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def note(self, address: str) -> None:
        """One more."""
        failures = self._failures.setdefault(address, deque(maxlen=FAILURES))
        failures.append(self._clock())
        self._failures.move_to_end(address)
        if len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)

    def seconds_shut(self, address: str) -> float:
        """How long the address has to wait; 0 where it may try."""
        failures = self._failures.get(address)
        if failures is None or len(failures) < FAILURES:
            return 0.0
        return max(0.0, failures[0] + WINDOW_SECONDS - self._clock())
