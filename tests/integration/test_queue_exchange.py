from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refsync.errors import PayloadError, RequestError, StoreError
from refsync.pending_queue.holds import Hold, HoldKind
from refsync.pending_queue.models import REFSYNC, BatchState, PendingChangeStatus
from refsync.pending_queue.service import PendingQueueService
from refsync.pending_queue.store import PendingQueueStore
from tests.support.queue import CLIP, LORA, approved, in_image, in_pass, review, submit
from tests.support.stores import open_store

S = PendingChangeStatus


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PendingQueueStore]:
    with open_store(tmp_path / "new") as opened:
        yield opened


@pytest.fixture
def service(store: PendingQueueStore) -> PendingQueueService:
    return PendingQueueService(store=store)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ecosystem").mkdir()
    return tmp_path / "ecosystem"


def a_lived_in_queue(service: PendingQueueService) -> None:
    submit(service, "l", category=LORA, notes="two\nlines", request_metadata={"n": 2**70})
    approved(service, 3)
    submit(service, "refused")
    review(service, [1], [5])
    service.seal_open_batch(in_image)
    in_pass(service).reserve_batch(1)
    in_pass(service).land_batch(1, commit="abc", applied_by=REFSYNC, change_ids=[2, 3])
    submit(service, "sixth")
    submit(service, "pending")


def as_lines(service: PendingQueueService) -> list[str]:
    return [json.dumps(line) for line in service.export_changes()]


def test_an_exported_queue_is_the_same_on_a_new_machine(tmp_path: Path, service: PendingQueueService) -> None:
    with open_store(tmp_path / "old") as old_store:
        old = PendingQueueService(store=old_store)
        a_lived_in_queue(old)
        exported = as_lines(old)
        changes, batches = old.list_changes(), old.list_batches()
    report = service.import_changes(exported)
    assert (report.changes, report.not_understood, report.repaired) == (7, [], [])
    assert service.list_changes() == changes
    assert service.list_batches() == batches
    assert as_lines(service) == exported
    assert submit(service).change_id == 8


def test_the_counters_travel_too(tmp_path: Path, service: PendingQueueService) -> None:
    with open_store(tmp_path / "old") as old_store:
        old = PendingQueueService(store=old_store)
        submit(old)
        old.purge_changes(queue_filter=None, purged_by="2", purged_username="Bob")
        service.import_changes(as_lines(old))
    assert submit(service).change_id == 2


def test_a_queue_is_taken_only_into_an_empty_store(service: PendingQueueService) -> None:
    submit(service)
    with pytest.raises(RequestError, match="the queue is not empty"):
        service.import_changes(as_lines(service))
    assert service.list_changes().total == 1


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "line 1: expected the header"),
        (['{"change": {}}'], "line 1: expected the header"),
        (['{"refsync_queue": 1}', "nonsense"], "line 2: line 1, column 1"),
        (['{"refsync_queue": 1}', "[]"], "line 2: expected a JSON object"),
        (['{"refsync_queue": 1}', '{"change": "\\ud800"}'], "line 2: has a lone surrogate"),
    ],
)
def test_what_is_no_export_is_refused_whole(service: PendingQueueService, lines: list[str], said: str) -> None:
    with pytest.raises(PayloadError, match=said):
        service.import_changes(lines)
    assert submit(service).change_id == 1


def test_what_was_being_applied_is_approved_again(tmp_path: Path, service: PendingQueueService) -> None:
    with open_store(tmp_path / "old") as old_store:
        old = PendingQueueService(store=old_store)
        approved(old, 1)
        old.seal_open_batch(in_image)
        in_pass(old).reserve_batch(1)
        report = service.import_changes(as_lines(old))
    change = service.show_change(1)
    assert (change.status, change.applied_job_id) == (S.APPROVED, None)
    assert change.history is not None
    assert (change.history[-1].from_status, change.history[-1].to_status) == (S.APPLYING, S.APPROVED)
    assert report.repaired == ["change 1 was being applied; it is approved again"]


def entry(change_id: int, **more: Any) -> dict[str, Any]:
    return {
        "change_id": change_id,
        "category": "clip",
        "model_name": f"m{change_id}",
        "operation": "create",
        "payload": {"a": 1},
        "requested_by": "1",
        "requested_username": "Ada",
        "requested_at": 100,
        "status": "pending",
        "updated_at": 100,
        **more,
    }


def write(folder: Path, changes: object, index: object = None) -> None:
    (folder / "changes.json").write_text(json.dumps(changes))
    if index is not None:
        (folder / "index.json").write_text(json.dumps(index))


def test_the_ecosystems_folder_is_taken_with_its_numbers(service: PendingQueueService, folder: Path) -> None:
    who = {"approved_by": "2", "approved_username": "Bob", "approved_at": 110}
    done = {"applied_by": "7", "applied_username": "Job", "applied_at": 120}
    write(
        folder,
        [
            entry(3, status="applied", batch_id=1, batch_title="First", **who, **done),
            entry(4, status="approved", batch_id=2, batch_title="Second", **who),
            entry(5, status="rejected", rejected_by="2", rejected_at=115, reject_reason="no"),
            entry(6),
        ],
        {"last_change_id": 9, "last_batch_id": 5},
    )
    report = service.import_folder(folder)
    assert (report.changes, report.not_understood, report.repaired) == (4, [], [])
    assert [(b.number, b.title, b.state) for b in service.list_batches()] == [
        (1, "First", BatchState.landed),
        (2, "Second", BatchState.open),
    ]
    assert [(e.to_status, e.at, e.by) for e in service.history_of(3)] == [
        (S.PENDING, 100, "1"),
        (S.APPROVED, 110, "2"),
        (S.APPLIED, 120, "7"),
    ]
    assert [(e.to_status, e.why) for e in service.history_of(5)] == [(S.PENDING, None), (S.REJECTED, "no")]
    assert review(service, [6]).batch_id == 2
    assert submit(service).change_id == 10


def test_nothing_is_lost_of_what_is_not_understood(
    service: PendingQueueService, store: PendingQueueStore, folder: Path
) -> None:
    odd = [entry(7, status="half done"), "no object", entry(1), {"change_id": 12}, entry(8, model_name="a\nb")]
    write(folder, [entry(1, colour="red"), entry(2, category="smell"), *odd])
    report = service.import_folder(folder)
    assert report.changes == 2
    assert len(report.not_understood) == 7
    assert report.not_understood[0] == "change 1: unknown fields colour; they are kept and exported again"
    assert report.not_understood[1] == "change 2: unknown category 'smell'; it is kept but not listed"
    assert store.unknown_changes() == [(2, "smell")]
    with store.reading() as queue:
        assert [content for content, _ in queue.leftovers()] == odd
    exported = list(service.export_changes())
    assert [line["not_understood"] for line in exported if "not_understood" in line] == odd
    assert [line["change"] for line in exported if "change" in line] == [
        entry(1, colour="red", base_known=False, requested_provider="system"),
        entry(2, category="smell", base_known=False, requested_provider="system"),
    ]
    assert submit(service).change_id == 13


def test_a_payload_that_no_file_can_hold_is_set_aside(service: PendingQueueService, folder: Path) -> None:
    write(folder, [entry(1, payload={"a": float("nan")}), entry(2, notes="\ud800"), entry(3)])
    report = service.import_folder(folder)
    assert report.changes == 1
    assert len(report.not_understood) == 2


@pytest.mark.parametrize("index", [None, [], {"last_change_id": "x"}, {"last_change_id": -1, "last_batch_id": True}])
def test_a_damaged_index_is_rebuilt_from_the_changes(service: PendingQueueService, folder: Path, index: object) -> None:
    write(folder, [entry(4, status="approved", batch_id=3)], index)
    report = service.import_folder(folder)
    assert len(report.repaired) == 1
    assert "rebuilt from the changes" in report.repaired[0]
    assert submit(service).change_id == 5
    assert [batch.number for batch in service.list_batches()] == [3]


def test_a_batch_applied_in_part_is_unmixed(service: PendingQueueService, folder: Path) -> None:
    changes = [entry(1, status="applied", batch_id=1), entry(2, status="approved", batch_id=1)]
    write(folder, changes, {"last_change_id": 2, "last_batch_id": 1})
    report = service.import_folder(folder)
    assert report.repaired == ["batch 1 was applied in part; the rest of it is batch 2"]
    assert [(b.number, b.state) for b in service.list_batches()] == [(1, BatchState.landed), (2, BatchState.open)]


@pytest.mark.parametrize("content", ["", "[{", "{}", "null"])
def test_damaged_changes_are_an_error_and_no_empty_queue(
    service: PendingQueueService, folder: Path, content: str
) -> None:
    (folder / "changes.json").write_text(content)
    with pytest.raises(StoreError, match=r"changes\.json: "):
        service.import_folder(folder)
    assert submit(service, category=CLIP).change_id == 1


def test_a_folder_without_changes_is_named(service: PendingQueueService, folder: Path) -> None:
    with pytest.raises(StoreError, match=r"changes\.json: No such file"):
        service.import_folder(folder)


def test_a_held_batch_that_an_older_refsync_exported_waits_and_reads_as_before(service: PendingQueueService) -> None:
    told = "origin refuses the push: a hook says no; then: refsync batch retry 1"
    batch = {"number": 1, "title": "New", "state": "held", "reason": told, "job": "abc", "repository": "image"}
    lines = [
        {"refsync_queue": 1, "last_change_id": 1, "last_batch_id": 1},
        {"change": entry(1, status="approved", batch_id=1), "history": [], "batch": batch},
    ]
    report = service.import_changes([json.dumps(line) for line in lines])
    assert (report.changes, report.not_understood) == (1, [])
    held = service.get_batch(1)
    assert (held.reason, held.hold) == (told, Hold(kind=HoldKind.other, reason=told))
