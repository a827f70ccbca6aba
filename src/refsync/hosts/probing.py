"""Links probed: hosts side by side, each asked one question at a time, no faster and no oftener than is polite."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import NamedTuple
from urllib.parse import urlsplit

from refsync.hosts import any_host, civitai, hugging_face
from refsync.hosts.asking import Ask, CannotAskError
from refsync.hosts.link import Link
from refsync.hosts.verdict import Found, Standing, Verdict, judge

_GAP_SECONDS = (0.2, 0.4)  # between two questions to a host
_LONGEST_WAIT = 60.0  # that a host may ask for; who asks for more is left alone for this time
_HOSTS_AT_ONCE = 4


class Hosts(NamedTuple):
    """Where the hosts are that have a way of their own: their URLs, without a slash at the end."""

    hugging_face: str = "https://huggingface.co"
    civitai: str = "https://civitai.com"


class Probed(NamedTuple):
    """What became of a link: ``found`` is what its host says."""

    link: Link
    verdict: Verdict
    found: Found


@dataclass(frozen=True)
class Prober:
    """How links are asked about.

    Attributes:
        ask: asks one question.
        hosts: where the hosts with ways of their own are.
        most: how many questions each host is asked at most, by its name; a host that is not there any number.
        pause: waits, in seconds.
        dice: spreads the waits.
    """

    ask: Ask
    hosts: Hosts = field(default_factory=Hosts)
    most: Callable[[str], int] = lambda host: 1_000_000
    pause: Callable[[float], None] = time.sleep
    dice: random.Random = field(default_factory=random.Random)

    def probe(self, links: Iterable[Link]) -> Iterator[Probed]:
        """Ask about links, each URL with what is said of it once; gives each as its answer comes."""
        by_host: dict[str, list[Link]] = defaultdict(list)
        for link in dict.fromkeys(links):
            by_host[host_of(link)].append(link)
        done: SimpleQueue[Probed | BaseException] = SimpleQueue()
        stopping = threading.Event()
        with ThreadPoolExecutor(_HOSTS_AT_ONCE, thread_name_prefix="probe") as pool:
            try:
                for host, of_host in by_host.items():
                    pool.submit(self._probe_host, host, of_host, done, stopping)
                for _ in range(sum(map(len, by_host.values()))):
                    probed = done.get()
                    if isinstance(probed, BaseException):
                        raise probed
                    yield probed
            finally:
                stopping.set()

    def _probe_host(
        self, host: str, links: Sequence[Link], done: SimpleQueue[Probed | BaseException], stopping: threading.Event
    ) -> None:
        """Hand in what became of each of a host's links, or the bug that ended it."""
        try:
            silent: str | None = None
            for place, link in enumerate(links):
                if stopping.is_set():
                    return
                if place:
                    self.pause(self.dice.uniform(*_GAP_SECONDS))
                if place >= self.most(host):
                    silent = f"{host} has been asked as often today as it may be"
                found = self._look(link) if silent is None else Found(Standing.unknown, why=silent)
                if found.wait_seconds is not None and silent is None:
                    found = self._look_again(link, found)
                    if found.wait_seconds is not None:
                        silent = f"{host} asks to wait"
                done.put(Probed(link, judge(link, found), found))
        except BaseException as problem:
            done.put(problem)

    def _look_again(self, link: Link, found: Found) -> Found:
        """Once more, where the host asks to wait and not for too long."""
        assert found.wait_seconds is not None
        if found.wait_seconds > _LONGEST_WAIT:
            return found
        self.pause(found.wait_seconds + self.dice.random())
        return self._look(link)

    def _look(self, link: Link) -> Found:
        try:
            if hugging_face.has(link, self.hosts.hugging_face):
                return hugging_face.look(link, self.hosts.hugging_face, self.ask)
            if civitai.has(link, self.hosts.civitai):
                return civitai.look(link, self.hosts.civitai, self.ask)
            return any_host.look(link, self.ask)
        except CannotAskError as problem:
            return Found(Standing.unknown, why=str(problem))


def host_of(link: Link) -> str:
    """The name of a link's host, without which it is one of no host."""
    try:
        return urlsplit(link.url).hostname or ""
    except ValueError:
        return ""
