"""The config changes while batches are under review: nothing is lost, and each waits with a word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from refsync.pending_queue.models import REFSYNC, BatchState, PendingChangeStatus, Proposal
from tests.support.forge import ForgeStandIn
from tests.support.published import RequestedReference
from tests.support.repositories import git

APPLIED, APPROVED = PendingChangeStatus.APPLIED, PendingChangeStatus.APPROVED
ALPHA = {"version": "2", "nsfw": False}
REQUESTS = 'publish = "pull_request"'


@pytest.fixture
def reference(tmp_path: Path, forge: ForgeStandIn) -> Iterator[RequestedReference]:
    """One whose batch 1, a new alpha, is under review in pull request 1."""
    requested = RequestedReference(tmp_path, forge)
    requested.update("alpha", ALPHA)
    requested.look()
    yield requested
    requested.close()


def proposal_of(reference: RequestedReference) -> Proposal:
    found = reference.batches()[0].proposal
    assert found
    return found


def retry(reference: RequestedReference) -> None:
    reference.application.queue.retry_batch(1, actor=REFSYNC)


@pytest.mark.parametrize("mode", ["push", "local"])
def test_a_proposal_of_a_repository_that_proposes_no_longer_is_held_with_a_word(
    reference: RequestedReference, mode: str
) -> None:
    reference.reopen(REQUESTS, f'publish = "{mode}"')
    [held] = reference.look().held
    branch = proposal_of(reference).branch
    assert held.reason == (
        f"it was proposed as {branch}, but `publish` is {mode} now; set it back, or: refsync batch retry 1"
    )
    assert reference.look().held == [held]
    assert reference.statuses([1]) == [APPROVED]
    reference.reopen(f'publish = "{mode}"', REQUESTS)
    reference.look()
    assert reference.batches()[0].state is BatchState.proposed
    assert proposal_of(reference).number == 1


@pytest.mark.parametrize("mode", ["push", "local"])
def test_a_retry_lands_it_the_new_way(reference: RequestedReference, mode: str) -> None:
    reference.reopen(REQUESTS, f'publish = "{mode}"')
    reference.look()
    retry(reference)
    reference.look()
    assert reference.statuses([1]) == [APPLIED]
    assert reference.clone.records("clip.json")["alpha"] == ALPHA
    assert (reference.remote.tip == reference.clone.tip) is (mode == "push")


def test_it_lands_when_people_merge_it_all_the_same(reference: RequestedReference, forge: ForgeStandIn) -> None:
    reference.reopen(REQUESTS, 'publish = "push"')
    reference.look()
    merged = forge.merge(1)
    reference.look()
    assert reference.statuses([1]) == [APPLIED]
    assert reference.change(1).commit == merged


def test_without_a_forge_its_branch_is_followed_on(reference: RequestedReference) -> None:
    reference.reopen(REQUESTS, 'publish = "branch"')
    assert reference.look().held == []
    merged = reference.person.merge(proposal_of(reference).branch, "squash")
    reference.look()
    assert reference.change(1).commit == merged


def test_another_prefix_holds_it_and_a_retry_proposes_it_there(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    old = proposal_of(reference).branch
    reference.reopen(
        "[repository.pull_request]", '[repository.proposal]\nprefix = "models/"\n[repository.pull_request]'
    )
    [held] = reference.look().held
    assert held.reason == (
        f"it was proposed as {old}, but the prefix of proposal branches is models/ now; set it back, or: "
        "refsync batch retry 1"
    )
    retry(reference)
    reference.look()
    assert proposal_of(reference).branch == old.replace("refsync/", "models/")
    assert forge.pulls[2].head == proposal_of(reference).branch


def test_another_name_of_the_remote_changes_nothing(reference: RequestedReference, forge: ForgeStandIn) -> None:
    git(reference.clone.path, "remote", "rename", "origin", "upstream")
    reference.reopen(REQUESTS, f'{REQUESTS}\nremote = "upstream"')
    assert reference.look().held == []
    forge.merge(1)
    reference.look()
    assert reference.statuses([1]) == [APPLIED]


def test_a_request_of_the_same_number_in_another_repository_is_not_taken_for_ours(
    reference: RequestedReference, forge: ForgeStandIn, tmp_path: Path
) -> None:
    with ForgeStandIn(tmp_path / "other") as other:
        git(reference.clone.path, "push", "-q", str(other.remote), "main")
        other.commit("mine", {"notes.txt": b"x\n"})
        other.open_by_person("mine", "Nothing to do with it")
        other.close(1, by="eve")
        git(reference.clone.path, "remote", "set-url", "origin", str(other.remote))
        reference.reopen(forge.url, other.url)
        [held] = reference.look().held
        assert "was deleted on origin" in held.reason
        retry(reference)
        reference.look()
        assert other.pulls[2].head == proposal_of(reference).branch
        assert proposal_of(reference).number == 2


def test_a_git_that_cannot_tell_whether_a_proposal_merges_is_named(
    reference: RequestedReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    from refsync.clone import merging

    monkeypatch.setattr(merging, "OLDEST_GIT_FOR_PROPOSALS", (99, 0))
    problem = reference.look().problem or ""
    assert "is too old to tell whether a proposal still merges; update git to" in problem
