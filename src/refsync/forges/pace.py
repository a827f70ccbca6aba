"""How fast a forge is written to, and whose clock says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Pace:
    """Between two writes lie at least ``write_seconds``; clock and sleep are handed in, for tests that do not wait."""

    write_seconds: float = 1.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _next_write: float = field(default=float("-inf"), init=False)

    def await_turn_to_write(self) -> None:
        """Sleep until the next write may be sent."""
        left = self._next_write - self.clock()
        if left > 0:
            self.sleep(left)
        self._next_write = self.clock() + self.write_seconds
