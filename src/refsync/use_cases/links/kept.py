"""What hosts said of links, the last time that they were asked."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from refsync.application import Application
from refsync.categories import CategoryName
from refsync.hosts.link import Link
from refsync.hosts.verdict import Found, Standing, Verdict, judge
from refsync.pending_queue.store.link_checks import LinkCheck
from refsync.plain_text import shortened
from refsync.use_cases.answer import Answer, Text

WRONG = frozenset({Verdict.gone, Verdict.changed})

_HOUR_SECONDS = 3_600.0


class LinkAnswer(Answer):
    """What became of one link of a record.

    ``verdict`` is ``None`` where its host was never asked. ``said_sha256`` and ``said_size`` are what the record says
    of the file, ``sha256`` and ``size`` (in bytes) what its host says; ``why`` is what is unknown, ``elsewhere``
    another place of the same file. Times are Unix seconds.
    """

    category: str
    model_name: Text
    url: Text
    host: Text
    verdict: Verdict | None
    said_sha256: str | None
    said_size: int | None
    sha256: str | None
    size: int | None
    why: str | None
    elsewhere: str | None
    checked_at: float | None

    @property
    def is_wrong(self) -> bool:
        """Whether its host says that the record is wrong."""
        return self.verdict in WRONG


@dataclass(frozen=True)
class Kept:
    """What is kept of some links, by their keys."""

    checks: Mapping[str, LinkCheck]

    def verdict(self, link: Link) -> Verdict | None:
        """What is true of a link; ``None`` where nothing is known."""
        check = self.checks.get(link.key)
        return None if check is None else judge(link, _found(check))

    def is_settled(self, link: Link, since: float) -> bool:
        """Whether a link needs no asking: its host has said since a moment (in Unix seconds) how it is."""
        check = self.checks.get(link.key)
        return check is not None and check.checked_at >= since and check.standing != Standing.unknown

    def answer(self, category: CategoryName, model: str, link: Link) -> LinkAnswer:
        """What became of a link of a model."""
        check = self.checks.get(link.key)
        return LinkAnswer(
            category=category,
            model_name=model,
            url=link.url,
            host=link.host,
            verdict=self.verdict(link),
            said_sha256=link.sha256,
            said_size=link.size,
            sha256=check and check.sha256,
            size=check and check.size,
            why=check and check.why,
            elsewhere=check and check.elsewhere,
            checked_at=check and check.checked_at,
        )


def kept_of(application: Application, links: Iterable[Link]) -> Kept:
    """What is kept of these links."""
    keys = {link.key for link in links}
    if not keys:
        return Kept({})
    with application.store.reading() as transaction:
        return Kept(transaction.links.kept(keys))


def fresh_since(application: Application) -> float:
    """What was said before this moment is asked again."""
    return time.time() - application.config.probe.again_after_hours * _HOUR_SECONDS


def checks_of(answers: Iterable[tuple[Link, Found]]) -> Iterator[LinkCheck]:
    """What hosts just said, as it is kept."""
    for link, found in answers:
        yield LinkCheck(
            key=link.key,
            standing=found.standing,
            sha256=found.sha256,
            size=found.size,
            why=found.why and shortened(found.why),
            elsewhere=found.elsewhere,
            checked_at=time.time(),
        )


def _found(check: LinkCheck) -> Found:
    return Found(Standing(check.standing), check.sha256, check.size, check.why, check.elsewhere)
