"""What a forge said, remembered between passes: it is asked at a measured pace, and left alone while it is down.

While nothing moves, one request in three minutes lists what is open, and one pull request in five minutes is
looked at closely: fewer than 60 requests an hour.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from refsync.errors import CredentialError, ForgeRefusedError, ForgeUnavailableError
from refsync.forges.base import Forge, PullRequest

LIST_SECONDS = 180.0
CLOSE_LOOK_SECONDS = 300.0
FIRST_PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 600.0
_T = TypeVar("_T")
_NEVER = float("-inf")


class ForgeMemory:
    """The forge of one repository, as this process knows it; ``problem`` is why it is left alone now."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.problem: str | None = None
        self._clock = clock
        self._forge: Forge | None = None
        self._pause_until = _NEVER
        self._pauses = 0
        self._open: dict[int, PullRequest] = {}
        self._listed_at = _NEVER
        self._listed_for: Hashable = None
        self._close_looks: dict[int, tuple[float, PullRequest | None, PullRequest]] = {}
        self._last_close_look = _NEVER
        self.marks: dict[int, tuple[str, str | None, str | None]] = {}
        """For each batch the tip, head and merge commit that its landing was last looked for in, and not found."""
        self.touched: dict[str, frozenset[tuple[str, str]]] = {}
        """For the head of each pull request of a person, the files and models that it touches."""

    def call(self, open_forge: Callable[[], Forge], do: Callable[[Forge], _T]) -> _T:
        """Ask the forge for something, unless it is to be left alone.

        Raises:
            ForgeUnavailableError: it does not answer, asked to wait, or did so a short time ago.
            ForgeRefusedError: it refuses.
        """
        if self._clock() < self._pause_until:
            raise ForgeUnavailableError(self.problem or "the forge is left alone")
        try:
            self._forge = self._forge or open_forge()
            answer = do(self._forge)
        except CredentialError as failure:  # the forge was not asked, so nothing is lost by trying again soon
            raise ForgeRefusedError(str(failure)) from None
        except (ForgeUnavailableError, ForgeRefusedError) as failure:
            self._pause(failure)
            raise
        self.problem, self._pauses = None, 0
        return answer

    def _pause(self, failure: ForgeUnavailableError | ForgeRefusedError) -> None:
        asked = failure.retry_seconds if isinstance(failure, ForgeUnavailableError) else None
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**self._pauses)
        self._pause_until = self._clock() + (asked or pause)
        self._pauses = min(self._pauses + 1, 16)
        self.problem = str(failure)

    def open_requests(self, open_forge: Callable[[], Forge], moved: Hashable) -> dict[int, PullRequest]:
        """The open pull requests by number; listed anew when ``moved`` is another than last time, or it is time."""
        now = self._clock()
        if moved != self._listed_for or now - self._listed_at >= LIST_SECONDS:
            self._open = {each.number: each for each in self.call(open_forge, lambda forge: forge.find())}
            self._listed_at, self._listed_for = now, moved
        return self._open

    def look_closely(self, open_forge: Callable[[], Forge], number: int) -> PullRequest:
        """One pull request with all that the forge knows: asked where the list shows news, else now and then."""
        now, listed = self._clock(), self._open.get(number)
        seen_at, seen_listed, seen = self._close_looks.get(number, (_NEVER, None, None))
        due = now - seen_at >= CLOSE_LOOK_SECONDS and now - self._last_close_look >= CLOSE_LOOK_SECONDS
        if seen is None or listed != seen_listed or due:
            seen = self.call(open_forge, lambda forge: forge.state(number))
            self._close_looks[number] = now, listed, seen
            if due:
                self._last_close_look = now
        return seen

    def expect_news(self) -> None:
        """Something was done that changes what the forge says."""
        self._listed_at = _NEVER

    def forget_all_but(self, numbers: Iterable[int]) -> None:
        """Drop what is known of pull requests that nobody follows any more."""
        for number in self._close_looks.keys() - set(numbers):
            del self._close_looks[number]


class ForgeMemories(defaultdict[str, ForgeMemory]):
    """By the name of the repository."""

    def __init__(self) -> None:
        super().__init__(ForgeMemory)
