"""What was observed, and what is to be done: no repository, no queue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.categories import MODEL_REFERENCE_CATEGORY, CategoryName
from refsync.errors import DocumentError
from refsync.pending_queue.holds import HoldKind
from refsync.pending_queue.models import AuditOperation, Batch, PendingChangeRecord
from refsync.reference.json_file import JsonFile
from refsync.reference.versions import Version
from refsync.sync.plan import BatchPlan, Observed, plan_batch
from refsync.sync.planned_models import Record
from refsync.sync.reference import ApplySettings
from refsync.sync.sealing import seconds_until_due

CLIP, BLIP = MODEL_REFERENCE_CATEGORY.clip, MODEL_REFERENCE_CATEGORY.blip
CREATE, UPDATE, DELETE = AuditOperation
FILES: dict[CategoryName, str] = {CLIP: "clip.json", BLIP: "blip.json"}
A: Record = {"version": "1"}
B: Record = {"version": "2"}


def change(change_id: int, operation: AuditOperation, model: str = "m", **values: Any) -> PendingChangeRecord:
    given = {"category": CLIP, "requested_by": "1", "requested_username": "Ada", **values}
    return PendingChangeRecord(change_id=change_id, model_name=model, operation=operation, **given)


def plan(
    changes: list[PendingChangeRecord], clip: Mapping[str, Record] | DocumentError | None = None, **seen: Any
) -> BatchPlan:
    opened = {"clip.json": clip if isinstance(clip, DocumentError) else file_of(clip or {}), "blip.json": file_of({})}
    return plan_batch(changes, Observed(files=FILES, opened=opened, **seen))


def file_of(records: Mapping[str, Record]) -> JsonFile:
    return JsonFile("it.json", Version(json.dumps(records).encode()))


def reason(found: BatchPlan) -> str:
    [conflict] = found.conflicts
    return conflict.reason


def test_each_operation_becomes_an_edit() -> None:
    found = plan(
        [
            change(1, CREATE, "new", payload=A),
            change(2, UPDATE, "old", payload=B, base=A, base_known=True),
            change(3, DELETE, "gone", base=A, base_known=True),
        ],
        {"old": A, "gone": A},
    )
    assert found.edits == {"clip.json": {"new": A, "old": B, "gone": None}}
    assert found.written == [1, 2, 3]


def test_what_is_there_already_is_done() -> None:
    found = plan([change(1, CREATE, payload=A), change(2, UPDATE, payload=A), change(3, DELETE, "none")], {"m": A})
    assert (found.done, found.written, found.edits) == ([1, 2, 3], [], {})


def test_later_changes_stand_on_earlier_ones() -> None:
    found = plan([change(1, CREATE, payload=A), change(2, UPDATE, payload=B, base=A, base_known=True)])
    assert found.edits == {"clip.json": {"m": B}}


def test_changes_that_cancel_each_other_leave_no_edit() -> None:
    found = plan([change(1, CREATE, payload=A), change(2, DELETE, base=A, base_known=True)])
    assert (found.edits, found.written) == ({}, [1, 2])


def test_a_refused_change_leaves_no_trace_for_the_next() -> None:
    found = plan([change(1, CREATE, payload=B), change(2, UPDATE, payload=B, base=A, base_known=True)], {"m": A})
    assert [conflict.change_id for conflict in found.conflicts] == [1]
    assert found.edits == {"clip.json": {"m": B}}


@pytest.mark.parametrize(
    ("asked", "there", "told"),
    [
        (change(1, CREATE, payload=B), {"m": A}, 'exists already with another record: version: is "1", wanted "2"'),
        (change(1, CREATE, payload={}), {"m": A}, 'exists already with another record: version: is "1", wanted absent'),
        (change(1, UPDATE, payload=B), {}, "does not exist (any more), so it cannot be updated"),
        (
            change(1, UPDATE, payload=B, base=A, base_known=True),
            {"m": {"version": "3"}},
            'has changed meanwhile: version: was "1", is now "3", wanted "2"',
        ),
        (
            change(1, DELETE, base={"o": {"x": 1, "y": 1}}, base_known=True),
            {"m": {"o": {"x": 1, "y": 2}}},
            "has changed meanwhile: o.y: was 1, is now 2",
        ),
    ],
)
def test_a_conflict_names_the_values(asked: PendingChangeRecord, there: dict[str, Record], told: str) -> None:
    assert reason(plan([asked], there)) == f"clip 'm' {told}"


def test_a_change_whose_base_is_unknown_is_not_compared() -> None:
    found = plan([change(1, UPDATE, payload=B), change(2, DELETE, "n")], {"m": {"version": "9"}, "n": A})
    assert found.edits == {"clip.json": {"m": B, "n": None}}


@pytest.mark.parametrize(
    ("seen", "kind", "told"),
    [
        (
            {"edited": {"clip.json"}},
            HoldKind.local_edits,
            "clip.json has local edits in the clone; commit or undo them",
        ),
        ({"awaited": {(CLIP, "m"): 7}}, HoldKind.earlier_batch, "batch 7 touches 'm' too and has not landed"),
        (
            {"clip": DocumentError("not UTF-8", line=3, column=9)},
            HoldKind.unreadable_file,
            "clip.json cannot be edited safely: line 3, column 9: not UTF-8; mend and commit it",
        ),
    ],
)
def test_what_has_to_wait_says_for_what(seen: dict[str, Any], kind: HoldKind, told: str) -> None:
    found = plan([change(1, CREATE, payload=A), change(2, CREATE, category=BLIP, payload=A)], **seen)
    assert [(each.change_id, each.hold.kind, each.hold.reason) for each in found.waiting] == [(1, kind, told)]
    assert found.written == [2]


def test_a_category_that_the_repository_gave_up_waits() -> None:
    found = plan_batch([change(1, CREATE, payload=A)], Observed(files={}, opened={}))
    assert "does not hold clip any more" in found.waiting[0].hold.reason


def test_a_stamp_that_fails_refuses_its_change_only() -> None:
    def stamp(asked: PendingChangeRecord, wanted: Record, current: Record | None) -> Record:
        if asked.change_id == 1:
            raise ValueError("no")
        return {**wanted, "metadata": {"by": asked.requested_username}}

    observed = Observed(files=FILES, opened={"clip.json": file_of({})})
    found = plan_batch([change(1, CREATE, "a", payload=A), change(2, CREATE, "b", payload=A)], observed, stamp)
    assert found.edits == {"clip.json": {"b": {"version": "1", "metadata": {"by": "Ada"}}}}
    assert reason(found) == "clip 'a': the metadata handler failed: ValueError('no')"


def test_what_cannot_be_stamped_is_refused() -> None:
    observed = Observed(files=FILES, opened={"clip.json": file_of({})}, stamps={"metadata": ["at"]})
    found = plan_batch([change(1, CREATE, payload={"metadata": 1})], observed)
    assert reason(found) == "clip 'm': metadata has to be an object, for refsync writes stamps into it"


def test_half_a_rename_is_refused_and_a_chain_of_renames_is_one() -> None:
    def half(number: int, operation: AuditOperation, model: str, partner: int) -> PendingChangeRecord:
        payload = None if operation is DELETE else A
        return change(number, operation, model, payload=payload, lands_with=partner)

    chain = [half(1, DELETE, "m", 2), half(2, CREATE, "n", 1), half(3, DELETE, "n", 4), half(4, CREATE, "o", 3)]
    found = plan(chain, {"m": A})
    assert (found.written, found.edits, found.renames) == (
        [1, 2, 3, 4],
        {"clip.json": {"m": None, "o": A}},
        {"clip.json": {"m": "o"}},
    )
    assert "the other half of the rename, change 2, is gone" in reason(plan(chain[:1], {"m": A}))


RECORDS = st.dictionaries(st.sampled_from("ab"), st.integers(0, 2), max_size=2)
CHANGES = st.lists(
    st.tuples(st.sampled_from(list(AuditOperation)), st.sampled_from("mn"), RECORDS, RECORDS), max_size=6
)


@given(CHANGES, st.dictionaries(st.sampled_from("mn"), RECORDS))
def test_every_change_has_one_fate_and_a_second_run_finds_nothing_to_write(
    asked: list[tuple[AuditOperation, str, Record, Record]], there: dict[str, Record]
) -> None:
    changes = [
        change(number, operation, model, payload=None if operation is DELETE else payload, base=base, base_known=True)
        for number, (operation, model, payload, base) in enumerate(asked, 1)
    ]
    found = plan(changes, there)
    fates = [*found.written, *found.done, *(refusal.change_id for refusal in found.conflicts)]
    assert sorted(fates) == list(range(1, len(changes) + 1))
    edited = found.edits.get("clip.json", {})
    after = {model: record for model, record in {**there, **edited}.items() if record is not None}
    last = {each.model_name: each for each in changes if each.change_id in found.written}
    assert plan(list(last.values()), after).edits == {}


def test_the_open_batch_is_due_as_the_settings_say() -> None:
    batch = Batch(number=1, title="t", opened_at=50.0, last_approved_at=100.0)
    assert seconds_until_due(batch, ApplySettings(), 100.0) == 0
    assert seconds_until_due(batch, ApplySettings(settle_seconds=10), 104.0) == 6
    assert seconds_until_due(batch, ApplySettings(settle_seconds=10), 200.0) == 0
    assert seconds_until_due(batch, ApplySettings("manual"), 1e9) is None
    daily = ApplySettings("schedule", next_time=lambda after: after + 60)
    assert seconds_until_due(batch, daily, 130.0) == 30
    assert seconds_until_due(batch, daily, 1000.0) == 0


def test_an_approval_from_the_future_is_waited_for_no_longer_than_one_from_now() -> None:
    batch = Batch(number=1, title="t", opened_at=50.0, last_approved_at=90_000.0)
    assert seconds_until_due(batch, ApplySettings(), 100.0) == 0
    assert seconds_until_due(batch, ApplySettings(settle_seconds=10), 100.0) == 10
    assert seconds_until_due(batch, ApplySettings("schedule", next_time=lambda after: after + 60), 100.0) == 60
