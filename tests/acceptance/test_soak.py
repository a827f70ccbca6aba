"""Nothing grows over many passes: no child, thread, descriptor or memory.

``REFSYNC_SOAK_PASSES`` says over how many, 100 without it; before a release run it with 10000::

    REFSYNC_SOAK_PASSES=10000 pytest -m slow -n 0 --timeout 7200 tests/acceptance/test_soak.py
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.support.daemon import Daemon, Site, image_clone, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PASSES = int(os.environ.get("REFSYNC_SOAK_PASSES", "100"))
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


def test_nothing_grows_over_many_passes(tmp_path: Path) -> None:
    site = Site(tmp_path)
    image_clone(site.clone.path)
    with site.daemon() as daemon:
        make_passes(site, daemon, WARM_UP, "warm")
        before = footprint(daemon)
        make_passes(site, daemon, PASSES, "soak")
        after = footprint(daemon)
        assert daemon.lines("ERROR") == []
    assert after.children == before.children == 0
    assert after.threads <= before.threads
    assert after.descriptors <= before.descriptors
    assert after.memory - before.memory < 8 * MEGABYTE + PASSES * 1024
