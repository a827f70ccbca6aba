"""Clocks that were set, and zones that only the C library knows: neither delays a batch nor lets one overtake it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from refsync.pending_queue.models import BatchState, PendingChangeStatus
from refsync.sync.reference import ApplySettings
from tests.support.daemon import Site, image_clone
from tests.support.queue import WAITS, in_pass
from tests.support.reference import Reference

APPLIED, APPROVED, REJECTED = (
    PendingChangeStatus.APPLIED,
    PendingChangeStatus.APPROVED,
    PendingChangeStatus.REJECTED,
)
DAY = 86_400.0


def date_batch(reference: Reference, number: int, at: float) -> None:
    """Store a batch as a clock that stood at this time would have."""
    with reference.application.store.writing() as queue:
        batch = queue.batch(number)
        assert batch is not None
        sealed_at = None if batch.state is BatchState.open else at
        queue.save_batch(batch.model_copy(update={"opened_at": at, "last_approved_at": at, "sealed_at": sealed_at}))


def test_a_batch_approved_while_the_clock_was_ahead_settles_from_now_on(reference: Reference) -> None:
    change = reference.create("new", {"version": "1"})
    date_batch(reference, 1, time.time() + DAY)
    report = reference.sync_with(ApplySettings(settle_seconds=0.05))
    if report.settles_in is not None:
        assert report.settles_in <= 0.05
        time.sleep(report.settles_in)
        reference.sync_with(ApplySettings(settle_seconds=0.05))
    assert reference.statuses([change]) == [APPLIED]


def test_a_batch_approved_while_the_clock_was_ahead_takes_the_next_time_of_the_schedule(reference: Reference) -> None:
    change = reference.create("new", {"version": "1"})
    date_batch(reference, 1, time.time() + DAY)
    asked: list[float] = []

    def soon(after: float) -> float:
        asked.append(after)
        return asked[0] + 0.05

    reference.sync_with(ApplySettings("schedule", next_time=soon))
    assert reference.statuses([change]) == [APPROVED]
    time.sleep(0.06)
    reference.sync_with(ApplySettings("schedule", next_time=soon))
    assert reference.statuses([change]) == [APPLIED]
    assert asked[1] == pytest.approx(asked[0], abs=0.01)  # the same approval: it does not move on with the clock


def test_a_batch_sealed_while_the_clock_was_ahead_is_not_overtaken(reference: Reference) -> None:
    first = reference.update("alpha", {"version": "2", "nsfw": False})
    reference.application.queue.seal_open_batch(lambda category: "image")
    date_batch(reference, 1, time.time() + DAY)
    second = reference.update("alpha", {"version": "3", "nsfw": False})
    reference.sync()
    assert reference.statuses([first, second]) == [APPLIED, REJECTED]  # by its number, the second comes too late


def test_what_was_split_off_has_its_turn_before_later_batches_even_when_its_origin_has_landed(
    reference: Reference,
) -> None:
    queue = reference.application.queue
    ids = [reference.create(name, {"version": "1"}) for name in ("a", "b", "c")]
    queue.seal_open_batch(lambda category: "image")
    later = reference.create("later", {"version": "1"})
    queue.seal_open_batch(lambda category: "image")
    once = in_pass(queue).split_batch(1, ids[1:], WAITS).new_batch_id
    twice = in_pass(queue).split_batch(once, ids[2:], WAITS).new_batch_id
    states = set(BatchState)
    assert [batch.number for batch in queue.batches_in_turn(states)] == [1, once, twice, 2]
    reference.sync()  # batches 1 and 2 land; what was split off waits no longer than for the next look
    waiting = [batch.number for batch in queue.batches_in_turn({BatchState.held, BatchState.sealed})]
    assert waiting in ([], [once, twice])
    assert reference.statuses([later]) == [APPLIED]


@pytest.mark.parametrize("zone", ["CET-1CEST", "GMT+2", "Nowhere/Land", ":/etc/none", ""])
def test_whatever_the_zone_a_schedule_serves_and_is_called_good(tmp_path: Path, zone: str) -> None:
    site = Site(tmp_path)
    image_clone(site.clone.path)
    site.write_config('[apply]\nwhen = "schedule"\nschedule = "30 2 * * 1"\n')
    assert ": good;" in site.run("config", "check", TZ=zone).stdout
    site.approve("New")
    done = site.run("sync", "--json", TZ=zone)
    assert (done.returncode, done.stderr) == (0, "")
    assert 0 < json.loads(done.stdout)["settles_in"] <= 7 * DAY + 3600
    with site.daemon(TZ=zone) as daemon:
        daemon.wait_until_logged("pass 1 is over")
        daemon.stop()
        assert "Traceback" not in daemon.log


def test_a_schedule_lands_the_batch_whose_time_has_come_since_its_approval(tmp_path: Path, bare_git: None) -> None:
    reference = Reference(tmp_path, more='apply.when = "schedule"\napply.schedule = "* * * * *"')
    change = reference.create("new", {"version": "1"})
    date_batch(reference, 1, time.time() - 120)
    reference.sync()
    assert reference.statuses([change]) == [APPLIED]
    reference.close()
