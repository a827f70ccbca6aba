"""Publishing by pull requests on a forge: opened, reviewed, merged or not, and landed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from refsync.forges import github
from refsync.pending_queue.models import REFSYNC, Batch, BatchState, PendingChangeStatus, Proposal, Wait, WaitKind
from refsync.review.proposal import find_token
from tests.support.forge import ForgeStandIn, unhurried
from tests.support.forge_merging import Style
from tests.support.published import RequestedReference
from tests.support.reference import BLIP
from tests.support.repositories import git

APPLIED, APPROVED, REJECTED = (
    PendingChangeStatus.APPLIED,
    PendingChangeStatus.APPROVED,
    PendingChangeStatus.REJECTED,
)
ALPHA = {"version": "2", "nsfw": False}


@pytest.fixture(autouse=True)
def _no_pause_between_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github, "open_github", partial(github.open_github, pace=unhurried()))


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[ForgeStandIn]:
    with ForgeStandIn(tmp_path) as stand_in:
        stand_in.people = {"ada": "Ada Lovelace"}
        yield stand_in


@pytest.fixture
def reference(tmp_path: Path, forge: ForgeStandIn) -> Iterator[RequestedReference]:
    requested = RequestedReference(tmp_path, forge)
    yield requested
    requested.close()


def propose(reference: RequestedReference) -> Batch:
    """A batch of two changes with its pull request."""
    changes = [reference.submit("alpha", ALPHA), reference.submit("base", {"version": "2"}, category=BLIP)]
    reference.approve(*changes, title="Two new versions")
    reference.sync()
    return reference.batches()[-1]


def proposal_of(reference: RequestedReference, number: int = 1) -> Proposal:
    found = reference.application.queue.get_batch(number).proposal
    assert found
    return found


def test_a_batch_becomes_a_pull_request_is_merged_and_lands(reference: RequestedReference, forge: ForgeStandIn) -> None:
    batch = propose(reference)
    pull = reference.pull
    assert (batch.state, pull.title, pull.base) == (BatchState.proposed, "Two new versions", "main")
    assert find_token(pull.body) == batch.job
    proposal = proposal_of(reference)
    assert (proposal.number, proposal.branch, proposal.state) == (1, pull.head, "open")
    assert reference.statuses([1, 2]) == [APPROVED, APPROVED]
    merged = forge.merge(1, by="ada")
    report = reference.sync_image()
    assert report.landed[0].commit == merged
    change = reference.change(1)
    assert (change.status, change.commit, change.applied_username) == (APPLIED, merged, "Ada Lovelace")
    assert reference.in_step()
    assert reference.remote.branches == []
    reference.assert_counted()


@pytest.mark.parametrize("style", get_args(Style))
def test_it_lands_by_every_style_of_merging_while_others_work(
    reference: RequestedReference, forge: ForgeStandIn, style: Style
) -> None:
    propose(reference)
    reference.person.push({"notes.txt": b"x\n"}, "elsewhere")
    merged = forge.merge(1, style=style)
    reference.person.push({"clip.json": {**reference.clone.records("clip.json"), "later": {}}}, "someone goes on")
    reference.look()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]
    assert reference.change(2).commit == merged


@pytest.mark.parametrize("style", get_args(Style))
def test_an_edit_in_review_is_applied_and_a_dropped_change_is_rejected(
    reference: RequestedReference, forge: ForgeStandIn, style: Style
) -> None:
    propose(reference)
    clip = {**reference.clone.records("clip.json"), "alpha": {"version": "3", "nsfw": False}}
    reference.person.push_to(reference.pull.head, {"clip.json": clip}, "a better version")
    reference.person.push_to(reference.pull.head, {"blip.json": {"base": {"version": "1"}}}, "not this one")
    merged = forge.merge(1, style=style)
    reference.look()
    assert reference.statuses([1, 2]) == [APPLIED, REJECTED]
    history = reference.change(1).history
    assert history
    assert history[-1].why == f"landed in {merged}, as edited in review"
    assert reference.change(2).reject_reason == (
        f"dropped in review: pull request 1 landed as {merged[:12]} without it"
    )


def test_labels_and_reviewers_are_asked_for_and_refused_ones_are_warnings(tmp_path: Path, forge: ForgeStandIn) -> None:
    forge.refuse_labels({"nonsense"})
    forge.refuse_reviewers({"nobody"})
    requests = 'labels = ["models", "nonsense"]\nreviewers = ["ada", "nobody"]'
    reference = RequestedReference(tmp_path, forge, requests=requests)
    propose(reference)
    assert "ada" in reference.pull.asked
    assert proposal_of(reference).warnings == []
    reference.look()
    assert any("nobody" in warning for warning in proposal_of(reference).warnings)
    assert reference.batches()[0].state is BatchState.proposed
    reference.close()


def test_a_cut_connection_after_the_request_was_opened_opens_no_second_one(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    forge.cut_next("POST")
    report = propose_report(reference)
    assert report.forge_problem
    reference.look()
    assert list(forge.pulls) == [1]
    assert proposal_of(reference).number == 1


def propose_report(reference: RequestedReference):  # type: ignore[no-untyped-def]
    reference.update("alpha", ALPHA)
    return reference.sync_image()


def test_a_forge_that_is_down_stops_nothing_but_its_own_part(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    forge.fail_next(502, times=50)
    report = propose_report(reference)
    assert report.problem is None
    assert report.forge_problem
    assert len(reference.remote.branches) == 1
    wait = proposal_of(reference).wait
    assert wait is not None
    assert wait.kind is WaitKind.forge
    reference.person.push({"notes.txt": b"x\n"}, "news")
    reference.sync()
    assert reference.in_step()


def test_a_forge_that_is_down_is_left_alone_for_a_while(reference: RequestedReference, forge: ForgeStandIn) -> None:
    forge.fail_next(502, times=50)
    propose_report(reference)
    asked = len(forge.requests)
    reference.sync()
    reference.sync()
    assert len(forge.requests) == asked


def test_while_nothing_moves_the_forge_is_not_asked(reference: RequestedReference, forge: ForgeStandIn) -> None:
    propose(reference)
    reference.sync()
    asked = len(forge.requests)
    for _ in range(20):
        reference.sync()
    assert len(forge.requests) == asked


def test_a_closed_request_holds_its_batch_with_the_closers_name(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    propose(reference)
    forge.close(1, by="ada")
    report = reference.look()
    assert report.held[0].reason == (
        "pull request 1 was closed by ada without being merged; reopen it, or: refsync batch retry 1"
    )
    assert reference.look().held == report.held
    assert reference.statuses([1, 2]) == [APPROVED, APPROVED]


def test_a_reopened_request_goes_on(reference: RequestedReference, forge: ForgeStandIn) -> None:
    propose(reference)
    forge.close(1)
    reference.look()
    forge.reopen(1)
    reference.look()
    assert reference.batches()[0].state is BatchState.proposed
    forge.merge(1)
    reference.look()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]


def test_a_retried_batch_gets_a_new_request(reference: RequestedReference, forge: ForgeStandIn) -> None:
    propose(reference)
    forge.close(1)
    reference.look()
    reference.application.queue.retry_batch(1, actor=REFSYNC)
    reference.look()
    assert forge.pulls[2].state == "open"
    assert forge.pulls[2].head == forge.pulls[1].head
    assert proposal_of(reference).number == 2


def test_with_on_close_abandon_a_closed_request_ends_its_batch(tmp_path: Path, forge: ForgeStandIn) -> None:
    reference = RequestedReference(tmp_path, forge, requests='on_close = "abandon"')
    propose(reference)
    forge.close(1, by="ada")
    reference.look()
    assert reference.batches()[0].state is BatchState.abandoned
    assert reference.statuses([1, 2]) == [REJECTED, REJECTED]
    assert "closed by ada" in (reference.change(1).reject_reason or "")
    reference.look()
    assert reference.remote.branches == []
    reference.close()


def test_a_branch_deleted_by_hand_holds_the_batch(reference: RequestedReference, forge: ForgeStandIn) -> None:
    propose(reference)
    forge.delete_branch(reference.pull.head, by="ada")
    report = reference.look()
    assert "closed by ada" in report.held[0].reason


def test_a_new_title_and_labels_are_theirs(reference: RequestedReference, forge: ForgeStandIn) -> None:
    propose(reference)
    forge.retitle(1, "A better title")
    forge.relabel(1, "mine")
    reference.look()
    assert (reference.pull.title, reference.pull.labels) == ("A better title", ["mine"])
    forge.merge(1)
    reference.look()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]


def test_another_base_branch_is_waited_out(reference: RequestedReference, forge: ForgeStandIn) -> None:
    propose(reference)
    git(reference.person.path, "push", "-q", "origin", "main:dev")
    forge.retarget(1, "dev")
    reference.look()
    assert proposal_of(reference).wait == Wait(kind=WaitKind.other_base, target="main", about="dev")
    forge.merge(1)
    reference.look()
    assert reference.statuses([1, 2]) == [APPROVED, APPROVED]
    assert proposal_of(reference).wait == Wait(kind=WaitKind.merged_elsewhere, target="main", about="dev")
    reference.person.merge("dev", "merge commit")
    reference.look()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]


def test_a_renamed_repository_goes_on(reference: RequestedReference, forge: ForgeStandIn) -> None:
    propose(reference)
    forge.rename("owner/other-name")
    later = reference.create("gamma", {"version": "1"})
    reference.look()
    assert forge.pulls[2].state == "open"
    forge.merge(1)
    forge.merge(2)
    reference.look()
    assert reference.statuses([1, 2, later]) == [APPLIED, APPLIED, APPLIED]


def test_a_rebuild_says_so_in_one_comment(reference: RequestedReference, forge: ForgeStandIn) -> None:
    propose(reference)
    reference.person.push(
        {"clip.json": {"alpha": {"version": "1", "nsfw": True}, "beta": {"version": "1"}}}, "beside it"
    )
    reference.look()
    reference.look()
    assert len(reference.pull.comments) == 1
    assert "Rebuilt on" in reference.pull.comments[0]
    assert git(forge.remote, "merge-base", "main", reference.pull.head) == reference.remote.tip
    assert list(forge.pulls) == [1]


def test_at_most_so_many_requests_are_open_and_the_others_wait_in_order(tmp_path: Path, forge: ForgeStandIn) -> None:
    reference = RequestedReference(tmp_path, forge, requests="limit = 2")
    for name in ("one", "two", "three", "four"):
        reference.create(name, {"version": "1"})
        reference.application.queue.seal_open_batch(lambda _: "image")
    report = reference.look()
    assert [each.state for each in reference.batches()] == [
        BatchState.proposed,
        BatchState.proposed,
        BatchState.sealed,
        BatchState.sealed,
    ]
    assert [each.number for each in report.queued] == [3, 4]
    forge.merge(1)
    reference.look()
    assert reference.batches()[2].state is BatchState.proposed
    assert reference.batches()[3].state is BatchState.sealed
    reference.close()


def test_a_batch_merged_by_hand_closes_its_request(reference: RequestedReference, forge: ForgeStandIn) -> None:
    propose(reference)
    landed = reference.person.merge(reference.pull.head, "squash")
    reference.look()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]
    assert reference.pull.state == "closed"
    assert landed in reference.pull.comments[0]


def test_a_persons_open_request_for_the_same_model_is_named(reference: RequestedReference, forge: ForgeStandIn) -> None:
    clip = {**reference.clone.records("clip.json"), "alpha": {"version": "1", "nsfw": True}}
    forge.commit("mine", {"clip.json": clip}, "my alpha")
    forge.open_by_person("mine", "My alpha", by="ada")
    propose(reference)
    assert "#1 by `ada`: `alpha`" in reference.pull.body
    [overlap] = proposal_of(reference).overlaps
    assert (overlap.number, overlap.author, overlap.models) == (1, "ada", ["alpha"])


def test_checks_and_reviews_are_shown_in_words(reference: RequestedReference, forge: ForgeStandIn) -> None:
    propose(reference)
    forge.check(1, "lint", "success")
    forge.review(1, "ada", "request changes")
    reference.look()
    proposal = proposal_of(reference)
    assert proposal.checks == "1 passed"
    assert proposal.reviews
    assert "changes requested by ada" in proposal.reviews
    assert proposal.wait == Wait(kind=WaitKind.requested_changes, target="main")


def test_a_request_that_a_person_opened_of_our_branch_is_adopted(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    forge.fail_next(500, times=20)
    propose_report(reference)
    forge.fail_next(0, times=0)
    forge._troubles.clear()
    [branch] = reference.remote.branches
    forge.open_by_person(branch, "I was quicker", by="ada")
    reference.look()
    assert list(forge.pulls) == [1]
    assert proposal_of(reference).number == 1
