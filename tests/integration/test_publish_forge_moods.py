"""Pull requests on a forge that shows less than it could, lags behind itself, or does not take every word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from refsync.pending_queue.models import REFSYNC, BatchState, Proposal
from tests.support.command_line import Desk
from tests.support.forge import ForgeStandIn
from tests.support.published import RequestedReference

ALPHA = {"version": "2", "nsfw": False}
EXTRAS = 'labels = ["models"]\nreviewers = ["ada"]\nteam_reviewers = ["core"]'


@pytest.fixture
def reference(tmp_path: Path, forge: ForgeStandIn) -> Iterator[RequestedReference]:
    forge.people = {"ada": "Ada Lovelace"}
    requested = RequestedReference(tmp_path, forge, requests=EXTRAS)
    yield requested
    requested.close()


def propose(reference: RequestedReference) -> Proposal:
    reference.update("alpha", ALPHA)
    reference.sync()
    return proposal_of(reference)


def proposal_of(reference: RequestedReference) -> Proposal:
    found = reference.application.queue.get_batch(1).proposal
    assert found
    return found


def test_with_the_permissions_of_the_readme_a_closed_request_is_seen_with_the_closer(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    forge.permit(contents="write", pull_requests="write")
    propose(reference)
    forge.close(1, by="ada")
    [held] = reference.look().held
    assert "pull request 1 was closed by ada" in str(held.reason)


def test_status_says_that_checks_cannot_be_read(reference: RequestedReference, forge: ForgeStandIn) -> None:
    forge.permit(contents="write", pull_requests="write")
    propose(reference)
    forge.draft(1)
    reference.look()
    told = Desk(reference.clone, reference.folder)("status").out
    assert "checks: cannot be read: give the credential checks=read and statuses=read" in told
    assert "draft pull request 1, " in told
    assert "waits for somebody to mark it as ready for review: it is a draft" in told


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_labels_and_reviewers_outlast_the_forge_s_lag(
    reference: RequestedReference, forge: ForgeStandIn, lag: int
) -> None:
    forge.lag(lag)
    propose(reference)
    assert proposal_of(reference).warnings == []
    reference.look()
    assert (reference.pull.labels, reference.pull.asked, reference.pull.asked_teams) == (["models"], ["ada"], ["core"])
    assert proposal_of(reference).warnings == []


def test_what_was_refused_once_is_not_asked_for_again_at_once(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    forge.lag(3)
    propose(reference)
    forge.requests.clear()
    reference.sync()
    assert {request.method for request in forge.requests} == {"GET"}


def test_what_was_granted_the_first_time_is_not_asked_for_again(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    forge.refuse_reviewers({"core"})
    propose(reference)
    forge.pulls[1].labels.clear()  # somebody took it off
    reference.look()
    assert forge.pulls[1].labels == []
    [warning] = proposal_of(reference).warnings
    assert "core" in warning


def test_a_head_that_the_forge_does_not_know_yet_is_opened_in_the_same_pass(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    forge.lag_behind_pushes(2)
    assert propose(reference).number == 1


def test_a_last_word_that_is_refused_keeps_neither_request_nor_branch(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    propose(reference)
    forge.lock_conversation(1)
    reference.application.queue.abandon_batch(1, reason="no longer wanted", actor=REFSYNC)
    report = reference.look()
    assert report.forge_problem is None
    assert (reference.pull.state, reference.remote.branches) == ("closed", [])


def test_a_rebuild_whose_word_got_no_answer_is_told_once(reference: RequestedReference, forge: ForgeStandIn) -> None:
    propose(reference)
    clip = {"alpha": {"version": "1", "nsfw": True}, "beta": {"version": "1"}}
    reference.person.push({"clip.json": clip}, "beside it")
    forge.cut_next("POST")
    reference.look()
    reference.look()
    assert len(reference.pull.comments) == 1
    assert reference.batches()[0].state is BatchState.proposed
