"""Two installations that propose on one remote, with the same batch numbers: neither touches what is the other's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from refsync.pending_queue.models import REFSYNC, PendingChangeStatus
from tests.support.forge import ForgeStandIn
from tests.support.published import RequestedReference
from tests.support.repositories import git

APPLIED, REJECTED = PendingChangeStatus.APPLIED, PendingChangeStatus.REJECTED
Pair = tuple[RequestedReference, RequestedReference]


@pytest.fixture
def pair(tmp_path: Path, forge: ForgeStandIn) -> Iterator[Pair]:
    """Both have a batch 1 with change 1, which is under review."""
    (tmp_path / "one").mkdir()
    one = RequestedReference(tmp_path / "one", forge)
    two = RequestedReference.beside(one, tmp_path / "two")
    one.update("alpha", {"version": "2", "nsfw": False})
    two.create("gamma", {"version": "1"})
    for each in (one, two):
        each.look()
    yield one, two
    one.close()
    two.close()


def branch_of(reference: RequestedReference) -> str:
    proposal = reference.batches()[0].proposal
    assert proposal
    return proposal.branch


def test_the_same_batch_number_has_two_branches_and_two_requests(pair: Pair, forge: ForgeStandIn) -> None:
    assert {pull.head for pull in forge.pulls.values()} == set(map(branch_of, pair))
    heads = {branch: pair[0].remote.head(branch) for branch in pair[0].remote.branches}
    for each in (*pair, *pair):
        assert each.look().held == []
    assert {branch: pair[0].remote.head(branch) for branch in pair[0].remote.branches} == heads


def test_one_lands_and_clears_away_its_own_alone(pair: Pair, forge: ForgeStandIn) -> None:
    one, two = pair
    forge.merge(1, style="squash")
    for each in (one, two, one, two):
        each.look()
    assert one.statuses([1]) == [APPLIED]
    assert two.statuses([1]) != [APPLIED]
    assert one.remote.branches == [branch_of(two)]
    assert forge.pulls[2].state == "open"
    forge.merge(2, style="rebase")
    for each in (one, two):
        each.look()
    assert two.statuses([1]) == [APPLIED]
    assert one.remote.branches == []
    one.assert_counted()
    two.assert_counted()


def test_one_is_given_up_and_the_other_stays(pair: Pair, forge: ForgeStandIn) -> None:
    one, two = pair
    one.application.queue.abandon_batch(1, reason="no", actor=REFSYNC)
    for each in (one, two):
        each.look()
    assert one.statuses([1]) == [REJECTED]
    assert forge.pulls[1].state == "closed"
    assert forge.pulls[2].state == "open"
    assert one.remote.branches == [branch_of(two)]


def test_the_others_request_for_the_same_model_is_named(pair: Pair) -> None:
    _, two = pair
    two.update("alpha", {"version": "1", "nsfw": True})
    two.look()
    proposal = two.batches()[1].proposal
    assert proposal
    [overlap] = proposal.overlaps
    assert (overlap.number, overlap.models) == (1, ["alpha"])


def test_what_was_fetched_of_a_closed_request_is_let_go(pair: Pair, forge: ForgeStandIn) -> None:
    one, _ = pair
    forge.commit("theirs", {"notes.txt": b"x\n"}, fork="ada/reference")
    number = forge.open_by_person("theirs", "From a fork", fork="ada/reference")
    one.look()
    assert git(one.clone.path, "for-each-ref", "refs/refsync/pull") != ""
    forge.close(number)
    one.look()
    assert git(one.clone.path, "for-each-ref", "refs/refsync/pull") == ""
