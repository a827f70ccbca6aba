"""Hosts asked about links: by one process of a machine at a time, no oftener in a day than they may be, all kept."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from refsync.application import Application
from refsync.config.settings import ProbeSettings
from refsync.errors import RequestError
from refsync.file_locks import locked_within
from refsync.hosts.asking import Asking
from refsync.hosts.link import Link
from refsync.hosts.probing import Hosts, Probed, Prober
from refsync.hosts.verdict import Standing
from refsync.pending_queue.store.copying import store_file
from refsync.use_cases.links.kept import checks_of

_DAY_SECONDS = 86_400
_KEPT_AT_ONCE = 20


def prober_of(settings: ProbeSettings, asking: Asking, *, longest_wait: float = 60.0) -> Prober:
    """What asks about links, as the config says."""
    return Prober(asking, Hosts(settings.hugging_face, settings.civitai), longest_wait=longest_wait)


def asking_of(application: Application, *, within_seconds: float = math.inf) -> Asking:
    """What asks hosts as the config lets it, and no oftener than is left of today; after so many seconds no more."""
    settings = application.config.probe
    with application.store.reading() as transaction:
        asked = transaction.links.asked_on(_today())
    return Asking(
        allows_private=settings.allow_private,
        within_seconds=within_seconds,
        most=lambda host: settings.most_a_day - asked.get(host, 0),
    )


def ask_hosts(
    application: Application, prober: Prober, links: Iterable[Link], *, keeps_unknown: bool = True
) -> Iterator[Probed]:
    """Ask about links, and keep what is said and how often was asked; what was answered stays kept, however this ends.

    Args:
        application: the installation.
        prober: asks.
        links: what to ask about.
        keeps_unknown: whether it is kept, too, that no host said how a link is.
    """
    answered: list[Probed] = []
    try:
        with closing(prober.probe(links)) as probes:
            for probed in probes:
                if keeps_unknown or probed.found.standing is not Standing.unknown:
                    answered.append(probed)
                if len(answered) >= _KEPT_AT_ONCE:
                    keep_answers(application, prober.ask, answered)
                yield probed
    finally:
        keep_answers(application, prober.ask, answered)


@contextmanager
def turn_to_ask(application: Application, seconds: float) -> Iterator[bool]:
    """Hold the turn of this machine to ask hosts; gives whether it was had within so many seconds.

    The lock lies beside the queue, where the door may write, too; who may not write there has no turn.
    """
    file = store_file(application.state.path, application.config.queue.url) or application.state.path / "queue"
    with locked_within(file.with_name("probe.lock"), seconds) as held:
        yield held


@contextmanager
def own_turn_to_ask(application: Application, seconds: float) -> Iterator[None]:
    """Hold the turn of this machine to ask hosts.

    Raises:
        RequestError: it was not had within so many seconds.
    """
    with turn_to_ask(application, seconds) as held:
        if not held:
            raise RequestError("another refsync on this machine asks hosts; try again when it has done so")
        yield


def keep_answers(application: Application, asking: Asking, answered: list[Probed]) -> None:
    """Keep what was said and how often was asked, and forget that it has to be kept."""
    questions = asking.take_asked()
    if not questions and not answered:
        return
    with application.store.writing() as transaction:
        transaction.links.count_asked(questions, _today())
        transaction.links.keep([*checks_of((probed.link, probed.found) for probed in answered)])
    answered.clear()


def _today() -> int:
    return int(time.time()) // _DAY_SECONDS
