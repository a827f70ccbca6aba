"""When a cron line comes due, as Debian's cron counts it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo


class MachineZone(tzinfo):
    """The machine's own time as the C library tells it: it has an answer to whatever ``TZ`` says."""

    def utcoffset(self, when: datetime | None) -> timedelta:
        """How far the machine's clock on the wall is ahead of UTC."""
        assert when is not None
        shown = when.replace(tzinfo=None)
        return shown - datetime.fromtimestamp(shown.timestamp(), UTC).replace(tzinfo=None)

    def dst(self, when: datetime | None) -> None:
        """Not told: nobody asks."""

    def tzname(self, when: datetime | None) -> None:
        """Not told: nobody asks."""

    def fromutc(self, when: datetime) -> datetime:
        """What the clock on the wall shows."""
        return datetime.fromtimestamp(when.replace(tzinfo=UTC).timestamp()).replace(tzinfo=self)


_MACHINE = MachineZone()


def next_time(line: str, after: float, zone: tzinfo = _MACHINE) -> float:
    """The first time behind another one at which a cron line is due, both in Unix seconds.

    A time of day that the spring change leaves out is due right after the gap, one that the autumn change repeats
    is due once. Where day of the month and weekday are both given, either will do.

    Args:
        line: minute, hour, day of month, month, day of week.
        after: what it has to come behind.
        zone: the time zone that the line is meant in; the machine's own unless told.

    Returns:
        The time; infinity where it does not come in fifty years.

    Raises:
        ValueError: the line is no cron line.
    """
    times = _times(line, datetime.fromtimestamp(after, zone))
    # They start from what the clock on the wall showed, which in autumn may lie an hour back.
    return next((due.timestamp() for due in times if due.timestamp() > after), float("inf"))


def check_cron_line(line: str) -> None:
    """See that a cron line comes due.

    Raises:
        ValueError: it is no cron line, or its time never comes.
    """
    if next_time(line, 0.0, UTC) == float("inf"):
        raise ValueError(f"{line!r} is a time that never comes")


def _times(line: str, start: datetime) -> Iterator[datetime]:
    from cronsim import CronSim, CronSimError  # seldom needed

    fields = line.split()
    try:
        if len(fields) == 5:  # cronsim knows seconds, too
            return CronSim(line, start)
    except CronSimError:
        if fields[3] != "*" and _is_cron_line([*fields[:3], "*", "*"]) and _is_cron_line(["*", "*", "*", *fields[3:]]):
            return iter(())  # cronsim refuses the 30th of February as it does the 32nd
    raise ValueError(f"{line!r} is no cron line of five fields such as '0 6 * * *'")


def _is_cron_line(fields: list[str]) -> bool:
    from cronsim import CronSim, CronSimError

    try:
        CronSim(" ".join(fields), datetime.fromtimestamp(0, UTC))
    except CronSimError:
        return False
    return True
