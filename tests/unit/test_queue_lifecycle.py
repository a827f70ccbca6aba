from __future__ import annotations

import pytest

from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.errors import BatchStateError, ChangeStateError
from refsync.pending_queue.lifecycle import (
    BATCH_MOVES,
    CHANGE_MOVES,
    check_batch_move,
    check_batch_state,
    check_change_move,
    check_change_status,
)
from refsync.pending_queue.models import (
    AuditOperation,
    Batch,
    BatchState,
    PendingChangeRecord,
    PendingChangeStatus,
)

S = PendingChangeStatus
B = BatchState

MOVES = {
    (S.PENDING, S.APPROVED),
    (S.PENDING, S.REJECTED),
    (S.APPROVED, S.APPLYING),
    (S.APPROVED, S.APPLIED),
    (S.APPROVED, S.PENDING),
    (S.APPROVED, S.REJECTED),
    (S.APPLYING, S.APPLIED),
    (S.APPLYING, S.APPROVED),
    (S.APPLYING, S.REJECTED),
}


def change(status: PendingChangeStatus) -> PendingChangeRecord:
    return PendingChangeRecord(
        change_id=7,
        category=Category.clip,
        model_name="m",
        operation=AuditOperation.CREATE,
        requested_by="1",
        requested_username="Ada",
        status=status,
    )


@pytest.mark.parametrize("start", S)
@pytest.mark.parametrize("end", S)
def test_a_change_makes_the_drawn_moves_and_no_others(start: S, end: S) -> None:
    if (start, end) in MOVES:
        check_change_move(change(start), end)
    else:
        with pytest.raises(ChangeStateError, match=rf"^change 7 is {start}, it cannot become {end}; \S.+$"):
            check_change_move(change(start), end)


def test_every_status_and_state_has_its_row() -> None:
    assert set(CHANGE_MOVES) == set(S)
    assert set(BATCH_MOVES) == set(B)


def test_a_refusal_says_what_to_do() -> None:
    with pytest.raises(ChangeStateError) as refusal:
        check_change_status(change(S.APPLIED), S.PENDING)
    assert str(refusal.value) == "change 7 is applied, not pending; submit a new change"
    check_change_status(change(S.PENDING), S.PENDING)


ENDS = {B.held, B.landed, B.abandoned}
BATCH_WAYS = {
    B.open: ENDS - {B.held} | {B.sealed},
    B.sealed: ENDS | {B.sealed, B.proposed},
    B.proposed: ENDS | {B.sealed, B.proposed},
    B.held: ENDS | {B.sealed, B.proposed},
}


@pytest.mark.parametrize("start", BATCH_WAYS)
@pytest.mark.parametrize("end", B)
def test_a_batch_goes_its_ways_and_no_others(start: B, end: B) -> None:
    batch = Batch(number=3, title="t", state=start)
    if end in BATCH_WAYS[start]:
        check_batch_move(batch, end)
    else:
        with pytest.raises(BatchStateError, match=f"^batch 3 is {start}; it cannot become {end}$"):
            check_batch_move(batch, end)


@pytest.mark.parametrize("end", B)
@pytest.mark.parametrize("start", [B.landed, B.abandoned])
def test_an_ended_batch_moves_no_more(start: B, end: B) -> None:
    with pytest.raises(BatchStateError, match=f"^batch 3 is {start}; it cannot become {end}$"):
        check_batch_move(Batch(number=3, title="t", state=start), end)


def test_a_held_batch_may_be_tried_again_but_never_opened() -> None:
    held = Batch(number=3, title="t", state=B.held)
    check_batch_move(held, B.sealed)
    with pytest.raises(BatchStateError):
        check_batch_move(held, B.open)


def test_a_refused_action_names_the_states_that_would_do() -> None:
    with pytest.raises(BatchStateError) as refusal:
        check_batch_state(Batch(number=3, title="t"), {B.held, B.sealed}, "split")
    assert str(refusal.value) == "batch 3 is open; only a batch that is sealed or held can be split"
    check_batch_state(Batch(number=3, title="t"), {B.open}, "sealed")
