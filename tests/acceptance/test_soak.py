"""Nothing grows over many passes: no child, thread, descriptor or memory.

Over a hundred with the slow tests; over ten thousand::

    pytest -m exhaustive -n 0 --timeout 0 tests/acceptance/test_soak.py
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.support.daemon import Daemon, Site, image_clone, wait_for

EXHAUSTIVE = [pytest.mark.exhaustive, pytest.mark.timeout(0)]
PASSES = [pytest.param(100, marks=pytest.mark.slow), pytest.param(10_000, marks=EXHAUSTIVE)]
WARM_UP = 50  # caches fill, the allocator finds its size
LANDING_EVERY = 25
MEGABYTE = 1024 * 1024


class Footprint(NamedTuple):
    """What the daemon holds at a quiet moment."""

    children: int
    threads: int
    descriptors: int
    memory: int


def footprint(daemon: Daemon) -> Footprint:
    daemon.wait_until_idle()
    process = psutil.Process(daemon.pid)
    return Footprint(
        len(process.children(recursive=True)), process.num_threads(), process.num_fds(), process.memory_info().rss
    )


def make_passes(site: Site, daemon: Daemon, count: int, name: str) -> None:
    """Passes that find nothing to do, every so often one that lands a change or meets a commit by hand."""
    for number in range(count):
        before = daemon.passes
        if number % LANDING_EVERY == 0:
            site.approve(f"{name} {number}")
        elif number % LANDING_EVERY == LANDING_EVERY // 2:
            site.clone.commit({}, "by hand")
        else:
            daemon.send(signal.SIGUSR1)
        wait_for("a pass", lambda before=before: daemon.passes > before)  # type: ignore[misc]


@pytest.mark.parametrize("passes", PASSES)
def test_nothing_grows_over_many_passes(tmp_path: Path, passes: int) -> None:
    site = Site(tmp_path)
    image_clone(site.clone.path)
    with site.daemon() as daemon:
        make_passes(site, daemon, WARM_UP, "warm")
        before = footprint(daemon)
        make_passes(site, daemon, passes, "soak")
        after = footprint(daemon)
        assert daemon.lines("ERROR") == []
    assert after.children == before.children == 0
    assert after.threads <= before.threads
    assert after.descriptors <= before.descriptors
    assert after.memory - before.memory < 8 * MEGABYTE + passes * 1024
