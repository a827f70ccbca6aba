"""What people do to a proposal besides merging it: amend, empty, pick from, rebuild, purge, give up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refsync.clone.remotes import push
from refsync.pending_queue.models import (
    REFSYNC,
    Batch,
    BatchState,
    PendingChangeStatus,
    PendingQueueFilter,
    Proposal,
    Wait,
    WaitKind,
)
from tests.support.forge import ForgeStandIn
from tests.support.published import PublishedReference, RequestedReference
from tests.support.reference import BLIP
from tests.support.repositories import git

APPLIED, APPROVED, REJECTED = (
    PendingChangeStatus.APPLIED,
    PendingChangeStatus.APPROVED,
    PendingChangeStatus.REJECTED,
)
ALPHA = {"version": "2", "nsfw": False}
BESIDE = {"clip.json": {"alpha": {"version": "1", "nsfw": True}, "beta": {"version": "1"}}}
"""What a proposal of ALPHA does not merge with, line by line."""


@pytest.fixture
def reference(tmp_path: Path, forge: ForgeStandIn) -> Iterator[RequestedReference]:
    requested = RequestedReference(tmp_path, forge)
    yield requested
    requested.close()


@pytest.fixture
def branches(tmp_path: Path) -> Iterator[PublishedReference]:
    published = PublishedReference(tmp_path, "branch")
    yield published
    published.close()


def propose(reference: PublishedReference) -> str:
    """A batch of two changes that is under review; its branch."""
    changes = [reference.submit("alpha", ALPHA), reference.submit("base", {"version": "2"}, category=BLIP)]
    reference.approve(*changes, title="Two new versions")
    reference.look()
    return proposal_of(reference).branch


def batch_of(reference: PublishedReference) -> Batch:
    return reference.application.queue.get_batch(1)


def proposal_of(reference: PublishedReference) -> Proposal:
    found = batch_of(reference).proposal
    assert found
    return found


def purge(reference: PublishedReference, category: str) -> None:
    queue_filter = PendingQueueFilter.model_validate({"categories": {category}})
    reference.application.queue.purge_changes(queue_filter=queue_filter, purged_by="ada", purged_username="Ada")


def abandon(reference: PublishedReference) -> None:
    reference.application.queue.abandon_batch(1, reason="no longer wanted", actor=REFSYNC)


def retry(reference: PublishedReference) -> None:
    reference.application.queue.retry_batch(1, actor=REFSYNC)


# On the branch


def amend(reference: PublishedReference, branch: str) -> str:
    """Change our commit itself and force it onto the branch; the new commit."""
    person = reference.person
    git(person.path, "fetch", "-q", "origin")
    git(person.path, "checkout", "-q", "-B", branch, f"origin/{branch}")
    person.write("clip.json", {**person.records("clip.json"), "alpha": {"version": "3", "nsfw": False}})
    git(person.path, "commit", "-q", "-a", "--amend", "--no-edit")
    git(person.path, "push", "-q", "--force", "origin", branch)
    return git(person.path, "rev-parse", "HEAD")


@pytest.mark.parametrize("how", ["merge commit", "squash", "rebase"])
def test_an_amended_commit_is_left_alone_and_lands_as_it_is(branches: PublishedReference, how: str) -> None:
    branch = propose(branches)
    amended = amend(branches, branch)
    branches.person.push({"notes.txt": b"x\n"}, "meanwhile")
    branches.look()
    assert branches.remote.head(branch) == amended
    assert proposal_of(branches).pushed_by_others
    merged = branches.person.merge(branch, how)
    branches.look()
    assert branches.statuses([1, 2]) == [APPLIED, APPLIED]
    assert branches.change(1).commit == merged
    assert branches.clone.records("clip.json")["alpha"]["version"] == "3"
    assert branches.remote.branches == []


@pytest.mark.parametrize("style", ["merge", "squash"])
def test_a_branch_that_the_target_was_merged_into_lands(
    reference: RequestedReference, forge: ForgeStandIn, style: str
) -> None:
    branch = propose(reference)
    reference.person.push({"notes.txt": b"x\n"}, "meanwhile")
    git(reference.person.path, "checkout", "-q", "-B", branch, f"origin/{branch}")
    git(reference.person.path, "merge", "-q", "--no-edit", "main")
    git(reference.person.path, "push", "-q", "origin", branch)
    reference.look()
    assert proposal_of(reference).pushed_by_others
    merged = forge.merge(1, style="squash" if style == "squash" else "merge")
    reference.look()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]
    assert reference.change(1).commit == merged


def test_a_branch_that_was_emptied_is_no_landing(branches: PublishedReference) -> None:
    branch = propose(branches)
    git(branches.person.path, "push", "-q", "--force", "origin", f"main:{branch}")
    assert branches.look().problem is None
    branches.person.push({"notes.txt": b"x\n"}, "and on")
    git(branches.person.path, "push", "-q", "--force", "origin", f"main:{branch}")
    branches.look()
    assert branches.statuses([1, 2]) == [APPROVED, APPROVED]
    assert proposal_of(branches).wait == Wait(kind=WaitKind.emptied_branch, target="main")


def test_who_pushes_while_it_is_rebuilt_keeps_the_branch_and_the_batch_is_followed(
    branches: PublishedReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    branch = propose(branches)
    branches.person.push(BESIDE, "beside it")
    theirs: list[str] = []

    def meddled(*arguments: Any, **named: Any) -> None:
        if not theirs:
            theirs.append(branches.person.push_to(branch, {"notes.txt": b"mine\n"}, "mine"))
        push(*arguments, **named)

    monkeypatch.setattr("refsync.publishing.upstream.push", meddled)
    branches.look()
    branches.look()
    assert branches.remote.head(branch) == theirs[0]
    assert batch_of(branches).state is BatchState.proposed
    assert proposal_of(branches).wait == Wait(kind=WaitKind.outdated_branch, target="main")


# On the target branch


def test_what_is_reverted_at_once_has_landed_and_the_revert_is_counted(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    propose(reference)
    merged = forge.merge(1, style="squash")
    git(reference.person.path, "checkout", "-q", "main")
    git(reference.person.path, "pull", "-q")
    git(reference.person.path, "revert", "--no-edit", "HEAD")
    git(reference.person.path, "push", "-q", "origin", "main")
    reference.look()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]
    assert reference.change(1).commit == merged
    assert reference.clone.records("clip.json")["alpha"]["version"] == "1"
    assert reference.counters().total_updates == 2
    reference.assert_counted()


def pick_alpha(reference: PublishedReference, branch: str) -> None:
    """Put a part of the proposal onto the target branch by hand, with our message."""
    person = reference.person
    git(person.path, "fetch", "-q", "origin")
    git(person.path, "checkout", "-q", "main")
    git(person.path, "cherry-pick", "--no-commit", f"origin/{branch}")
    git(person.path, "checkout", "-q", "HEAD", "--", "blip.json")
    git(person.path, "commit", "-q", "-C", f"origin/{branch}")
    git(person.path, "push", "-q", "origin", "main")


def test_a_part_that_was_picked_by_hand_leaves_the_rest_under_review(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    branch = propose(reference)
    pick_alpha(reference, branch)
    reference.look()
    assert reference.statuses([1, 2]) == [APPROVED, APPROVED]
    assert reference.pull.state == "open"
    merged = forge.merge(1)
    reference.look()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]
    assert reference.change(2).commit == merged
    assert reference.counters().total_updates == 1


def test_a_part_that_was_picked_before_the_branch_was_deleted_is_all_that_lands(branches: PublishedReference) -> None:
    branch = propose(branches)
    pick_alpha(branches, branch)
    branches.look()
    git(branches.person.path, "push", "-q", "origin", "--delete", branch)
    branches.look()
    assert branches.statuses([1, 2]) == [APPLIED, REJECTED]


def test_a_rewritten_target_branch_has_the_proposal_rebuilt(branches: PublishedReference) -> None:
    branches.person.push({"notes.txt": b"secret\n"}, "oops")
    branch = propose(branches)
    git(branches.person.path, "reset", "-q", "--hard", "HEAD~1")
    git(branches.person.path, "push", "-q", "--force", "origin", "main")
    branches.look()
    assert branches.remote.subjects(branch) == ["first", "Two new versions"]
    branches.person.merge(branch, "squash")
    branches.look()
    assert branches.statuses([1, 2]) == [APPLIED, APPLIED]


def test_a_target_branch_that_was_rewritten_and_merged_into_at_once_still_tells(branches: PublishedReference) -> None:
    branches.person.push({"notes.txt": b"secret\n"}, "oops")
    branch = propose(branches)
    git(branches.person.path, "fetch", "-q", "origin")
    git(branches.person.path, "reset", "-q", "--hard", "HEAD~1")
    git(branches.person.path, "cherry-pick", f"origin/{branch}")
    git(branches.person.path, "push", "-q", "--force", "origin", "main")
    branches.look()
    assert branches.statuses([1, 2]) == [APPLIED, APPLIED]


# In the queue


def test_a_purged_change_is_taken_out_of_the_proposal(reference: RequestedReference, forge: ForgeStandIn) -> None:
    branch = propose(reference)
    purge(reference, "blip")
    reference.look()
    assert git(forge.remote, "diff", "--name-only", f"main...{branch}") == "clip.json"
    assert "base" not in reference.pull.body
    assert len(reference.pull.comments) == 1
    forge.merge(1)
    reference.look()
    assert batch_of(reference).state is BatchState.landed


def test_a_batch_of_which_everything_is_purged_ends_with_its_request(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    propose(reference)
    purge(reference, "blip")
    purge(reference, "clip")
    reference.look()
    assert batch_of(reference).state is BatchState.abandoned
    assert reference.pull.state == "closed"
    assert reference.remote.branches == []


def test_an_abandoned_batch_closes_its_request_with_a_word(reference: RequestedReference, forge: ForgeStandIn) -> None:
    propose(reference)
    abandon(reference)
    reference.look()
    assert (reference.pull.state, reference.pull.comments) == ("closed", ["The batch was given up."])
    assert reference.remote.branches == []


def test_what_a_forge_refuses_to_clear_away_is_cleared_away_later(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    propose(reference)
    abandon(reference)
    forge.permit(pull_requests="read")
    assert reference.look().forge_problem
    assert reference.remote.branches == [reference.pull.head]
    forge.permissions = None
    reference.look()
    assert reference.pull.comments == ["The batch was given up."]
    assert reference.remote.branches == []


def test_a_retried_batch_whose_branch_others_pushed_to_is_proposed_as_they_left_it(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    branch = propose(reference)
    clip = {**reference.clone.records("clip.json"), "alpha": {"version": "3", "nsfw": False}}
    theirs = reference.person.push_to(branch, {"clip.json": clip}, "a better version")
    forge.close(1)
    reference.look()
    retry(reference)
    reference.look()
    assert (forge.pulls[2].state, forge.pulls[2].head_commit) == ("open", theirs)
    forge.merge(2)
    reference.look()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]


def test_a_request_that_is_opened_anew_is_given_its_labels_again(tmp_path: Path, forge: ForgeStandIn) -> None:
    reference = RequestedReference(tmp_path, forge, requests='labels = ["models"]')
    propose(reference)
    forge.close(1)
    reference.look()
    retry(reference)
    reference.look()
    assert forge.pulls[2].labels == ["models"]
    reference.close()


# Held while its request is open


@pytest.fixture
def checked(tmp_path: Path, forge: ForgeStandIn) -> Iterator[RequestedReference]:
    """A reference with a check that is red once ``red.txt`` is on the target branch with a changed alpha."""
    script = tmp_path / "check.sh"
    script.write_text("#!/bin/sh\n! { test -e red.txt && grep -q '\"2\"' clip.json; }\n")
    script.chmod(0o755)
    requests = f'[repository.check]\ncommands = [["{script}"]]'
    requested = RequestedReference(tmp_path, forge, requests=requests)
    yield requested
    requested.close()


def turn_red(reference: RequestedReference) -> None:
    """Make a rebuild needed whose check fails."""
    reference.person.push({**BESIDE, "red.txt": b"x\n"}, "beside it, and stricter")
    reference.look()
    assert batch_of(reference).state is BatchState.held


@pytest.mark.parametrize("style", ["merge", "squash"])
def test_a_request_that_is_merged_while_its_batch_is_held_lands(
    checked: RequestedReference, forge: ForgeStandIn, style: str
) -> None:
    branch = propose(checked)
    turn_red(checked)
    assert checked.pull.state == "open"
    git(checked.person.path, "fetch", "-q", "origin")
    git(checked.person.path, "checkout", "-q", "-B", branch, f"origin/{branch}")
    git(checked.person.path, "merge", "-q", "-X", "ours", "--no-edit", "origin/main")
    git(checked.person.path, "push", "-q", "origin", branch)
    merged = forge.merge(1, style="squash" if style == "squash" else "merge")
    checked.look()
    assert checked.statuses([1, 2]) == [APPLIED, APPLIED]
    assert (checked.change(1).commit, checked.change(1).applied_username) == (merged, "Ada")


def test_a_request_that_is_closed_while_its_batch_is_held_says_so(
    checked: RequestedReference, forge: ForgeStandIn
) -> None:
    propose(checked)
    turn_red(checked)
    forge.close(1, by="ada")
    [held] = checked.look().held
    assert held.reason.startswith("pull request 1 was closed by ada")


def test_a_held_batch_goes_on_in_the_same_request_once_its_check_is_green(
    checked: RequestedReference, forge: ForgeStandIn
) -> None:
    branch = propose(checked)
    turn_red(checked)
    checked.person.push({"notes.txt": b"x\n"}, "still red")
    assert checked.look().held
    checked.person.push({"red.txt": None}, "less strict")
    checked.look()
    assert list(forge.pulls) == [1]
    assert checked.remote.subjects(branch)[-1] == "Two new versions"
    assert batch_of(checked).state is BatchState.proposed


def test_a_closed_request_that_is_merged_by_hand_lands_as_it_was_merged(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    branch = propose(reference)
    clip = {**reference.clone.records("clip.json"), "alpha": {"version": "3", "nsfw": False}}
    reference.person.push_to(branch, {"clip.json": clip, "blip.json": {"base": {"version": "1"}}}, "so")
    forge.close(1)
    reference.look()
    merged = reference.person.merge(branch, "merge commit")
    reference.look()
    assert reference.statuses([1, 2]) == [APPLIED, REJECTED]
    assert reference.change(1).commit == merged
    assert reference.remote.branches == []


def test_a_local_edit_in_the_way_of_a_rebuild_holds_it_and_the_request_stays(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    propose(reference)
    reference.person.push(BESIDE, "beside it")
    reference.look()  # the clone follows before there are edits
    reference.person.push({"clip.json": {"alpha": {"version": "1"}, "beta": {"version": "1"}}}, "and again")
    git(reference.clone.path, "fetch", "-q", "origin")
    git(reference.clone.path, "merge", "-q", "--ff-only", "origin/main")
    reference.clone.write("clip.json", {"my": {"own": "work"}})
    report = reference.look()
    assert [held for held in report.held if "local edits" in held.reason]
    assert reference.pull.state == "open"
    git(reference.clone.path, "checkout", "-q", "--", "clip.json")
    reference.look()
    reference.look()
    for number, pull in forge.pulls.items():
        if pull.state == "open":
            forge.merge(number)
    reference.look()
    assert APPROVED not in reference.statuses([1, 2])
