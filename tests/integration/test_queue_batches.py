from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from refsync.errors import BatchNotFoundError, BatchStateError, ChangeNotFoundError, ChangeStateError, RequestError
from refsync.pending_queue.holds import Hold, HoldKind, tell, tell_with_command
from refsync.pending_queue.models import REFSYNC, Actor, BatchState, PendingChangeStatus
from refsync.pending_queue.service import PendingQueueService
from tests.support.queue import CLIP, LORA, TEXT, WAITS, approved, in_image, in_pass, review, submit, waits_for
from tests.support.stores import open_store

S = PendingChangeStatus
B = BatchState
BOB = Actor("2", "Bob", "bob")


@pytest.fixture(params=["nobody is told of each change", "the audit is"])
def service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[PendingQueueService]:
    with open_store(tmp_path) as store:
        yield PendingQueueService(store=store, audit_writer=Mock() if request.param == "the audit is" else None)


def statuses(service: PendingQueueService) -> list[PendingChangeStatus]:
    return [change.status for change in service.list_changes().items]


def sealed(service: PendingQueueService, count: int) -> list[int]:
    ids = approved(service, count)
    service.seal_open_batch(in_image)
    return ids


def held(service: PendingQueueService, count: int = 1) -> list[int]:
    ids = sealed(service, count)
    in_pass(service).hold_batch(1, waits_for("a person's edit is in the way"))
    return ids


def test_sealing_fixes_the_set_and_the_next_approval_opens_another_batch(service: PendingQueueService) -> None:
    approved(service, 2)
    (batch,) = service.seal_open_batch(in_image)
    assert (batch.number, batch.state, batch.repository) == (1, B.sealed, "image")
    assert batch.job is not None
    assert len(batch.job) == 32
    assert batch.sealed_at is not None
    submit(service, "late")
    assert review(service, [3]).batch_id == 2
    assert [c.change_id for c in service.changes_of_batch(1)] == [1, 2]


def test_nothing_approved_is_nothing_to_seal(service: PendingQueueService) -> None:
    submit(service)
    assert service.seal_open_batch(in_image) == []
    assert service.list_batches() == []


def test_a_batch_for_two_repositories_is_split_by_the_first_change_of_each(service: PendingQueueService) -> None:
    for name, category in (("l", LORA), ("t", TEXT), ("c", CLIP), ("u", TEXT)):
        submit(service, name, category=category)
    review(service, [1, 2, 3, 4])
    text, image, none = service.seal_open_batch(in_image)
    assert [(b.number, b.state, b.repository, b.split_from) for b in (text, image, none)] == [
        (1, B.sealed, "text", None),
        (2, B.sealed, "image", 1),
        (3, B.held, None, 1),
    ]
    assert none.reason == "no repository of the config holds lora"
    assert len({text.job, image.job, none.job}) == 3
    assert [[c.change_id for c in service.changes_of_batch(n)] for n in (1, 2, 3)] == [[2, 4], [3], [1]]
    assert [batch.title for batch in service.list_batches()] == ["New models"] * 3


def test_what_no_repository_held_is_routed_once_one_does(service: PendingQueueService) -> None:
    submit(service, "l", category=LORA)
    submit(service, "t", category=TEXT)
    review(service, [1, 2])
    service.seal_open_batch(lambda _: None)
    assert in_pass(service).route_batches(lambda _: None) == []
    routed = in_pass(service).route_batches(in_image)
    assert [(b.number, b.state, b.repository) for b in routed] == [(1, B.sealed, "text"), (2, B.held, None)]
    assert in_pass(service).route_batches(in_image) == []


def test_what_has_to_wait_goes_to_a_held_batch_of_its_own(service: PendingQueueService) -> None:
    ids = sealed(service, 3)
    in_pass(service).reserve_batch(1)
    split = in_pass(service).split_batch(1, ids[1:2], waits_for("its file is broken"))
    assert (split.original_batch_id, split.new_batch_id, split.reassigned_change_ids) == (1, 2, [2])
    first, second = service.get_batch(1), service.get_batch(2)
    assert (second.state, second.reason, second.split_from, second.repository) == (
        B.held,
        "its file is broken",
        1,
        "image",
    )
    assert second.job not in (None, first.job)
    assert second.sealed_at == first.sealed_at
    assert statuses(service) == [S.APPLYING, S.APPROVED, S.APPLYING]
    assert service.history_of(2)[-1].why == "split off from batch 1: its file is broken"


def test_a_split_that_cannot_be_is_refused(service: PendingQueueService) -> None:
    sealed(service, 2)
    submit(service, "other")
    for ids, error in (
        ([], RequestError),
        ([1, 3], ChangeStateError),
        ([9], ChangeStateError),
        ([1, 2], BatchStateError),
    ):
        with pytest.raises(error):
            in_pass(service).split_batch(1, ids, WAITS)
    with pytest.raises(RequestError, match="reason is empty"):
        in_pass(service).split_batch(1, [1], waits_for(" "))
    with pytest.raises(BatchNotFoundError, match="no batch has the number 7"):
        in_pass(service).split_batch(7, [1], WAITS)
    assert [batch.number for batch in service.list_batches()] == [1]


def test_a_held_batch_can_be_tried_again_and_its_history_says_who_wished_it(service: PendingQueueService) -> None:
    held(service)
    assert service.get_batch(1).reason == "a person's edit is in the way"
    batch = service.retry_batch(1, actor=BOB)
    assert (batch.state, batch.reason) == (B.sealed, None)
    event = service.history_of(1)[-1]
    assert (event.from_status, event.to_status, event.by, event.os_user) == (S.APPROVED, S.APPROVED, "2", "bob")


def test_a_held_batch_is_resumed_without_a_trace_in_the_history(service: PendingQueueService) -> None:
    held(service)
    before = service.history_of(1)
    assert in_pass(service).resume_batch(1).state is B.sealed
    assert service.history_of(1) == before


def test_holding_gives_reservations_up(service: PendingQueueService) -> None:
    sealed(service, 1)
    in_pass(service).reserve_batch(1)
    in_pass(service).hold_batch(1, WAITS)
    assert statuses(service) == [S.APPROVED]


def test_an_abandoned_batch_refuses_its_changes_with_the_reason(service: PendingQueueService) -> None:
    held(service, 2)
    batch = service.abandon_batch(1, reason="no longer wanted", actor=BOB)
    assert (batch.state, batch.reason) == (B.abandoned, "no longer wanted")
    assert {(c.status, c.reject_reason, c.rejected_by) for c in service.changes_of_batch(1)} == {
        (S.REJECTED, "no longer wanted", "2")
    }


def test_retry_and_abandon_are_for_held_batches(service: PendingQueueService) -> None:
    sealed(service, 1)
    with pytest.raises(BatchStateError, match="batch 1 is sealed; only a batch that is held can be tried again"):
        service.retry_batch(1, actor=BOB)
    with pytest.raises(
        BatchStateError, match="batch 1 is sealed; only a batch that is proposed or held can be abandoned"
    ):
        service.abandon_batch(1, reason="why", actor=BOB)
    in_pass(service).hold_batch(1, WAITS)
    with pytest.raises(RequestError, match="reason is empty"):
        service.abandon_batch(1, reason="", actor=BOB)
    with pytest.raises(BatchNotFoundError):
        service.get_batch(10**30)


def test_a_reservation_of_a_batch_can_be_repeated_and_released(service: PendingQueueService) -> None:
    sealed(service, 2)
    token = f"{service.get_batch(1).job}/an attempt"
    reserved = in_pass(service).reserve_batch(1)
    locked = service.changes_of_batch(1)
    assert [(c.change_id, c.status, c.applied_job_id) for c in locked] == [
        (1, S.APPLYING, token),
        (2, S.APPLYING, token),
    ]
    assert in_pass(service).reserve_batch(1) == service.reserved_changes(1) == reserved == [1, 2]
    assert service.changes_of_batch(1) == locked
    assert len(service.history_of(1)) == 3
    assert in_pass(service).release_batch(1) == [1, 2]
    assert {c.applied_job_id for c in service.changes_of_batch(1)} == {None}
    assert statuses(service) == [S.APPROVED, S.APPROVED]


def test_a_batch_of_which_another_job_holds_a_change_is_not_reserved(service: PendingQueueService) -> None:
    sealed(service, 2)
    service.reserve_for_apply(change_id=2, reservation_id="theirs")
    with pytest.raises(ChangeStateError, match="change 2 is being applied by another job"):
        in_pass(service).reserve_batch(1)
    assert statuses(service) == [S.APPROVED, S.APPLYING]
    assert in_pass(service).release_batch(1) == []


def test_an_open_batch_is_neither_reserved_nor_landed(service: PendingQueueService) -> None:
    approved(service, 1)
    with pytest.raises(BatchStateError, match="batch 1 is open"):
        in_pass(service).reserve_batch(1)
    with pytest.raises(BatchStateError, match="batch 1 is open"):
        in_pass(service).land_batch(1, commit="abc", applied_by=REFSYNC)
    with pytest.raises(BatchStateError, match="batch 1 is open"):
        in_pass(service).record_commit(1, base_commit="a", commit="b")


def test_a_landed_batch_has_its_commit_and_stays_whole(service: PendingQueueService) -> None:
    ids = sealed(service, 2)
    in_pass(service).reserve_batch(1)
    in_pass(service).record_commit(1, base_commit="aaa", commit="bbb")
    assert (service.get_batch(1).base_commit, service.get_batch(1).commit) == ("aaa", "bbb")
    assert in_pass(service).land_batch(1, commit="ccc", applied_by=BOB) == ids
    landed = service.changes_of_batch(1)
    batch = service.get_batch(1)
    assert (batch.state, batch.commit, batch.landed_at is not None) == (B.landed, "ccc", True)
    assert [(c.change_id, c.status, c.commit, c.applied_by, c.applied_job_id) for c in landed] == [
        (change_id, S.APPLIED, "ccc", "2", batch.job) for change_id in ids
    ]
    assert in_pass(service).land_batch(1, commit="ccc", applied_by=BOB) == ids
    assert service.changes_of_batch(1) == landed
    assert len(service.list_batches()) == 1


def test_of_a_landed_batch_each_change_is_audited_as_it_is_then(tmp_path: Path) -> None:
    audit = Mock()
    with open_store(tmp_path) as store:
        service = PendingQueueService(store=store, audit_writer=audit)
        ids = sealed(service, 3)
        in_pass(service).reserve_batch(1)
        audit.reset_mock()
        in_pass(service).land_batch(1, commit="ccc", applied_by=BOB, notes={2: "as it was"})
        landed = [service.show_change(change_id) for change_id in ids]
    told = {each.kwargs["model_name"]: each.kwargs["payload"].after for each in audit.append_event.call_args_list}
    unaudited = {"payload", "base", "conflicts_with", "history"}
    assert told == {
        str(change.change_id): {
            "action": "apply",
            **change.model_dump(mode="json", exclude_none=True, exclude=unaudited),
        }
        for change in landed
    }
    assert [(change.history or [])[-1].why for change in landed] == [
        "landed in ccc",
        "landed in ccc; as it was",
        "landed in ccc",
    ]


def test_a_change_refused_by_refsync_does_not_keep_the_others_from_landing(service: PendingQueueService) -> None:
    sealed(service, 2)
    in_pass(service).reserve_batch(1)
    refused = in_pass(service).reject_by_refsync(1, "style: ours 1, theirs 2")
    assert (refused.status, refused.rejected_by, refused.batch_id, refused.applied_job_id) == (
        S.REJECTED,
        "refsync",
        1,
        None,
    )
    assert in_pass(service).land_batch(1, commit="ccc", applied_by=REFSYNC) == [2]
    assert service.get_batch(1).state is B.landed


def test_a_batch_with_nothing_left_is_abandoned(service: PendingQueueService) -> None:
    sealed(service, 1)
    in_pass(service).reject_by_refsync(1, "conflict")
    assert in_pass(service).land_batch(1, commit=None, applied_by=REFSYNC) == []
    batch = service.get_batch(1)
    assert (batch.state, batch.reason) == (B.abandoned, "nothing left: every change was refused")
    assert in_pass(service).land_batch(1, commit=None, applied_by=REFSYNC) == []


def test_refsync_refuses_only_accepted_changes(service: PendingQueueService) -> None:
    submit(service)
    with pytest.raises(ChangeStateError, match="change 1 is pending, not approved"):
        in_pass(service).reject_by_refsync(1, "why")
    with pytest.raises(ChangeNotFoundError):
        in_pass(service).reject_by_refsync(9, "why")
    with pytest.raises(RequestError, match="reason is empty"):
        in_pass(service).reject_by_refsync(1, "")


def test_what_did_not_land_gets_a_batch_of_its_own(service: PendingQueueService) -> None:
    sealed(service, 3)
    in_pass(service).reserve_batch(1)
    with pytest.raises(ChangeStateError, match="change 9"):
        in_pass(service).land_batch(1, commit="ccc", applied_by=REFSYNC, change_ids=[1, 9])
    assert in_pass(service).land_batch(1, commit="ccc", applied_by=REFSYNC, change_ids=[1, 3]) == [1, 3]
    rest = service.get_batch(2)
    assert (rest.state, rest.split_from, rest.commit) == (B.sealed, 1, None)
    assert [(c.change_id, c.status, c.applied_job_id) for c in service.changes_of_batch(2)] == [(2, S.APPROVED, None)]
    assert service.get_batch(1).state is B.landed


def test_changes_applied_one_by_one_after_a_full_reservation_are_never_split(service: PendingQueueService) -> None:
    ids = approved(service, 3)
    for change_id in ids:
        service.reserve_for_apply(change_id=change_id, reservation_id="job")
    for change_id in ids:
        result = service.mark_applied(change_id=change_id, applied_by="7", applied_username="Job", job_id="job")
        assert result.batch_split is None
        assert (result.record.batch_id, result.record.applied_by) == (1, "7")
    assert [(b.number, b.state) for b in service.list_batches()] == [(1, B.landed)]


def test_a_batch_applied_in_part_is_split_once_and_the_rest_accepts_approvals(service: PendingQueueService) -> None:
    approved(service, 3)
    first = service.mark_applied(change_id=1, applied_by="7", applied_username="Job")
    assert first.batch_split is not None
    assert first.batch_split.model_dump() == {
        "original_batch_id": 1,
        "new_batch_id": 2,
        "reassigned_change_ids": [2, 3],
    }
    assert [(b.number, b.state) for b in service.list_batches()] == [(1, B.landed), (2, B.open)]
    submit(service, "late")
    assert review(service, [4]).batch_id == 2


def test_a_reservation_given_up_beside_applied_changes_moves_to_a_batch_of_its_own(
    service: PendingQueueService,
) -> None:
    approved(service, 2)
    for change_id in (1, 2):
        service.reserve_for_apply(change_id=change_id, reservation_id="job")
    service.mark_applied(change_id=1, applied_by="7", applied_username="Job", job_id="job")
    service.clear_apply_reservation(change_id=2, reservation_id="job")
    change = service.get_change(2)
    assert change is not None
    assert (change.status, change.batch_id) == (S.APPROVED, 2)
    assert service.get_batch(1).state is B.landed


def test_only_the_holder_marks_a_reserved_change_as_applied(service: PendingQueueService) -> None:
    approved(service, 1)
    service.reserve_for_apply(change_id=1, reservation_id="mine")
    for wrong in ("theirs", None):
        with pytest.raises(ChangeStateError, match="another job"):
            service.mark_applied(change_id=1, applied_by="7", applied_username="Job", job_id=wrong)
    service.clear_apply_reservation(change_id=1, reservation_id="theirs")
    service.clear_apply_reservation(change_id=9, reservation_id="mine")
    assert statuses(service) == [S.APPLYING]
    service.mark_applied(change_id=1, applied_by="7", applied_username="Job", job_id="mine")
    with pytest.raises(ChangeStateError, match="change 1 is applied"):
        service.mark_applied(change_id=1, applied_by="7", applied_username="Job")


def test_a_pending_change_is_not_applied(service: PendingQueueService) -> None:
    submit(service)
    with pytest.raises(ValueError, match="change 1 is pending"):
        service.mark_applied(change_id=1, applied_by="7", applied_username="Job")
    with pytest.raises(ValueError, match="change 1 is pending, not approved; approve it first"):
        service.reserve_for_apply(change_id=1, reservation_id="mine")


def test_reservations_of_dead_jobs_are_returned_and_those_of_living_ones_are_not(service: PendingQueueService) -> None:
    approved(service, 2)
    service.reserve_for_apply(change_id=1, reservation_id="dead")
    service.reserve_for_apply(change_id=2, reservation_id="alive")
    freed = service.scan_stuck_applying(lambda job: job == "alive")
    assert [(c.change_id, c.status, c.applied_job_id) for c in freed] == [(1, S.APPROVED, None)]
    assert [c.change_id for c in service.scan_stuck_applying()] == [2]
    assert service.scan_stuck_applying() == []


@pytest.mark.parametrize("kind", HoldKind)
def test_a_held_batch_keeps_what_it_waits_for_as_data_and_tells_it(
    service: PendingQueueService, kind: HoldKind
) -> None:
    sealed(service, 1)
    hold = Hold(kind=kind, reason="it is closed", about="7", since_tip="a" * 40)
    told = in_pass(service).hold_batch(1, hold)
    assert service.get_batch(1) == told
    assert (told.hold, told.reason) == (hold, tell_with_command(hold, 1))
    assert in_pass(service).resume_batch(1).hold is None
    assert service.get_batch(1).reason is None


@pytest.mark.parametrize(
    ("kind", "told", "with_command"),
    [
        (HoldKind.local_edits, "so it is", "so it is"),
        (HoldKind.refused_push, "so it is", "so it is; then: refsync batch retry 7"),
        (HoldKind.closed_request, "so it is; reopen it", "so it is; reopen it, or: refsync batch retry 7"),
        (HoldKind.deleted_branch, "so it is; restore it", "so it is; restore it, or: refsync batch retry 7"),
        (HoldKind.left_proposal, "so it is; set it back", "so it is; set it back, or: refsync batch retry 7"),
    ],
)
def test_the_sentence_of_a_hold_names_the_command_where_only_that_helps(
    kind: HoldKind, told: str, with_command: str
) -> None:
    hold = Hold(kind=kind, reason="so it is")
    assert (tell(hold), tell_with_command(hold, 7)) == (told, with_command)
