"""What the door serves: the daemon's file, and figures of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, ProcessCollector

from refsync.metrics.exposition import exposition

_DOOR = "refsync_door"


def served(textfile: str, answered: Mapping[int, int]) -> str:
    """All of it as text.

    Args:
        textfile: where the daemon writes; empty: nowhere.
        answered: how many requests of the door, by the status of the answer.
    """
    daemons = ""
    if textfile:
        with contextlib.suppress(OSError):  # the daemon has not written yet: a scrape tells that by what it lacks
            daemons = Path(textfile).read_text(errors="replace")
    return daemons + exposition(_own(answered))


def _own(answered: Mapping[int, int]) -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(namespace=_DOOR, registry=registry)
    requests = Counter(f"{_DOOR}_requests", "Requests, by the status of the answer.", ("code",), registry=registry)
    for status, count in sorted(dict(answered).items()):
        requests.labels(status).inc(count)
    return registry
