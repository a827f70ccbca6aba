"""Killed at any step of publishing, a pass is finished or done again: landed once, proposed once, one pull request."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from refsync.forges import github
from refsync.pending_queue.models import BatchState, PendingChangeStatus
from tests.support.dying import killed_pass
from tests.support.forge import ForgeStandIn, unhurried
from tests.support.published import PublishedReference, RequestedReference
from tests.support.reference import BLIP, CLIP

APPLIED, REJECTED = PendingChangeStatus.APPLIED, PendingChangeStatus.REJECTED
ALPHA = {"version": "2", "nsfw": False}

PUSHING = {
    "after the push": "after:1:push",
    "having noted the push": "after:1:note what was pushed",
    "having counted": "after:2:note what is counted",
    "before marking": "before:1:mark a batch as landed",
    "after marking": "after:1:mark a batch as landed",
}
PROPOSING = {
    "after the push": "after:1:push",
    "having noted the push": "after:1:note what was pushed",
    "having noted the proposal": "after:1:note that a batch is proposed",
    "after the request": "after:1:open a pull request",
    "having noted the request": "after:2:note a proposal",
}
REBUILDING = {
    "taken back into work": "after:1:take a proposal back into work",
    "pushed": "after:1:push",
    "noted the proposal": "after:1:note that a batch is proposed",
}
LANDING = {
    "after the clone followed": "after:1:follow the remote",
    "having rejected what was dropped": "after:1:reject a change",
    "after marking": "after:1:mark a batch as landed",
    "before clearing away": "before:1:delete a proposed branch",
    "having deleted the branch": "after:1:delete a proposed branch",
}


@pytest.fixture(autouse=True)
def _no_pause_between_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github, "open_github", partial(github.open_github, pace=unhurried()))


@pytest.fixture
def pushed(tmp_path: Path) -> Iterator[PublishedReference]:
    reference = PublishedReference(tmp_path, "push")
    yield reference
    reference.close()


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[ForgeStandIn]:
    with ForgeStandIn(tmp_path) as stand_in:
        yield stand_in


@pytest.fixture
def requested(tmp_path: Path, forge: ForgeStandIn) -> Iterator[RequestedReference]:
    reference = RequestedReference(tmp_path, forge)
    yield reference
    reference.close()


def assert_settled(reference: PublishedReference) -> None:
    """The clone is in step, everything is counted, no lock is left, and another pass has nothing to do."""
    assert reference.in_step()
    assert [path.name for path in (reference.clone.path / ".git").rglob("*.lock")] == []
    reference.assert_counted()
    report = reference.sync_image()
    assert (report.landed, report.proposed, report.held, report.problem) == ([], [], [], None)


def two_changes(reference: PublishedReference) -> list[int]:
    ids = [reference.submit("alpha", ALPHA), reference.submit("base", {"version": "2"}, category=BLIP)]
    reference.approve(*ids, title="Twice never")
    return ids


@pytest.mark.parametrize("step", PUSHING)
def test_a_push_killed(pushed: PublishedReference, step: str) -> None:
    pushed.sync()
    ids = two_changes(pushed)
    killed_pass(pushed.config_file, PUSHING[step])
    pushed.look()
    assert pushed.statuses(ids) == [APPLIED, APPLIED]
    assert pushed.remote.subjects() == ["first", "Twice never"]
    assert pushed.change(1).commit == pushed.remote.tip
    assert (pushed.counters(CLIP).total_updates, pushed.counters(BLIP).total_updates) == (1, 1)
    assert_settled(pushed)


@pytest.mark.parametrize("step", PROPOSING)
def test_a_proposal_killed(requested: RequestedReference, forge: ForgeStandIn, step: str) -> None:
    requested.sync()
    ids = two_changes(requested)
    killed_pass(requested.config_file, PROPOSING[step])
    requested.look()
    requested.look()
    assert list(forge.pulls) == [1]
    assert requested.remote.branches == [requested.pull.head]
    assert requested.remote.subjects(requested.pull.head) == ["first", "Twice never"]
    forge.merge(1)
    requested.look()
    assert requested.statuses(ids) == [APPLIED, APPLIED]
    assert requested.remote.branches == []
    assert_settled(requested)


@pytest.mark.parametrize("step", REBUILDING)
def test_a_rebuild_killed(requested: RequestedReference, forge: ForgeStandIn, step: str) -> None:
    ids = two_changes(requested)
    requested.look()
    requested.person.push({"clip.json": {"alpha": {"version": "1", "nsfw": True}, "beta": {"version": "1"}}}, "beside")
    killed_pass(requested.config_file, REBUILDING[step])
    requested.look()
    requested.look()
    assert list(forge.pulls) == [1]
    assert requested.remote.subjects(requested.pull.head) == ["first", "beside", "Twice never"]
    assert len(requested.pull.comments) == 1
    forge.merge(1, style="squash")
    requested.look()
    assert requested.statuses(ids) == [APPLIED, APPLIED]
    assert requested.clone.records("clip.json")["alpha"] == {"version": "2", "nsfw": True}
    assert_settled(requested)


@pytest.mark.parametrize("step", LANDING)
def test_a_landing_killed(requested: RequestedReference, forge: ForgeStandIn, step: str) -> None:
    ids = two_changes(requested)
    requested.look()
    requested.person.push_to(requested.pull.head, {"blip.json": {"base": {"version": "1"}}}, "not this one")
    merged = forge.merge(1, style="squash")
    killed_pass(requested.config_file, LANDING[step])
    requested.look()
    assert requested.statuses(ids) == [APPLIED, REJECTED]
    assert (requested.change(1).commit, requested.change(1).applied_username) == (merged, "Ada")
    assert [batch.state for batch in requested.batches()] == [BatchState.landed]
    assert requested.remote.branches == []
    assert requested.counters(CLIP).total_updates == 1
    assert_settled(requested)


def test_a_proposal_that_was_merged_before_its_killed_pass_could_note_it_lands(
    requested: RequestedReference, forge: ForgeStandIn
) -> None:
    ids = two_changes(requested)
    killed_pass(requested.config_file, PROPOSING["after the request"])
    forge.merge(1)
    requested.look()
    assert requested.statuses(ids) == [APPLIED, APPLIED]
    assert list(forge.pulls) == [1]
    assert_settled(requested)
