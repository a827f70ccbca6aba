from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from refsync.categories import MODEL_REFERENCE_CATEGORY
from refsync.errors import RequestError
from refsync.pending_queue.models import (
    REFSYNC,
    Actor,
    AuditPayload,
    Batch,
    BatchState,
    ChangeEvent,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueueFilter,
)
from refsync.pending_queue.service import PendingQueueService
from tests.support.queue import CLIP, LORA, TEXT, WAITS, in_image, in_pass, review, submit
from tests.support.stores import open_store

pytestmark = pytest.mark.timeout(900)  # finding the shortest failure takes its time

S = PendingChangeStatus
BOB = Actor("2", "Bob")


class QueueMachine(RuleBasedStateMachine):
    """Any interleaving of what people and the daemon do; what is refused must change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = open_store(self.folder)
        self.audited: list[tuple[int, str]] = []
        self.woken = 0
        self.service = self.serve()
        self.given: list[int] = []
        self.batches_seen: dict[int, BatchState] = {}

    def serve(self) -> PendingQueueService:
        return PendingQueueService(store=self.store, audit_writer=self, on_change=self.wake)

    def append_event(self, *, model_name: str, payload: AuditPayload, **_: Any) -> None:
        assert payload.after is not None
        self.audited.append((int(model_name), payload.after["action"]))

    def wake(self) -> None:
        self.woken += 1

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def some(self, data: st.DataObject, *statuses: PendingChangeStatus) -> list[int]:
        """Ids that mostly have one of these statuses, seldom any."""
        wanted = set(S) if data.draw(st.integers(0, 9)) == 0 else set(statuses)
        found = self.service.list_changes(queue_filter=PendingQueueFilter(statuses=wanted)).items
        ids = [change.change_id for change in found]
        return data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=4)) if ids else []

    def a_batch(self, data: st.DataObject) -> int:
        numbers = [batch.number for batch in self.service.list_batches()]
        return data.draw(st.sampled_from([*numbers, 99]) if numbers else st.just(99))

    @initialize(names=st.lists(st.sampled_from("abc"), min_size=4, max_size=8))
    def begin(self, names: list[str]) -> None:
        for name, category in zip(names, cycle([CLIP, CLIP, TEXT, LORA]), strict=False):
            self.submit(name, category)

    @rule(name=st.sampled_from("abc"), category=st.sampled_from([CLIP, TEXT, LORA]))
    def submit(self, name: str, category: MODEL_REFERENCE_CATEGORY) -> None:
        self.given.append(submit(self.service, name, category=category).change_id)

    @rule(data=st.data())
    def approve(self, data: st.DataObject) -> None:
        ids = self.some(data, S.PENDING)
        self.attempt(lambda: review(self.service, ids))

    @rule(data=st.data())
    def approve_and_reject(self, data: st.DataObject) -> None:
        approve, reject = self.some(data, S.PENDING), self.some(data, S.PENDING)
        self.attempt(lambda: review(self.service, approve, reject))

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        ids = self.some(data, S.APPROVED)
        self.attempt(lambda: self.service.withdraw(ids, actor=BOB))

    @rule()
    def seal(self) -> None:
        for batch in self.service.seal_open_batch(in_image):
            assert batch.state in (BatchState.sealed, BatchState.held)

    @rule(data=st.data())
    def split(self, data: st.DataObject) -> None:
        number, ids = self.a_batch(data), self.some(data, S.APPROVED, S.APPLYING)
        self.attempt(lambda: in_pass(self.service).split_batch(number, ids, WAITS))

    @rule(data=st.data(), action=st.sampled_from(["hold", "retry", "abandon", "reserve", "release", "land"]))
    def steer(self, data: st.DataObject, action: str) -> None:
        number, service = self.a_batch(data), self.service
        actions: dict[str, Callable[[], object]] = {
            "hold": lambda: in_pass(service).hold_batch(number, WAITS),
            "retry": lambda: service.retry_batch(number, actor=BOB),
            "abandon": lambda: service.abandon_batch(number, reason="no", actor=BOB),
            "reserve": lambda: in_pass(service).reserve_batch(number),
            "release": lambda: in_pass(service).release_batch(number),
            "land": lambda: in_pass(service).land_batch(number, commit="abc", applied_by=REFSYNC),
        }
        self.attempt(actions[action])

    @rule(data=st.data())
    def land_in_part(self, data: st.DataObject) -> None:
        number, ids = self.a_batch(data), self.some(data, S.APPROVED, S.APPLYING)
        self.attempt(lambda: in_pass(self.service).land_batch(number, commit="abc", applied_by=REFSYNC, change_ids=ids))

    @rule(data=st.data(), action=st.sampled_from(["reserve", "clear", "apply", "refuse"]), token=st.sampled_from("xy"))
    def treat_one_by_one(self, data: st.DataObject, action: str, token: str) -> None:
        service = self.service
        actions: dict[str, Callable[[int], object]] = {
            "reserve": lambda i: service.reserve_for_apply(change_id=i, reservation_id=token),
            "clear": lambda i: service.clear_apply_reservation(change_id=i, reservation_id=token),
            "apply": lambda i: service.mark_applied(change_id=i, applied_by="7", applied_username="J", job_id=token),
            "refuse": lambda i: in_pass(service).reject_by_refsync(i, "conflict"),
        }
        for change_id in self.some(data, S.APPROVED, S.APPLYING):
            self.attempt(partial(actions[action], change_id))

    @rule(status=st.sampled_from(S), name=st.none() | st.sampled_from("abc"))
    def purge(self, status: PendingChangeStatus, name: str | None) -> None:
        wanted = PendingQueueFilter(statuses={status}, model_name=name)
        purged = self.service.purge_changes(queue_filter=wanted, purged_by="2", purged_username="Bob")
        assert all(change.status is status is not S.APPLYING for change in purged)

    @rule()
    def crash_and_restart(self) -> None:
        self.store.close()
        self.store = open_store(self.folder)
        self.service = self.serve()
        self.service.scan_stuck_applying()

    def attempt(self, action: Callable[[], object]) -> None:
        before, woken = self.snapshot(), self.woken
        try:
            action()
        except RequestError:
            assert self.snapshot() == before
        changed = self.snapshot() != before
        assert woken + changed <= self.woken <= woken + 1  # once for each call that did something

    def snapshot(self) -> object:
        return self.service.list_changes(), self.service.list_batches()

    @invariant()
    def the_queue_is_sound(self) -> None:
        with self.store.reading() as queue:
            changes, batches, histories = queue.changes(), queue.batches(), queue.history(self.given)
        assert self.given == list(range(1, len(self.given) + 1))  # no id is given twice
        self.check_batches(batches, changes)
        self.check_changes(changes, {batch.number for batch in batches})
        self.check_histories(histories, {change.change_id: change.status for change in changes})

    def check_batches(self, batches: list[Batch], changes: list[PendingChangeRecord]) -> None:
        assert sum(batch.state is BatchState.open for batch in batches) <= 1
        for batch in batches:
            found = Counter(change.status for change in changes if change.batch_id == batch.number)
            ended = batch.state in (BatchState.landed, BatchState.abandoned)
            assert not (found[S.APPLIED] and found[S.APPROVED])
            assert not (ended and (found[S.APPROVED] or found[S.APPLYING]))
            assert batch.state is not BatchState.open or found[S.APPROVED] or found[S.APPLYING]
            assert (batch.hold is not None) == (batch.state is BatchState.held)
            assert ended or (batch.job is None) == (batch.state is BatchState.open)
            before = self.batches_seen.get(batch.number)
            assert before not in (BatchState.landed, BatchState.abandoned) or batch.state is before
            self.batches_seen[batch.number] = batch.state

    def check_changes(self, changes: list[PendingChangeRecord], known: set[int]) -> None:
        for change in changes:
            assert change.status not in (S.APPROVED, S.APPLYING) or change.batch_id in known
            assert change.status is not S.PENDING or change.batch_id is None
            assert change.status is not S.APPLYING or change.applied_job_id is not None

    def check_histories(self, histories: dict[int, list[ChangeEvent]], stored: dict[int, PendingChangeStatus]) -> None:
        assert sorted(histories) == self.given
        for change_id, history in histories.items():
            assert history[0].from_status is None
            assert all(later.from_status == earlier.to_status for earlier, later in pairwise(history))
            assert history[-1].to_status == stored.get(change_id)
        moves = ((i, audited_as(event)) for i, history in histories.items() for event in history)
        assert Counter(each for each in moves if each[1]) == Counter(
            each for each in self.audited if each[1] != "batch_split"
        )


def audited_as(event: ChangeEvent) -> str | None:
    """The action that the specification wants audited for a move."""
    before, after = event.from_status, event.to_status
    if before is None:
        return "enqueue"
    if before is S.PENDING and after is S.APPROVED:
        return "approve"
    if before is S.APPROVED and after is S.PENDING:
        return "withdraw"
    ends = {S.REJECTED: "reject", S.APPLIED: "apply", None: "purge"}
    return ends.get(after) if before is not after else None


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(
    max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
