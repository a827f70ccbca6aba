"""The queue on PostgreSQL beside the queue in a SQLite file: the same work, on one disk, both flushed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing

from tests.benchmarks.ground import Bench, Site, image_clone, site
from tests.benchmarks.measuring import Figure, Times
from tests.support import postgresql

_FLOOR = "the same with SQLite"


def beside_sqlite(bench: Bench) -> Iterator[Figure]:
    """Submitting, approving and landing; nothing where no server can be started."""
    if not postgresql.can_start():
        print("postgresql: no server can be started here", file=sys.stderr)
        return
    with ExitStack() as stack:
        url = stack.enter_context(closing(postgresql.Server(on_disk=True))).new_database()
        rooms = [stack.enter_context(bench.room()) for _ in range(2)]
        settings = (f'[queue]\nurl = "{url}"\n', "")
        ours, floor = (
            stack.enter_context(site(room, image_clone(room / "clone"), more=more))
            for room, more in zip(rooms, settings, strict=True)
        )
        yield Figure("postgresql", "submit one change", *_submit(bench, ours, floor), _FLOOR)
        for size in bench.sizes(1, 10, 100):
            for done, times in (("submitted and approved", _approve), ("approved to landed", _land)):
                work = f"{size} {'update' if size == 1 else 'updates'}, {done}"
                yield Figure("postgresql", work, *times(bench, ours, floor, size), _FLOOR)


def _submit(bench: Bench, ours: Site, floor: Site) -> tuple[Times, Times]:
    asked = [ours.submissions(1), floor.submissions(1)]
    return bench.beside(
        lambda: ours.application.queue.enqueue_many(asked[0]),
        lambda: floor.application.queue.enqueue_many(asked[1]),
        rounds=60,
    )


def _approve(bench: Bench, ours: Site, floor: Site, size: int) -> tuple[Times, Times]:
    times = bench.beside(lambda: ours.approve(size), lambda: floor.approve(size))
    for each in (ours, floor):
        each.land()
    return times


def _land(bench: Bench, ours: Site, floor: Site, size: int) -> tuple[Times, Times]:
    return bench.beside(
        ours.land, floor.land, before=lambda: ours.approve(size), before_floor=lambda: floor.approve(size)
    )
