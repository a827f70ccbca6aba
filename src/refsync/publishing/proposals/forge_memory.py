"""What a forge said, remembered between passes: it is asked at a measured pace, and left alone while it is down.

While nothing moves, one request lists what is open every two and a half minutes, and every eight minutes one pull
request is looked at closely, in four requests, each in its turn: 54 requests an hour.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from refsync.errors import CredentialError, ForgeRefusedError, ForgeUnavailableError
from refsync.forges.base import Forge, ForgeFacts, PullRequest

LIST_SECONDS = 150.0
CLOSE_LOOK_SECONDS = 480.0
FIRST_PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 600.0
Marks = dict[int, tuple[str, str | None, str | None]]
"""For each batch the tip, head and merge commit that its landing was last looked for in, and not found."""
_T = TypeVar("_T")
_NEVER = float("-inf")


@dataclass(frozen=True)
class _Pause:
    """How long not to ask, the how-manieth time in a row, and why."""

    until: float
    count: int
    problem: str


class ForgeMemory:
    """The forge of one repository, as this process knows it."""

    def __init__(self, facts: ForgeFacts, clock: Callable[[], float] = time.monotonic) -> None:
        self.facts = facts
        self._clock = clock
        self._forge: Forge | None = None
        self._pauses: dict[Hashable, _Pause] = {}
        self.open: dict[int, PullRequest] = {}
        """The open pull requests by number, as they were listed last."""
        self._listed_at = _NEVER
        self._listed_for: Hashable = None
        self._close_looks: dict[int, tuple[float, PullRequest | None, PullRequest]] = {}
        self._last_close_look = clock()
        self.marks: Marks = {}
        self.touched: dict[str, frozenset[tuple[str, str]]] = {}
        """For the head of each pull request of a person, the files and models that it touches."""

    def call(self, open_forge: Callable[[], Forge], do: Callable[[Forge], _T], *, about: Hashable = None) -> _T:
        """Ask the forge for something, unless it is to be left alone.

        A refusal stops only what is asked ``about`` the same again for a while, so that one batch that it does not like
        holds up no other; a forge that is down is left alone altogether.

        Raises:
            ForgeUnavailableError: it does not answer, asked to wait, or did so a short time ago.
            ForgeRefusedError: it refuses.
        """
        for pause in filter(None, map(self._pauses.get, (None, about))):
            if self._clock() < pause.until:
                raise ForgeUnavailableError(pause.problem)
        try:
            self._forge = self._forge or open_forge()
            answer = do(self._forge)
        except CredentialError as failure:  # the forge was not asked, so nothing is lost by trying again soon
            raise ForgeRefusedError(str(failure)) from None
        except ForgeUnavailableError as failure:
            self._pause(None, str(failure), failure.retry_seconds)
            raise
        except ForgeRefusedError as failure:
            self._pause(about, str(failure))
            raise
        for ended in {None, about}:
            self._pauses.pop(ended, None)
        return answer

    def leave_alone(self, about: Hashable, problem: str) -> None:
        """Ask nothing about something for a while."""
        self._pause(about, problem)

    def rests(self, about: Hashable) -> bool:
        """Whether something is to be left alone for now."""
        pause = self._pauses.get(about)
        return pause is not None and self._clock() < pause.until

    def _pause(self, about: Hashable, problem: str, asked: float | None = None) -> None:
        count = self._pauses[about].count + 1 if about in self._pauses else 0
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(count, 16))
        self._pauses[about] = _Pause(self._clock() + (asked or pause), count, problem)

    def open_requests(self, open_forge: Callable[[], Forge], moved: Hashable) -> dict[int, PullRequest]:
        """The open pull requests by number; listed anew when ``moved`` is another than last time, or it is time."""
        now = self._clock()
        if moved != self._listed_for or now - self._listed_at >= LIST_SECONDS:
            self.open = {each.number: each for each in self.call(open_forge, lambda forge: forge.find())}
            self._listed_at, self._listed_for = now, moved
        return self.open

    def look_closely(self, open_forge: Callable[[], Forge], number: int) -> PullRequest:
        """One pull request with all that the forge knows: asked where the list shows news, else now and then."""
        now, listed = self._clock(), self.open.get(number)
        _, seen_listed, seen = self._close_looks.get(number, (_NEVER, None, None))
        due = now - self._last_close_look >= CLOSE_LOOK_SECONDS and self._was_seen_longest_ago(number)
        if seen is None or listed != seen_listed or due:
            seen = self.call(open_forge, lambda forge: forge.state(number), about=number)
            self._close_looks[number] = now, listed, seen
            if due:
                self._last_close_look = now
        return seen

    def _was_seen_longest_ago(self, number: int) -> bool:
        return number == min(self._close_looks, key=lambda each: self._close_looks[each][0], default=None)

    def expect_news(self) -> None:
        """Something was done that changes what the forge says."""
        self._listed_at = _NEVER

    def forget_all_but(self, numbers: Iterable[int]) -> None:
        """Drop what is known of pull requests that nobody follows any more."""
        for number in self._close_looks.keys() - set(numbers):
            del self._close_looks[number]


class ForgeMemories(defaultdict[str, ForgeMemory]):
    """By the name of the repository."""

    def __init__(self, facts: ForgeFacts) -> None:
        super().__init__(partial(ForgeMemory, facts))
