from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from refsync.errors import (
    BatchStateError,
    ChangeNotFoundError,
    ChangeStateError,
    ModelNameError,
    PayloadError,
    RefsyncError,
    RequestError,
    UnknownCategoryError,
)
from refsync.pending_queue.models import (
    REFSYNC,
    Actor,
    AuditOperation,
    AuditPayload,
    BatchState,
    PendingChangeStatus,
    PendingQueueFilter,
    Proposal,
    Submission,
)
from refsync.pending_queue.service import PendingQueueService
from refsync.pending_queue.store import PendingQueueStore
from tests.support.queue import CLIP, LORA, WAITS, approved, in_image, in_pass, review, submit
from tests.support.stores import open_store

S = PendingChangeStatus
BOB = Actor("2", "Bob", "bob")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PendingQueueStore]:
    with open_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def service(store: PendingQueueStore) -> PendingQueueService:
    return PendingQueueService(store=store)


class Audit:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []

    def append_event(self, *, model_name: str, logical_user_id: str, payload: AuditPayload, **rest: Any) -> None:
        assert rest == {"domain": "pending_queue", "category": "pending_queue", "operation": AuditOperation.UPDATE}
        assert payload.after is not None
        self.events.append((payload.after["action"], model_name, logical_user_id))


def test_a_submitted_change_waits_for_review(service: PendingQueueService) -> None:
    change = submit(service, notes="please", request_metadata={"ip": 1}, base=None, base_known=True, os_user="ada")
    assert (change.change_id, change.status, change.base_known, change.os_user) == (1, S.PENDING, True, "ada")
    assert change.payload == {"name": "ViT-L/14"}
    assert service.get_change(1) == change
    assert service.get_change(2) is None


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"name": "a\nb"}, ModelNameError),
        ({"name": ""}, ModelNameError),
        ({"payload": {"a": float("inf")}}, PayloadError),
        ({"payload": []}, PayloadError),
        ({"category": "smell"}, UnknownCategoryError),
        ({"operation": "rename"}, RequestError),
        ({"by": ""}, RequestError),
        ({"by": 5}, RequestError),
        ({"notes": "\0"}, RequestError),
        ({"request_metadata": {"a": {1}}}, PayloadError),
        ({"related_models": "x"}, RequestError),
        ({"related_models": ["x\n"]}, ModelNameError),
        ({"base": [1]}, PayloadError),
    ],
)
def test_a_submission_that_cannot_work_is_refused_and_burns_no_id(
    service: PendingQueueService, wrong: dict[str, Any], error: type[RefsyncError]
) -> None:
    with pytest.raises(error) as refusal:
        submit(service, **wrong)
    assert isinstance(refusal.value, ValueError)
    assert "\n" not in str(refusal.value)
    assert submit(service).change_id == 1


@pytest.mark.parametrize("operation", [AuditOperation.CREATE, AuditOperation.UPDATE])
def test_only_a_delete_needs_no_payload(service: PendingQueueService, operation: AuditOperation) -> None:
    with pytest.raises(PayloadError, match="needs the full record"):
        service.enqueue_change(
            category=CLIP, model_name="m", operation=operation, payload=None, requestor_id="1", requestor_username="A"
        )
    assert submit(service, operation=AuditOperation.DELETE).payload is None


def test_many_are_submitted_together_or_not_at_all(service: PendingQueueService) -> None:
    seen: list[int] = []
    sound = [Submission(CLIP, f"m{number}", AuditOperation.CREATE, {}, "1", "Ada") for number in range(3)]
    assert [change.change_id for change in service.enqueue_many(sound, seen.append)] == [1, 2, 3]
    assert seen == [1, 2, 3]
    with pytest.raises(ModelNameError):
        service.enqueue_many([*sound, Submission(CLIP, "", AuditOperation.CREATE, {}, "1", "Ada")])
    assert service.list_changes().total == 3
    assert service.enqueue_many([]) == []


def test_other_open_proposals_for_the_model_are_reported(service: PendingQueueService) -> None:
    assert submit(service).conflicts_with is None
    assert submit(service).conflicts_with == [1]
    assert submit(service, category=LORA).conflicts_with is None
    review(service, reject=[1])
    third = submit(service)
    assert third.conflicts_with == [2]
    assert [change.conflicts_with for change in service.list_changes().items] == [None, [4], None, [2]]
    assert service.show_change(2).conflicts_with == [4]


def test_one_open_proposal_for_a_model_can_be_demanded(store: PendingQueueStore) -> None:
    service = PendingQueueService(store=store, one_proposal_per_model=True)
    submit(service)
    with pytest.raises(RequestError, match="'ViT-L/14' has an open proposal, change 1"):
        submit(service)
    twice = [Submission(CLIP, "m", AuditOperation.CREATE, {}, "1", "Ada")] * 2
    with pytest.raises(RequestError, match="proposed twice"):
        service.enqueue_many(twice)
    review(service, reject=[1])
    assert submit(service).change_id == 2


def test_a_proposer_may_not_approve_where_two_persons_are_needed(store: PendingQueueStore) -> None:
    service = PendingQueueService(store=store, two_person_review=True)
    submit(service, by="1")
    with pytest.raises(RequestError, match="another person has to approve"):
        review(service, [1], by="1")
    assert review(service, [1], by="2").batch_id == 1
    submit(service, by="1")
    assert review(service, reject=[2], by="1").rejected


def test_approvals_and_rejections_are_one_step(service: PendingQueueService) -> None:
    for number in range(3):
        submit(service, f"m{number}")
    result = review(service, [2, 1, 2], [3, 3])
    assert (result.batch_id, result.batch_title) == (1, "New models")
    assert [(c.change_id, c.status, c.batch_id, c.approved_by) for c in result.approved] == [
        (2, S.APPROVED, 1, "2"),
        (1, S.APPROVED, 1, "2"),
    ]
    refused = result.rejected[0]
    assert (refused.status, refused.reject_reason, refused.rejected_by, refused.batch_id) == (
        S.REJECTED,
        "not ours",
        "2",
        1,
    )
    assert service.changes_of_batch(1) == service.list_changes().items


def test_a_call_that_only_rejects_takes_no_batch_and_needs_no_title(service: PendingQueueService) -> None:
    submit(service)
    result = review(service, reject=[1], title="")
    assert (result.batch_id, result.batch_title, result.rejected[0].batch_id) == (None, "", None)
    assert service.list_batches() == []


def test_a_later_approval_joins_the_open_batch_and_its_title(service: PendingQueueService) -> None:
    submit(service, "a")
    submit(service, "b")
    review(service, [1], title="First")
    result = review(service, [2], title="Second")
    assert (result.batch_id, result.batch_title, result.approved[0].batch_title) == (1, "First", "First")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ({}, RequestError),
        ({"approve": [1], "reject": [1]}, RequestError),
        ({"approve": [1], "title": " "}, RequestError),
        ({"approve": [1], "title": "a\nb"}, RequestError),
        ({"approve": [1], "reject": [2], "reason": " "}, RequestError),
        ({"reject": [2], "reason": None}, RequestError),
        ({"approve": [1, 99]}, ChangeNotFoundError),
        ({"approve": [1, 10**30]}, ChangeNotFoundError),
        ({"approve": [1, 3]}, ChangeStateError),
        ({"reject": [3]}, ChangeStateError),
        ({"approve": [1], "by": ""}, RequestError),
    ],
)
def test_a_refused_call_changes_nothing_and_uses_up_no_batch_id(
    service: PendingQueueService, call: dict[str, Any], error: type[RequestError]
) -> None:
    for name in "abc":
        submit(service, name)
    review(service, reject=[3])
    with pytest.raises(error):
        review(service, **call)
    assert [change.status for change in service.list_changes().items] == [S.PENDING, S.PENDING, S.REJECTED]
    assert review(service, [1]).batch_id == 1


def test_of_an_approval_and_a_rejection_racing_exactly_one_wins(service: PendingQueueService) -> None:
    ids = [submit(service, f"m{number}").change_id for number in range(20)]
    barrier = threading.Barrier(2)

    def race(decide: Callable[[int], object]) -> list[int]:
        barrier.wait()
        won = []
        for change_id in ids:
            try:
                decide(change_id)
            except ChangeStateError:
                continue
            won.append(change_id)
        return won

    with ThreadPoolExecutor(2) as pool:
        ours = pool.submit(race, lambda change_id: review(service, [change_id]))
        theirs = pool.submit(race, lambda change_id: review(service, reject=[change_id]))
    assert sorted(ours.result() + theirs.result()) == ids
    assert all(len(service.history_of(change_id)) == 2 for change_id in ids)


def test_a_withdrawn_approval_waits_for_review_again(service: PendingQueueService) -> None:
    submit(service, "a")
    before = submit(service, "b")
    review(service, [1, 2])
    withdrawn = service.withdraw([2, 2], actor=BOB)
    assert withdrawn == [before.model_copy(update={"updated_at": withdrawn[0].updated_at})]
    assert [batch.number for batch in service.list_batches()] == [1]


def test_a_batch_whose_last_approval_is_withdrawn_is_not_listed(service: PendingQueueService) -> None:
    submit(service)
    review(service, [1])
    service.withdraw([1], actor=BOB)
    assert service.list_batches() == []
    assert review(service, [1], title="Anew").batch_id == 2  # a number names one batch for ever


def test_an_emptied_batch_that_a_rejected_change_names_is_abandoned(service: PendingQueueService) -> None:
    submit(service, "a")
    submit(service, "b")
    review(service, [1], [2])
    service.withdraw([1], actor=BOB)
    assert service.get_batch(1).state is BatchState.abandoned
    assert service.list_batches({BatchState.open}) == []


def test_an_approval_can_be_withdrawn_only_while_its_batch_is_open(service: PendingQueueService) -> None:
    approved(service, 2)
    service.seal_open_batch(lambda _: "image")
    with pytest.raises(BatchStateError, match="change 1 is in batch 1, which is sealed"):
        service.withdraw([1], actor=BOB)
    submit(service, "c")
    for ids, error in (([3], ChangeStateError), ([9], ChangeNotFoundError), ([], RequestError)):
        with pytest.raises(error):
            service.withdraw(ids, actor=BOB)


def test_a_purge_leaves_what_is_being_applied_and_keeps_the_history(service: PendingQueueService) -> None:
    approved(service, 2)
    service.reserve_for_apply(change_id=1, reservation_id="job")
    purged = service.purge_changes(queue_filter=None, purged_by="2", purged_username="Bob")
    assert [change.change_id for change in purged] == [2]
    assert [event.to_status for event in service.history_of(2)] == [S.PENDING, S.APPROVED, None]
    assert service.get_change(1) is not None
    assert submit(service).change_id == 3


def test_a_purge_takes_only_the_hits(service: PendingQueueService) -> None:
    submit(service, "a")
    submit(service, "b")
    service.purge_changes(queue_filter=PendingQueueFilter(model_name="A"), purged_by="2", purged_username="Bob")
    assert [change.model_name for change in service.list_changes().items] == ["b"]


def test_every_move_is_kept_with_who_made_it(service: PendingQueueService) -> None:
    submit(service, notes="please", os_user="ada")
    service.process_batch(
        approver_id="2",
        approver_username="Bob",
        batch_title="T",
        approved_ids=[1],
        rejected_ids=None,
        os_user="bob",
    )
    service.withdraw([1], actor=BOB)
    review(service, reject=[1], reason="late")
    history = service.show_change(1).history
    assert history == service.history_of(1)
    assert [(e.from_status, e.to_status, e.why, e.by, e.os_user, e.batch_id) for e in history or []] == [
        (None, S.PENDING, "please", "1", "ada", None),
        (S.PENDING, S.APPROVED, None, "2", "bob", 1),
        (S.APPROVED, S.PENDING, "the approval is withdrawn", "2", "bob", None),
        (S.PENDING, S.REJECTED, "late", "2", None, None),
    ]
    for unknown in (service.history_of, service.show_change):
        with pytest.raises(ChangeNotFoundError):
            unknown(9)


def test_a_page_of_negative_size_is_refused(service: PendingQueueService) -> None:
    with pytest.raises(RequestError, match="limit is -1"):
        service.list_changes(limit=-1)
    with pytest.raises(RequestError, match="offset is -1"):
        service.list_changes(offset=-1)


def test_each_action_is_audited_and_wakes_who_waits(store: PendingQueueStore) -> None:
    audit = Audit()
    woken: list[int] = []
    service = PendingQueueService(store=store, audit_writer=audit, on_change=lambda: woken.append(1))
    for name in "abcd":
        submit(service, name)
    review(service, [1, 2], [3])
    service.mark_applied(change_id=1, applied_by="7", applied_username="Job")
    service.purge_changes(queue_filter=PendingQueueFilter(statuses={S.PENDING}), purged_by="2", purged_username="Bob")
    assert audit.events == [
        ("enqueue", "1", "1"),
        ("enqueue", "2", "1"),
        ("enqueue", "3", "1"),
        ("enqueue", "4", "1"),
        ("approve", "1", "2"),
        ("approve", "2", "2"),
        ("reject", "3", "2"),
        ("apply", "1", "7"),
        ("batch_split", "1", "refsync"),
        ("purge", "4", "2"),
    ]
    assert len(woken) == 7


def test_moves_of_batches_wake_who_waits_and_notes_do_not(store: PendingQueueStore) -> None:
    woken: list[int] = []
    service = PendingQueueService(store=store, on_change=lambda: woken.append(1))

    def wakes(action: Callable[[], object]) -> bool:
        before = len(woken)
        action()
        assert len(woken) - before in (0, 1)
        return len(woken) > before

    submit(service)
    review(service, [1])
    proposal = Proposal(branch="refsync/batch-1-abc", head="0" * 40)
    assert wakes(lambda: service.seal_open_batch(in_image))
    assert wakes(lambda: in_pass(service).reserve_batch(1))
    assert not wakes(lambda: in_pass(service).reserve_batch(1))
    assert wakes(lambda: in_pass(service).release_batch(1))
    assert not wakes(lambda: in_pass(service).release_batch(1))
    assert wakes(lambda: in_pass(service).propose_batch(1, proposal))
    assert wakes(lambda: in_pass(service).reseal_proposal(1))
    assert wakes(lambda: in_pass(service).hold_batch(1, WAITS))
    assert wakes(lambda: in_pass(service).resume_batch(1))
    assert wakes(lambda: in_pass(service).land_batch(1, commit="abc", applied_by=REFSYNC))
    assert not wakes(lambda: in_pass(service).land_batch(1, commit="abc", applied_by=REFSYNC))
    assert not wakes(lambda: in_pass(service).note_repository("image", last_pass_at=1.5))
    assert not wakes(lambda: in_pass(service).note_proposal(1, proposal))


def test_a_failing_audit_or_wake_up_does_not_undo_the_action(store: PendingQueueStore) -> None:
    class Broken:
        def append_event(self, **_: Any) -> None:
            raise OSError("disk full")

    def fail() -> None:
        raise OSError("nobody there")

    service = PendingQueueService(store=store, audit_writer=Broken(), on_change=fail)
    assert submit(service).change_id == 1
    assert service.list_changes().total == 1


def test_a_repository_note_keeps_what_is_not_given(service: PendingQueueService) -> None:
    in_pass(service).note_repository("image", last_good_pass_at=1.5)
    in_pass(service).note_repository("image", last_error="no clone", last_error_at=2.5)
    in_pass(service).note_repository("text", last_error="no file")
    notes = service.repository_notes()
    assert (notes["image"].last_good_pass_at, notes["image"].last_error) == (1.5, "no clone")
    assert notes["text"].last_error_at is not None
    in_pass(service).note_repository("image", clear_error=True, last_pass_at=3.5)
    note = service.repository_notes()["image"]
    assert (note.last_error, note.last_error_at, note.last_pass_at, note.last_good_pass_at) == (None, None, 3.5, 1.5)
