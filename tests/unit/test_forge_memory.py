"""What a forge is asked, and how often: little while nothing moves, nothing while it wants to be left alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from refsync.errors import ForgeRefusedError, ForgeUnavailableError
from refsync.forges.base import Account, Forge, ForgeFacts, PullRequest, RefusedExtra
from refsync.publishing.proposals.forge_memory import ForgeMemory

HOUR, DAY = 3600.0, 24 * 3600.0
REQUESTS_OF_A_CLOSE_LOOK = 4
"""The pull request, its reviews, its check runs and its statuses."""


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class CountedForge:
    """A forge whose pull requests are told of from memory; ``asked`` holds when it was asked for how much."""

    def __init__(self, clock: Clock, count: int) -> None:
        self.clock = clock
        self.pulls = {number: _pull(number) for number in range(1, count + 1)}
        self.asked: list[tuple[float, int]] = []
        self.looked_at: list[int] = []
        self.failures: list[Exception] = []

    def find(self, head: str | None = None) -> list[PullRequest]:
        self._ask(1)
        return [pull for pull in self.pulls.values() if pull.state == "open"]

    def state(self, number: int) -> PullRequest:
        self._ask(REQUESTS_OF_A_CLOSE_LOOK)
        self.looked_at.append(number)
        return self.pulls[number]

    def open(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        raise NotImplementedError

    def update(
        self,
        number: int,
        *,
        body: str | None = None,
        comment: str | None = None,
        labels: Sequence[str] = (),
        reviewers: Sequence[str] = (),
        team_reviewers: Sequence[str] = (),
    ) -> list[RefusedExtra]:
        self._ask(1)
        return []

    def close(self, number: int, *, comment: str | None = None) -> None:
        self.pulls[number] = replace(self.pulls[number], state="closed")

    def lacking(self, commit: str) -> list[str]:
        return []

    def most_in_an_hour(self) -> int:
        return max(sum(count for at, count in self.asked if begin <= at < begin + HOUR) for begin, _ in self.asked)

    def _ask(self, count: int) -> None:
        self.asked.append((self.clock(), count))
        if self.failures:
            raise self.failures.pop(0)


def _pull(number: int) -> PullRequest:
    return PullRequest(
        number=number,
        url=f"https://example.org/{number}",
        state="open",
        title="t",
        body="b",
        head=f"refsync/batch-{number}-abc",
        head_commit=f"{number:040}",
        base="main",
        author=Account("refsync"),
        opened_at=0.0,
        updated_at=0.0,
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


def one_pass(memory: ForgeMemory, forge: CountedForge) -> dict[int, PullRequest]:
    """What a pass asks while nothing moves: the list, and a look at each pull request that it follows."""
    memory.open_requests(lambda: forge, "the same tip and heads")
    return {number: memory.look_closely(lambda: forge, number) for number in forge.pulls}


@pytest.mark.parametrize("pass_seconds", [1.0, 48.0, 60.0, 72.0])
def test_over_a_day_ten_open_requests_cost_at_most_sixty_requests_an_hour(clock: Clock, pass_seconds: float) -> None:
    memory, forge = ForgeMemory(ForgeFacts(), clock), CountedForge(clock, 10)
    one_pass(memory, forge)
    forge.asked.clear()
    end = clock.now + (DAY if pass_seconds > 1 else 3 * HOUR)
    while clock.now < end:
        clock.now += pass_seconds
        one_pass(memory, forge)
    assert forge.most_in_an_hour() <= 60


def test_each_open_request_is_looked_at_closely_in_its_turn(clock: Clock) -> None:
    memory, forge = ForgeMemory(ForgeFacts(), clock), CountedForge(clock, 5)
    one_pass(memory, forge)
    forge.looked_at.clear()
    for _ in range(60):
        clock.now += 60.0
        one_pass(memory, forge)
    assert set(forge.looked_at) == set(forge.pulls)


def test_a_close_is_noticed_within_four_minutes(clock: Clock) -> None:
    memory, forge = ForgeMemory(ForgeFacts(), clock), CountedForge(clock, 10)
    one_pass(memory, forge)
    forge.close(7)
    began = clock.now
    while one_pass(memory, forge)[7].state != "closed":
        clock.now += 72.0  # the longest pause between two fetches
    assert clock.now - began <= 240.0


def test_a_forge_that_asks_to_wait_is_left_alone_as_long_as_it_asks(clock: Clock) -> None:
    memory, forge = ForgeMemory(ForgeFacts(), clock), CountedForge(clock, 1)
    forge.failures = [ForgeUnavailableError("wait", retry_seconds=3000.0)]
    for pause in (0.0, 2999.0):
        clock.now += pause
        with pytest.raises(ForgeUnavailableError, match="wait"):
            one_pass(memory, forge)
    assert len(forge.asked) == 1
    clock.now += 2.0
    assert set(one_pass(memory, forge)) == {1}


def test_a_forge_that_is_down_is_asked_less_and_less_often(clock: Clock) -> None:
    memory, forge = ForgeMemory(ForgeFacts(), clock), CountedForge(clock, 1)
    forge.failures = [ForgeUnavailableError("down") for _ in range(1000)]
    for _ in range(int(HOUR)):
        clock.now += 1.0
        with pytest.raises(ForgeUnavailableError):
            one_pass(memory, forge)
    assert len(forge.asked) < 15


def label(memory: ForgeMemory, forge: CountedForge, about: str) -> list[RefusedExtra]:
    open_forge: Callable[[], Forge] = lambda: forge  # noqa: E731
    return memory.call(open_forge, lambda each: each.update(1, labels=["x"]), about=about)


def test_what_is_refused_about_one_batch_holds_up_no_other(clock: Clock) -> None:
    memory, forge = ForgeMemory(ForgeFacts(), clock), CountedForge(clock, 1)
    forge.failures = [ForgeRefusedError("no commits between main and it")]
    with pytest.raises(ForgeRefusedError):
        label(memory, forge, "one")
    with pytest.raises(ForgeUnavailableError, match="no commits"):
        label(memory, forge, "one")
    assert label(memory, forge, "another") == []
    clock.now += 20.0
    assert label(memory, forge, "one") == []
