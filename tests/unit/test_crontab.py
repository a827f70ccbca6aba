from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.config import next_time
from refsync.config.crontab import MachineZone


def due(line: str, start: datetime, count: int, zone: tzinfo) -> list[datetime]:
    found, now = [], start.timestamp()
    for _ in range(count):
        now = next_time(line, now, zone)
        found.append(datetime.fromtimestamp(now, zone))
    return found


def next_days(line: str, count: int = 7) -> set[str]:
    return {each.strftime("%a").lower() for each in due(line, datetime(2026, 1, 1, tzinfo=UTC), count, UTC)}


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("0", "sun"),
        ("7", "sun"),
        ("1", "mon"),
        ("1-5", "mon tue wed thu fri"),
        ("mon-fri", "mon tue wed thu fri"),
        ("FRI-7", "fri sat sun"),
        ("*/2", "sun tue thu sat"),
        ("0-6/3", "sun wed sat"),
        ("1,sat", "mon sat"),
        ("*", "sun mon tue wed thu fri sat"),
    ],
)
def test_weekday_numbers_mean_what_they_mean_in_cron(field: str, days: str) -> None:
    assert next_days(f"0 6 * * {field}") == set(days.split())


@pytest.mark.parametrize("field", ["8", "-1", "x", "5-1", "fri-sun", "1-", "*/0", "1/x", ""])
def test_a_weekday_that_cron_does_not_know_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match="is no cron line"):
        next_time(f"0 6 * * {field}", 0.0, UTC)


def test_a_day_of_the_month_or_a_day_of_the_week_will_do_as_in_debian() -> None:
    days = due("0 6 1,15 * 1", datetime(2026, 1, 1, 12, tzinfo=UTC), 4, UTC)
    assert [day.day for day in days] == [5, 12, 15, 19]
    both = due("0 6 */10 * 1", datetime(2026, 6, 2, tzinfo=UTC), 1, UTC)  # as a field begins with a star
    assert [(day.month, day.day) for day in both] == [(8, 31)]


@pytest.fixture(params=["CET-1CEST", "CET-1CEST,M3.5.0,M10.5.0/3"])
def summer_and_winter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tzinfo]:
    """The machine's own zone, by the C library, whose rules for the first are those of the United States."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield MachineZone()
    monkeypatch.undo()
    time.tzset()


def test_a_schedule_keeps_its_weekday_over_the_changes_of_the_clock(summer_and_winter: tzinfo) -> None:
    mondays = due("0 0 * * 1", datetime(2026, 1, 1, tzinfo=summer_and_winter), 52, summer_and_winter)
    assert {(day.weekday(), day.hour, day.minute) for day in mondays} == {(0, 0, 0)}
    assert {(later.date() - day.date()).days for day, later in pairwise(mondays)} == {7}


@given(st.integers(0, 59), st.integers(0, 23), st.integers(0, 364 * 24 * 4))
def test_a_daily_time_comes_once_a_day_whatever_the_clock_does(minute: int, hour: int, quarters: int) -> None:
    with mock.patch.dict(os.environ, TZ="CET-1CEST,M3.5.0,M10.5.0/3"):
        time.tzset()
        zone = MachineZone()
        after = datetime(2026, 1, 1, tzinfo=UTC).timestamp() + quarters * 900
        days = due(f"{minute} {hour} * * *", datetime.fromtimestamp(after, UTC), 3, zone)
    time.tzset()
    assert days[0].timestamp() > after
    assert [(later.date() - day.date()).days for day, later in pairwise(days)] == [1, 1]
