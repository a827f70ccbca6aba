"""What hosts said of links, and how often they were asked, kept beside the queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ConfigDict
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from refsync.deferred import Deferred
from refsync.pending_queue.store.rows import understood
from refsync.pending_queue.store.schema import hosts_asked, link_checks
from refsync.pending_queue.store.statements import chunks

_KEPT_SECONDS = 180 * 86_400.0
_HERE = (hosts_asked.c.host == bindparam("of_host")) & (hosts_asked.c.day == bindparam("of_day"))


class LinkCheck(Deferred):
    """What a host said of a link: ``standing`` is whether the file is there.

    ``key`` is what is the same of all such links; ``sha256`` and ``size`` (in bytes) are the file's; ``why`` is what is
    unknown, ``elsewhere`` another place of the same file. Times are Unix seconds.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    standing: str
    sha256: str | None = None
    size: int | None = None
    why: str | None = None
    elsewhere: str | None = None
    checked_at: float


class LinkChecks:
    """All of them, as one transaction sees them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def kept(self, keys: Iterable[str]) -> dict[str, LinkCheck]:
        """What is kept of links, by their keys."""
        found = {}
        for some in chunks(sorted(set(keys))):
            query = select(link_checks).where(link_checks.c.key.in_(some))
            for row in self._connection.execute(query).mappings():
                found[row["key"]] = understood(LinkCheck, row, f"the link check {row['key']}")
        return found

    def keep(self, checks: Sequence[LinkCheck]) -> None:
        """Keep these, each in the place of what was kept of its link; what is very old is forgotten."""
        if not checks:
            return
        rows = {check.key: check.model_dump() for check in checks}
        too_old = max(check.checked_at for check in checks) - _KEPT_SECONDS
        self._connection.execute(delete(link_checks).where(link_checks.c.checked_at < too_old))
        for some in chunks(rows):
            self._connection.execute(delete(link_checks).where(link_checks.c.key.in_(some)))
        self._connection.execute(insert(link_checks), list(rows.values()))

    def asked_on(self, day: int) -> dict[str, int]:
        """How many questions each host was asked on a day, which is counted from the epoch."""
        query = select(hosts_asked.c.host, hosts_asked.c.questions).where(hosts_asked.c.day == day)
        return {row.host: row.questions for row in self._connection.execute(query)}

    def count_asked(self, questions: Mapping[str, int], day: int) -> None:
        """Add to the questions that hosts were asked on a day; those of earlier days are forgotten."""
        self._connection.execute(delete(hosts_asked).where(hosts_asked.c.day < day))
        more = update(hosts_asked).where(_HERE).values(questions=hosts_asked.c.questions + bindparam("more"))
        for host, count in questions.items():
            here: dict[str, Any] = {"of_host": host, "of_day": day, "more": count}
            if not self._connection.execute(more, here).rowcount:
                self._connection.execute(insert(hosts_asked).values(host=host, day=day, questions=count))
