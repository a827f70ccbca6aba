"""The daemon's figures in a file, which node-exporter's textfile collector, or the door, passes on."""

from __future__ import annotations

import time
from pathlib import Path

from refsync.application import Application
from refsync.durable import write_durably
from refsync.metrics.exposition import exposition
from refsync.metrics.life import Life
from refsync.metrics.measures import Measures
from refsync.metrics.standing import standing

_REST = 20.0


class Textfile(Life, Measures):
    """The daemon's life, written to a file with how things are.

    Args:
        path: of the file.
        rest: so many times as long as it took to look at everything, nobody looks again.
    """

    def __init__(self, path: Path, *, rest: float = _REST) -> None:
        super().__init__()
        self._path = path
        self._rest = rest
        self._newest_ending: int | None = None
        self._not_before = float("-inf")

    def write(self, application: Application) -> float | None:
        """See ``Measures``; the file is there whole, old or new."""
        began = time.monotonic()
        if began < self._not_before:
            return self._not_before - began
        self._take_endings(application)
        text = exposition(self.registry, standing(application))
        try:
            write_durably(self._path, text)
        except OSError as problem:  # which names a file beside it, another one each time
            raise OSError(problem.errno, problem.strerror, str(self._path)) from None
        now = time.monotonic()
        self._not_before = now + self._rest * (now - began)
        return None

    def _take_endings(self, application: Application) -> None:
        """What ended since the last time, by this process or another one."""
        found = application.queue.endings(self._newest_ending)
        for each in found.items:
            self.ended(each, application.config)
        self._newest_ending = found.newest
