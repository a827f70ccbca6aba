"""Cron lines with cron's own meaning, for a scheduler that reads them a little differently."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def cron_trigger(line: str, timezone: tzinfo | None = None) -> CronTrigger:
    """Read a cron line as cron does.

    APScheduler 3 counts weekdays from Monday, cron from Sunday; so they are handed on as names.

    Args:
        line: minute, hour, day of month, month, day of week.
        timezone: in which the times are meant; ``None`` is the machine's own.

    Raises:
        ValueError: the line is no cron line, its time never comes, or the two would differ about it.
    """
    from apscheduler.triggers.cron import CronTrigger  # slow to import, seldom needed

    try:
        minute, hour, day, month, weekday = line.split()
        fields = " ".join((minute, hour, day, month, _weekday_names(weekday)))
        trigger = CronTrigger.from_crontab(fields, timezone=UTC)
    except ValueError:
        raise ValueError(f"{line!r} is no cron line of five fields such as '0 6 * * *'") from None
    if "*" not in (day, weekday):
        # Cron fires when either of them matches, APScheduler when both do.
        raise ValueError(f"{line!r} names a day of the month and a day of the week; give only one of them")
    if trigger.get_next_fire_time(None, datetime.now(UTC)) is None:
        raise ValueError(f"{line!r} is a time that never comes")
    return CronTrigger.from_crontab(fields, timezone=timezone)


def _weekday_names(field: str) -> str:
    if field == "*":
        return field
    days = {day % 7 for part in field.split(",") for day in _weekdays(part)}
    return ",".join(_WEEKDAYS[day] for day in sorted(days))


def _weekdays(part: str) -> range:
    """Read ``*``, ``a`` or ``a-b``, each with an optional ``/step``; Sunday is 0 and 7."""
    span, _, step = part.partition("/")
    first, dash, last = ("0", "-", "6") if span == "*" else span.partition("-")
    start = _weekday(first)
    stop = _weekday(last) if dash else 6 if step else start
    if start > stop == 0:
        stop = 7  # fri-sun
    if start > stop:
        raise ValueError(part)
    return range(start, stop + 1, int(step or 1))


def _weekday(text: str) -> int:
    name = text.casefold()
    day = _WEEKDAYS.index(name) if name in _WEEKDAYS else int(name)
    if not 0 <= day <= 7:
        raise ValueError(text)
    return day
