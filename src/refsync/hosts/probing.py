"""Links probed: hosts side by side, each asked one question at a time, no faster and no oftener than is polite."""

from __future__ import annotations

import random
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import NamedTuple

from refsync.hosts import any_host, civitai, hugging_face
from refsync.hosts.asking import Asking, CannotAskError, RationOverError
from refsync.hosts.link import Link
from refsync.hosts.verdict import Found, Standing, Verdict, judge

_GAP_SECONDS = (0.2, 0.4)  # between two questions to a host
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
        ask: asks one question; stopped when a probe has ended.
        hosts: where the hosts with ways of their own are.
        pause: waits for so many seconds; as ``ask`` does by default.
        dice: spreads the waits.
        longest_wait: for so many seconds a host may ask to wait; one that asks for more is left alone.
    """

    ask: Asking
    hosts: Hosts = field(default_factory=Hosts)
    pause: Callable[[float], object] | None = None
    dice: random.Random = field(default_factory=random.Random)
    longest_wait: float = 60.0

    def probe(self, links: Iterable[Link]) -> Generator[Probed]:
        """Ask about links, each URL with what is said of it once; gives each as its answer comes."""
        by_host: dict[str, list[Link]] = defaultdict(list)
        for link in dict.fromkeys(links):
            by_host[link.host].append(link)
        waiting, done = deque(by_host.values()), SimpleQueue[Probed | BaseException | None]()
        threads = [
            threading.Thread(target=self._probe_hosts, args=(waiting, done), name="probe", daemon=True)
            for _ in range(min(_HOSTS_AT_ONCE, len(by_host)))
        ]
        for thread in threads:
            thread.start()
        at_work = len(threads)
        try:
            while at_work:
                told = done.get()
                if told is None:
                    at_work -= 1
                elif isinstance(told, BaseException):
                    raise told
                else:
                    yield told
        finally:
            self.ask.stop()
            for thread in threads:
                thread.join()

    def _probe_hosts(self, waiting: deque[list[Link]], done: SimpleQueue[Probed | BaseException | None]) -> None:
        """Take one host after the other; hand in what became of each link, or the bug that ended it, ``None`` last."""
        try:
            while links := _taken(waiting):
                for probed in self._probe_host(links):
                    done.put(probed)
        except BaseException as problem:
            done.put(problem)
        done.put(None)

    def _probe_host(self, links: Sequence[Link]) -> Iterator[Probed]:
        """What became of each link of a host, until there is no more asking: what is broken off is no answer."""
        silent: str | None = None
        for place, link in enumerate(links):
            if self.ask.is_stopped:
                return
            if place and silent is None:
                self._pause(self.dice.uniform(*_GAP_SECONDS))
            if silent is None:
                found, silent = self._ask(link)
            else:
                found = Found(Standing.unknown, why=silent)
            if self.ask.is_stopped:
                return
            yield Probed(link, judge(link, found), found)

    def _ask(self, link: Link) -> tuple[Found, str | None]:
        """What a link's host says, asked once more where it asks to wait; and why it is left alone from now on."""
        try:
            found = self._look(link)
            if found.wait_seconds is not None and found.wait_seconds <= self.longest_wait:
                self._pause(found.wait_seconds + self.dice.random())
                found = self._look(link)
        except RationOverError as over:
            return Found(Standing.unknown, why=str(over)), str(over)
        return found, None if found.wait_seconds is None else f"{link.host} asks to wait"

    def _pause(self, seconds: float) -> None:
        (self.pause or self.ask.pause)(seconds)

    def _look(self, link: Link) -> Found:
        try:
            if hugging_face.has(link, self.hosts.hugging_face):
                return hugging_face.look(link, self.hosts.hugging_face, self.ask)
            if civitai.has(link, self.hosts.civitai):
                return civitai.look(link, self.hosts.civitai, self.ask)
            return any_host.look(link, self.ask)
        except CannotAskError as problem:
            return Found(Standing.unknown, why=str(problem))


def _taken(waiting: deque[list[Link]]) -> list[Link] | None:
    """The next host's links, which another thread may take meanwhile."""
    try:
        return waiting.popleft()
    except IndexError:
        return None
