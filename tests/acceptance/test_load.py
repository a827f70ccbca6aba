"""Many submit and many read beside the daemon, in a large category and in large batches: no error, and nothing grows.

A small run with the slow tests. The whole one, of 5,000 models, ten thousand changes in each of two rounds, batches of
1,000 and of 625, sixteen submitting processes and eight readers::

    pytest -m exhaustive -n 0 -s --timeout 0 tests/acceptance/test_load.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from refsync.pending_queue.models import PendingChangeStatus, PendingQueueFilter
from tests.support.daemon import CLIP_FILE, IMAGE_FILE, Daemon, Site, record, wait_for
from tests.support.load import ended, model_name, start
from tests.support.repositories import Clone, git

MEGABYTE = 1024 * 1024
SECONDS = 3600.0
ROUNDS = 2


class Load(NamedTuple):
    """How much of it: ``changes`` of all submitters together in a round."""

    models: int
    changes: int
    batch: int
    submitters: int
    readers: int


LOADS = [
    pytest.param(Load(300, 100, 100, 2, 2), id="sample", marks=[pytest.mark.slow]),
    pytest.param(Load(5_000, 10_000, 1_000, 16, 8), id="whole", marks=[pytest.mark.exhaustive, pytest.mark.timeout(0)]),
]


class Footprint(NamedTuple):
    """What the daemon holds at a quiet moment, and the store's size."""

    children: int
    threads: int
    descriptors: int
    memory: int
    store: int


def footprint(site: Site, daemon: Daemon) -> Footprint:
    daemon.wait_until_idle()
    process = psutil.Process(daemon.pid)
    return Footprint(
        len(process.children(recursive=True)),
        process.num_threads(),
        process.num_fds(),
        process.memory_info().rss,
        sum(file.stat().st_size for file in site.state.glob("queue.db*")),
    )


@contextmanager
def readers(site: Site, load: Load) -> Iterator[list[str]]:
    """What each reader says in the end."""
    stop, said = site.folder / "stop", list[str]()
    reading = [start("read_until", site.clone.path, stop, load.models) for _ in range(load.readers)]
    try:
        yield said
    finally:
        stop.touch()
        said += ended(reading)


def submit_all(site: Site, load: Load, title: str) -> None:
    """A round: each submitter its share, which may be more than there are models, and one its large batch."""
    share = load.changes // load.submitters
    width = load.models - load.batch - share
    shares = [(number * share % width, share, f"{title} of {number}") for number in range(load.submitters)]
    large = (load.models - load.batch, load.batch, f"{title}, large")
    ended(
        [
            start("submit_and_approve", site.config_file, f"person {first}", first, count, of)
            for first, count, of in (*shares, large)
        ]
    )


def applied(site: Site) -> int:
    with site.application() as application:
        listed = PendingQueueFilter(statuses={PendingChangeStatus.APPLIED, PendingChangeStatus.REJECTED})
        return application.queue.list_changes(queue_filter=listed, limit=0).total


@pytest.mark.parametrize("load", LOADS)
def test_under_load(tmp_path: Path, load: Load) -> None:
    site = Site(tmp_path)
    names = map(model_name, range(load.models))
    Clone.create(site.clone.path, {IMAGE_FILE: {name: record(name) for name in names}, CLIP_FILE: {}})
    site.write_config('[apply]\nwhen = "approval"\nsettle_seconds = 0\n[guard]\nopen_changes = 100_000\n')
    with site.daemon() as daemon, readers(site, load) as said:
        held = []
        for number in range(1, ROUNDS + 1):
            submit_all(site, load, f"round {number}")
            expected = number * (load.changes + load.batch)
            wait_for("all changes to be decided", lambda expected=expected: applied(site) == expected, SECONDS)  # type: ignore[misc]
            held.append(footprint(site, daemon))
            print(f"  round {number}: {held[-1]}")
        assert daemon.lines("ERROR") == daemon.lines("Traceback") == []
        log = daemon.log
    print(f"  reads, and broken ones: {said}")
    assert all(reads and not broken for reads, broken in map(json.loads, said))
    assert site.run("metadata", "verify").returncode == 0
    assert (site.clone.status, git(site.clone.path, "fsck", "--strict", "--no-dangling")) == ("", "")
    assert_no_growth(load, held, log)


def assert_no_growth(load: Load, held: list[Footprint], log: str) -> None:
    """From round to round nothing is held that was not before; store and log grow with the changes alone."""
    before, last = held[-2:]
    assert last.children == before.children == 0
    assert last.threads <= before.threads
    assert last.descriptors <= before.descriptors
    assert last.memory - before.memory < 8 * MEGABYTE + load.changes * 512
    changes = len(held) * (load.changes + load.batch)
    assert last.store < 8 * MEGABYTE + changes * 8_192  # as much may wait in its log
    assert len(log) < 100_000 + changes * 512
    assert max(map(len, log.splitlines())) < 4_096
