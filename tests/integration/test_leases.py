"""Who may run a pass is a lease: a reservation is an attempt's, and who has lost the lease writes nothing more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from refsync.errors import ChangeStateError, LeaseLostError
from refsync.pending_queue.daemon_door import DaemonDoor
from refsync.pending_queue.models import REFSYNC, BatchState, PendingChangeStatus, Proposal
from refsync.pending_queue.service import PendingQueueService
from refsync.sync.reconcile import reconcile
from refsync.sync.turn import Pass
from tests.support.queue import WAITS, approved, in_image, in_pass
from tests.support.reference import Reference
from tests.support.repositories import git
from tests.support.stores import open_store

APPLYING, APPROVED, APPLIED = (
    PendingChangeStatus.APPLYING,
    PendingChangeStatus.APPROVED,
    PendingChangeStatus.APPLIED,
)


@dataclass
class SharedLease:
    """A lease that knows who lives, as one in a database does, and that can be lost."""

    token: str
    living: set[str] = field(default_factory=set)
    writes_left: float = float("inf")

    def is_over(self, token: str) -> bool:
        return token not in self.living

    def check(self, queue: object) -> None:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise LeaseLostError("another daemon has taken over")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PendingQueueService]:
    with open_store(tmp_path) as store:
        service = PendingQueueService(store=store)
        approved(service, 2)
        service.seal_open_batch(in_image)
        yield service


def statuses(service: PendingQueueService) -> list[PendingChangeStatus]:
    return [change.status for change in service.list_changes().items]


TOUCHES: list[Callable[[DaemonDoor], object]] = [
    lambda door: door.reserve_batch(1),
    lambda door: door.hold_batch(1, WAITS),
    lambda door: door.propose_batch(1, Proposal(branch="b", head="0" * 40)),
    lambda door: door.land_batch(1, commit="0" * 40, applied_by=None),
    lambda door: door.give_up_batch(1, reason="no", actor=REFSYNC),
    lambda door: door.split_batch(1, [1], WAITS),
]


@pytest.mark.parametrize("touch", TOUCHES)
def test_what_a_living_attempt_has_reserved_no_other_takes(
    service: PendingQueueService, touch: Callable[[DaemonDoor], object]
) -> None:
    mine, theirs = SharedLease("mine", {"mine", "theirs"}), SharedLease("theirs", {"mine", "theirs"})
    service.under(mine).reserve_batch(1)
    other = service.under(theirs)
    assert other.release_batch(1) == []
    with pytest.raises(ChangeStateError, match="is being applied by another job"):
        touch(other)
    assert statuses(service) == [APPLYING, APPLYING]
    assert service.under(mine).reserve_batch(1) == [1, 2]
    assert service.under(mine).land_batch(1, commit="0" * 40, applied_by=None) == [1, 2]


def test_what_an_attempt_that_is_over_has_reserved_is_the_next_ones(service: PendingQueueService) -> None:
    service.under(SharedLease("dead", {"dead"})).reserve_batch(1)
    following = service.under(SharedLease("next"))
    assert following.reserve_batch(1) == [1, 2]
    tokens = {change.applied_job_id for change in service.list_changes().items}
    assert tokens == {f"{service.get_batch(1).job}/next"}
    assert following.release_batch(1) == [1, 2]
    assert statuses(service) == [APPROVED, APPROVED]


def test_what_an_older_refsync_reserved_by_the_batch_s_own_token_is_taken_over(service: PendingQueueService) -> None:
    job = service.get_batch(1).job
    assert job is not None
    for change_id in (1, 2):
        service.reserve_for_apply(change_id=change_id, reservation_id=job)
    assert in_pass(service).land_batch(1, commit="0" * 40, applied_by=None) == [1, 2]
    assert {change.applied_job_id for change in service.list_changes().items} == {job}


def test_a_pass_of_a_state_directory_takes_over_from_the_one_before(reference: Reference) -> None:
    reference.update("alpha", {"version": "2", "nsfw": False})
    reference.application.queue.seal_open_batch(lambda category: "image")
    with reference.application.state.lease() as lease:
        assert lease is not None
        reference.application.queue.under(lease).reserve_batch(1)
    assert reference.sync().clean
    assert reference.statuses([1]) == [APPLIED]


@pytest.mark.parametrize("writes", range(3))
def test_who_has_lost_the_lease_writes_nothing_into_the_queue_and_the_next_one_goes_on(
    reference: Reference, writes: int
) -> None:
    reference.sync()
    reference.update("alpha", {"version": "2", "nsfw": False})
    application = reference.application
    lost = SharedLease("lost", writes_left=writes)
    queue, ways = application.queue.under(lost), application.publishers()
    work = Pass(queue, application.repositories, ways, application.apply_settings)
    try:
        problems = [each.problem for each in reconcile(work).repositories]
        assert problems == ["another daemon has taken over"]
    except LeaseLostError:
        assert writes < 2  # nothing was begun
    assert lost.writes_left < 0
    assert reference.statuses([1]) != [APPLIED]
    assert reference.sync().clean
    assert [batch.state for batch in reference.batches()] == [BatchState.landed]
    assert git(reference.clone.path, "log", "--format=%s").split("\n").count("New models") == 1
    reference.assert_counted()
