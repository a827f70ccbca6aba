"""Asking hosts about the links of open changes beside the passes, as advice for who reviews them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from loguru import logger

from refsync.application import Application
from refsync.errors import RefsyncError, told
from refsync.use_cases.links.advice import ask_later, unasked

if TYPE_CHECKING:
    from refsync.hosts.asking import Asking
    from refsync.hosts.link import Link

AT_ONCE = 50
"""So many links are asked about before others on this machine have their turn."""
_AGAIN_SECONDS = 3_600.0
_TURN_SECONDS = 1.0
_REST_SECONDS = 0.1


def started(application: Application) -> Probing:
    """What asks as the config says; where it says not to, it never begins."""
    probing = Probing(application)
    if application.config.probe.changes and application.config.daemon.role == "worker":
        probing.start()
    return probing


class Probing(threading.Thread):
    """Looks at new changes when woken, and every hour again at those of which a link is unknown."""

    def __init__(self, application: Application) -> None:
        super().__init__(name="probe changes", daemon=True)
        self._application = application
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._asking: Asking | None = None
        self._last_change = 0
        self._look_again_at = float("inf")

    def wake(self) -> None:
        """There may be new changes."""
        self._woken.set()

    def stop(self) -> None:
        """End the thread, and the questions that it waits for."""
        self._stopping.set()
        self._woken.set()
        while self.is_alive():
            if asking := self._asking:
                asking.stop()
            self.join(0.05)

    def run(self) -> None:
        """Ask when woken, until told to stop."""
        while True:
            self._woken.wait(min(_AGAIN_SECONDS, max(0.0, self._look_again_at - time.monotonic())))
            self._woken.clear()
            if self._stopping.is_set():
                return
            try:
                self._look()
            except (RefsyncError, OSError) as problem:
                self._look_again_later()
                logger.warning("hosts could not be asked about the links of changes: {}", told(problem))
            except Exception:
                self._look_again_later()
                logger.exception("a bug in refsync while asking hosts about the links of changes")

    def _look(self) -> None:
        if time.monotonic() >= self._look_again_at:
            self._last_change, self._look_again_at = 0, float("inf")
        links, self._last_change = unasked(self._application, self._last_change)
        if links:
            self._ask_all(links)

    def _ask_all(self, links: list[Link]) -> None:
        from refsync.use_cases.links.asking import turn_to_ask  # with what speaks HTTP, which most daemons never need

        while links and not self._stopping.is_set():
            with turn_to_ask(self._application, _TURN_SECONDS) as held:
                if held:
                    self._ask(links[:AT_ONCE])
                    links = links[AT_ONCE:]
            self._stopping.wait(_REST_SECONDS)

    def _ask(self, links: list[Link]) -> None:
        from refsync.use_cases.links.asking import asking_of

        self._asking = asking_of(self._application)
        for _ in ask_later(self._application, self._asking, links):
            self._look_again_later()

    def _look_again_later(self) -> None:
        self._look_again_at = min(self._look_again_at, time.monotonic() + _AGAIN_SECONDS)
