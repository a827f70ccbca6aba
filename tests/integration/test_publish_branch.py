"""Publishing by proposal branches that people review and merge by hand, without a forge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refsync.clone.process import GitResult, run_git
from refsync.pending_queue.models import REFSYNC, Batch, BatchState, PendingChangeStatus, Proposal, Wait, WaitKind
from refsync.use_cases.renaming import rename_model
from tests.support.published import PublishedReference
from tests.support.reference import BLIP, CLIP
from tests.support.repositories import git

APPLIED, APPROVED, REJECTED = (
    PendingChangeStatus.APPLIED,
    PendingChangeStatus.APPROVED,
    PendingChangeStatus.REJECTED,
)
ALPHA = {"version": "2", "nsfw": False}


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[PublishedReference]:
    published = PublishedReference(tmp_path, "branch")
    yield published
    published.close()


def proposal_of(batch: Batch) -> Proposal:
    assert batch.proposal
    return batch.proposal


def propose(reference: PublishedReference) -> Batch:
    """A batch of two changes on its branch."""
    changes = [reference.submit("alpha", ALPHA), reference.submit("base", {"version": "2"}, category=BLIP)]
    reference.approve(*changes)
    reference.sync()
    [batch] = reference.batches()
    return batch


def test_a_batch_is_proposed_on_a_branch_of_its_own(reference: PublishedReference) -> None:
    batch = propose(reference)
    assert batch.state is BatchState.proposed
    assert batch.job
    assert proposal_of(batch).branch == f"refsync/batch-1-{batch.job[:6]}"
    assert reference.remote.branches == [proposal_of(batch).branch]
    assert reference.remote.subjects() == ["first"]
    assert reference.remote.subjects(proposal_of(batch).branch) == ["first", "New models"]
    assert reference.statuses([1, 2]) == [APPROVED, APPROVED]
    assert reference.in_step()


def test_a_pass_with_nothing_new_pushes_nothing(reference: PublishedReference) -> None:
    batch = propose(reference)
    head = reference.remote.head(proposal_of(batch).branch)
    reference.sync()
    reference.sync()
    assert reference.remote.head(proposal_of(batch).branch) == head


@pytest.mark.parametrize("how", ["merge commit", "squash", "rebase", "fast-forward"])
def test_a_proposal_lands_however_a_person_merges_it(reference: PublishedReference, how: str) -> None:
    batch = propose(reference)
    reference.person.push({"notes.txt": b"x\n"}, "meanwhile") if how != "fast-forward" else None
    merged = reference.person.merge(proposal_of(batch).branch, how)
    report = reference.sync_image()
    assert report.landed[0].commit == merged
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]
    assert reference.batches()[0].state is BatchState.landed
    assert reference.change(1).commit == merged
    if how != "fast-forward":
        assert reference.change(1).applied_username == "Ada"
    assert reference.in_step()
    assert reference.remote.branches == []
    reference.assert_counted()


@pytest.mark.parametrize("how", ["merge commit", "squash", "rebase"])
def test_what_was_edited_in_review_is_applied_as_what_is_there(reference: PublishedReference, how: str) -> None:
    batch = propose(reference)
    clip = {**reference.clone.records("clip.json"), "alpha": {"version": "3", "nsfw": True}}
    reference.person.push_to(proposal_of(batch).branch, {"clip.json": clip}, "another version")
    merged = reference.person.merge(proposal_of(batch).branch, how)
    reference.sync()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]
    change = reference.change(1)
    assert change.commit == merged
    assert change.history
    assert change.history[-1].why == f"landed in {merged}, as edited in review"
    assert reference.clone.records("clip.json")["alpha"]["version"] == "3"


@pytest.mark.parametrize("how", ["merge commit", "squash", "rebase"])
def test_what_was_dropped_in_review_is_rejected_with_that_reason(reference: PublishedReference, how: str) -> None:
    batch = propose(reference)
    before = {"base": {"version": "1"}}
    reference.person.push_to(proposal_of(batch).branch, {"blip.json": before}, "not this one")
    merged = reference.person.merge(proposal_of(batch).branch, how)
    report = reference.sync_image()
    assert reference.statuses([1, 2]) == ([APPLIED, REJECTED])
    assert f"landed as {merged[:12]} without it" in (reference.change(2).reject_reason or "")
    assert [each.change_id for each in report.rejected] == [2]
    assert reference.batches()[0].state is BatchState.landed


def test_half_a_rename_that_was_dropped_in_review_leaves_no_half_in_the_queue(reference: PublishedReference) -> None:
    ids = [each.change_id for each in rename_model(reference.application, CLIP, "alpha", "omega", actor=REFSYNC).root]
    reference.approve(*ids, title="Another name")
    reference.sync()
    [batch] = reference.batches()
    kept = {
        "alpha": {"version": "1", "nsfw": False},
        "omega": {"version": "1", "nsfw": False},
        "beta": {"version": "1"},
    }
    reference.person.push_to(proposal_of(batch).branch, {"clip.json": kept}, "keep the old name too")
    merged = reference.person.merge(proposal_of(batch).branch, "merge commit")
    assert reference.sync_image().rejected == []
    assert reference.statuses(ids) == [APPLIED, APPLIED]
    assert [(reference.change(each).history or [])[-1].why for each in ids] == [
        f"landed in {merged}, as edited in review",
        f"landed in {merged}",
    ]


def test_a_proposal_that_still_merges_is_left_as_it_is(reference: PublishedReference) -> None:
    batch = propose(reference)
    head = reference.remote.head(proposal_of(batch).branch)
    reference.person.push({"notes.txt": b"x\n"}, "elsewhere")
    reference.sync()
    assert reference.remote.head(proposal_of(batch).branch) == head


def test_a_proposal_that_no_longer_merges_is_rebuilt_on_the_new_tip(reference: PublishedReference) -> None:
    batch = propose(reference)
    clip = reference.clone.records("clip.json")
    clip["alpha"]["nsfw"] = True  # the line beside the one that is proposed
    tip = reference.person.push({"clip.json": clip}, "beside it")
    reference.sync()
    branch = proposal_of(batch).branch
    assert git(reference.remote.path, "rev-parse", f"{branch}~1") == tip
    assert reference.batches()[0].state is BatchState.proposed
    reference.person.merge(branch, "merge commit")
    reference.sync()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]
    assert reference.clone.records("clip.json")["alpha"] == {"version": "2", "nsfw": True}


def test_a_change_that_conflicts_after_a_rebuild_is_rejected_and_the_rest_stays_proposed(
    reference: PublishedReference,
) -> None:
    batch = propose(reference)
    reference.person.push({"clip.json": {"alpha": {"version": "9", "nsfw": False}, "beta": {"version": "1"}}}, "theirs")
    reference.sync()
    assert reference.statuses([1, 2]) == [REJECTED, APPROVED]
    branch = proposal_of(batch).branch
    assert git(reference.remote.path, "diff", "--name-only", f"main...{branch}") == "blip.json"


def test_a_branch_that_somebody_else_pushed_to_is_never_forced_and_still_followed(
    reference: PublishedReference,
) -> None:
    batch = propose(reference)
    branch = proposal_of(batch).branch
    clip = {**reference.clone.records("clip.json"), "alpha": {"version": "3", "nsfw": False}}
    theirs = reference.person.push_to(branch, {"clip.json": clip}, "mine now")
    reference.person.push(
        {"clip.json": {"alpha": {"version": "1", "nsfw": True}, "beta": {"version": "1"}}}, "conflict"
    )
    reference.sync()
    assert reference.remote.head(branch) == theirs
    proposal = proposal_of(reference.batches()[0])
    assert proposal.pushed_by_others
    assert proposal.wait == Wait(kind=WaitKind.outdated_branch, target="main")
    git(reference.person.path, "checkout", "-q", branch)
    git(reference.person.path, "merge", "-q", "-X", "ours", "--no-edit", "main")
    git(reference.person.path, "push", "-q", "origin", branch)
    reference.person.merge(branch, "merge commit")
    reference.sync()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]


def test_a_deleted_branch_holds_the_batch_and_a_retry_pushes_it_again(reference: PublishedReference) -> None:
    batch = propose(reference)
    branch = proposal_of(batch).branch
    git(reference.person.path, "push", "-q", "origin", "--delete", branch)
    report = reference.sync_image()
    assert f"its branch {branch} was deleted on origin" in report.held[0].reason
    assert reference.sync_image().held == report.held
    from refsync.pending_queue.models import REFSYNC

    reference.application.queue.retry_batch(1, actor=REFSYNC)
    reference.sync()
    assert reference.remote.branches == [branch]
    assert reference.batches()[0].state is BatchState.proposed


def test_an_abandoned_proposals_branch_is_deleted(reference: PublishedReference) -> None:
    from refsync.pending_queue.models import REFSYNC

    propose(reference)
    reference.application.queue.abandon_batch(1, reason="no longer wanted", actor=REFSYNC)
    reference.sync()
    assert reference.remote.branches == []
    assert reference.statuses([1, 2]) == [REJECTED, REJECTED]


def test_a_later_batch_for_the_same_model_waits_for_the_proposal(reference: PublishedReference) -> None:
    batch = propose(reference)
    later = reference.update("alpha", {"version": "2", "nsfw": True})
    report = reference.sync_image()
    assert report.held[0].reason == "batch 1 touches 'alpha' too and has not landed"
    reference.person.merge(proposal_of(batch).branch, "merge commit")
    reference.sync()
    assert reference.statuses([later]) == [APPROVED]
    assert len(reference.remote.branches) == 1  # its own now


def test_a_branch_name_that_a_person_uses_holds_the_batch(
    reference: PublishedReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = reference.update("alpha", ALPHA)
    [batch] = reference.application.queue.seal_open_batch(lambda _: "image")
    assert batch.job
    branch = f"refsync/batch-1-{batch.job[:6]}"
    git(reference.person.path, "push", "-q", "origin", f"main:refs/heads/{branch}")
    report = reference.sync_image()
    assert f"the branch {branch} on origin holds somebody else's commit" in report.held[0].reason
    assert reference.statuses([change]) == [APPROVED]
    assert reference.remote.head(branch) == reference.remote.tip


def test_a_commit_that_quotes_the_token_and_touches_nothing_is_no_landing(reference: PublishedReference) -> None:
    batch = propose(reference)
    reference.person.push({"notes.txt": b"x\n"}, f"about Refsync-Job: {batch.job}")
    reference.sync()
    assert reference.statuses([1, 2]) == [APPROVED, APPROVED]


def test_a_squash_that_does_all_of_it_needs_no_token(reference: PublishedReference) -> None:
    batch = propose(reference)
    git(reference.person.path, "fetch", "-q", "origin")
    git(reference.person.path, "merge", "-q", "--squash", f"origin/{proposal_of(batch).branch}")
    git(reference.person.path, "commit", "-q", "-m", "New versions, as refsync proposes")
    git(reference.person.path, "push", "-q", "origin", "main")
    reference.sync()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]
    assert reference.change(1).commit == reference.remote.tip


def test_a_commit_that_does_a_part_of_it_is_no_landing(reference: PublishedReference) -> None:
    batch = propose(reference)
    reference.person.push({"blip.json": {"base": {"version": "2"}}}, "the same idea")
    reference.sync()
    assert reference.statuses([1, 2]) == [APPROVED, APPROVED]
    reference.person.merge(proposal_of(batch).branch, "merge commit")
    reference.sync()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]


def test_a_branch_that_others_pushed_to_after_the_merge_is_left_alone(reference: PublishedReference) -> None:
    batch = propose(reference)
    branch = proposal_of(batch).branch
    reference.person.merge(branch, "squash")
    theirs = reference.person.push_to(branch, {"notes.txt": b"more\n"}, "an afterthought")
    reference.sync()
    reference.sync()
    assert reference.statuses([1, 2]) == [APPLIED, APPLIED]
    assert reference.remote.head(branch) == theirs


def commands_of_a_look(reference: PublishedReference, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many git commands a pass starts that finds a new commit."""
    reference.person.push({"clip.json": {**reference.clone.records("clip.json"), "other": {}}}, "one more")
    commands: list[str] = []

    def counted(folder: Path, *arguments: str, **named: Any) -> GitResult:
        commands.append(arguments[0])
        return run_git(folder, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr("refsync.clone.repository.run_git", counted)
        reference.sync()
    return len(commands)


def test_what_a_look_costs_does_not_grow_with_the_history_since(
    reference: PublishedReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    propose(reference)
    costs = []
    for commits in (10, 30):  # the newest few are looked at in process
        clip = reference.clone.records("clip.json")
        for version in range(commits):
            reference.person.commit({"clip.json": {**clip, "other": {"version": f"{version}"}}}, f"version {version}")
        git(reference.person.path, "push", "-q", "origin", "main")
        reference.sync()
        costs.append(commands_of_a_look(reference, monkeypatch))
    assert costs[1] <= costs[0]


def test_with_delete_branch_off_the_branch_stays(tmp_path: Path) -> None:
    reference = PublishedReference(tmp_path, "branch", repository="[repository.proposal]\ndelete_branch = false")
    batch = propose(reference)
    reference.person.merge(proposal_of(batch).branch, "merge commit")
    reference.sync()
    reference.sync()
    assert reference.remote.branches == [proposal_of(batch).branch]
    reference.close()


def test_a_crash_after_the_push_is_known_again(reference: PublishedReference, monkeypatch: pytest.MonkeyPatch) -> None:
    from refsync.publishing.proposals import propose as proposing

    class PowerCutError(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise PowerCutError

    change = reference.update("alpha", ALPHA)
    with monkeypatch.context() as patch:
        patch.setattr(proposing, "_note_proposed", die)
        with pytest.raises(PowerCutError):
            reference.sync()
    [branch] = reference.remote.branches
    head = reference.remote.head(branch)
    reference.reopen()
    reference.sync()
    assert reference.remote.head(branch) == head
    assert reference.batches()[0].state is BatchState.proposed
    reference.person.merge(branch, "squash")
    reference.sync()
    assert reference.statuses([change]) == [APPLIED]
