"""What hosts say of the links that changes bring: advice for reviewers, which refuses nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from refsync.application import Application
from refsync.categories import Catalogue
from refsync.errors import RefsyncError, told
from refsync.hosts.link import Link, links_brought
from refsync.pending_queue.lifecycle import OPEN_STATUSES
from refsync.pending_queue.models import PendingChangeDiffPage, PendingChangeRecord, PendingQueueFilter
from refsync.use_cases.links.kept import LinkAnswer, fresh_since, kept_of

if TYPE_CHECKING:
    from refsync.hosts.asking import Asking


class AdvisedChange(PendingChangeRecord):
    """A change, and what hosts said of the links that it brings."""

    links: list[LinkAnswer]


class AdvisedDiffs(PendingChangeDiffPage):
    """Changes compared, and what hosts said of the links that they bring, by their ids."""

    links: dict[int, list[LinkAnswer]]


class Unasked(NamedTuple):
    """Links of open changes that their hosts have to be asked about, and the last change that was looked at."""

    links: list[Link]
    last_change: int


def new_links(change: PendingChangeRecord, catalogue: Catalogue) -> list[Link]:
    """The links that a change brings: those of its record that are not in the one that it was made from."""
    return links_brought(change.payload or {}, change.base or {}, catalogue[change.category].links)


def advised(application: Application, change: PendingChangeRecord) -> AdvisedChange:
    """A change with what is known of its links; no host is asked."""
    return AdvisedChange(**dict(change), links=_answers(application, [change])[change.change_id])


def advised_diffs(application: Application, page: PendingChangeDiffPage) -> AdvisedDiffs:
    """A page of diffs with what is known of the links of the changes that they are of; no host is asked.

    Of a change that was purged since it was compared nothing is known.
    """
    with application.store.reading() as queue:
        changes = [change for diff in page.diffs if (change := queue.change(diff.change_id)) is not None]
    answers = _answers(application, changes)
    return AdvisedDiffs(**dict(page), links={change_id: links for change_id, links in answers.items() if links})


def ask_at_submission(application: Application, changes: Sequence[PendingChangeRecord]) -> None:
    """Ask about the links that new changes bring, for so long as the config allows; the daemon asks about the rest.

    Whatever fails is logged: the changes are submitted, and advice can wait.
    """
    settings, catalogue = application.config.probe, application.config.catalogue
    links = dict.fromkeys(link for change in changes for link in new_links(change, catalogue))
    if not links or not settings.changes or not settings.submission_seconds:
        return
    from refsync.use_cases.links.asking import ask_hosts, asking_of, prober_of, turn_to_ask

    try:
        kept, since = kept_of(application, links), fresh_since(application)
        wanted = [link for link in links if not kept.is_settled(link, since)]
        asking = asking_of(application, within_seconds=settings.submission_seconds)
        with turn_to_ask(application, settings.submission_seconds) as held:
            if held:
                prober = prober_of(settings, asking, longest_wait=0.0)
                deque(ask_hosts(application, prober, wanted, keeps_unknown=False), maxlen=0)
    except (RefsyncError, OSError) as problem:
        from loguru import logger  # slow, and hardly ever needed

        logger.warning("hosts could not be asked about the links of what was submitted: {}", told(problem))


def unasked(application: Application, after: int) -> Unasked:
    """The links of open changes behind an id of which nothing certain is known that is as new as the change."""
    again = time.time() - fresh_since(application)
    brought: list[tuple[Link, float]] = []
    wanted = PendingQueueFilter(statuses=set(OPEN_STATUSES))
    for change in application.queue.iterate_changes(wanted, after=after):
        after = change.change_id
        brought += ((link, change.requested_at) for link in new_links(change, application.config.catalogue))
    kept = kept_of(application, (link for link, _ in brought))
    links = dict.fromkeys(link for link, asked_for in brought if not kept.is_settled(link, asked_for - again))
    return Unasked(list(links), after)


def ask_later(application: Application, asking: Asking, links: Sequence[Link]) -> Iterator[Link]:
    """Ask about links that were found by :func:`unasked`; gives those that remain unknown.

    Raises:
        RefsyncError: what was said cannot be kept.
    """
    from refsync.hosts.verdict import Verdict
    from refsync.use_cases.links.asking import ask_hosts, prober_of

    for probed in ask_hosts(application, prober_of(application.config.probe, asking), links):
        if probed.verdict is Verdict.unknown:
            yield probed.link


def _answers(application: Application, changes: Sequence[PendingChangeRecord]) -> dict[int, list[LinkAnswer]]:
    """What is known of the links that changes bring, by the changes' ids."""
    brought = [(change, new_links(change, application.config.catalogue)) for change in changes]
    kept = kept_of(application, (link for _, links in brought for link in links))
    return {
        change.change_id: [kept.answer(change.category, change.model_name, link) for link in links]
        for change, links in brought
    }
