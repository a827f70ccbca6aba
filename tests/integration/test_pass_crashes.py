"""Killed at any step, a landing is finished or done again: once in the history, the queue and the counters."""

from __future__ import annotations

import pytest

from refsync.pending_queue.models import AuditOperation, BatchState, PendingChangeStatus
from tests.support.dying import killed_pass
from tests.support.reference import BLIP, CLIP, Reference
from tests.support.repositories import git

STEPS = {
    "built": "after:1:store objects",
    "kept the commit": "after:1:keep a built commit",
    "reserved, and noted which commit": "after:1:reserve a batch",
    "made the journal": "after:1:make the journal",
    "locked": "after:1:lock the index",
    "looked for local edits": "before:2:note in the journal",
    "written what it lands": "after:1:flush the journal",
    "staged the index": "after:1:stage the index",
    "staged the files": "after:1:stage the files",
    "moved the branch": "after:1:move the branch",
    "replaced a file": "after:1:place a file",
    "replaced the files": "after:1:place the files",
    "told the index": "after:1:tell the index of the files",
    "replaced the index": "after:1:place the index",
    "tidied up": "after:1:remove what was staged",
    "unlocked": "after:1:unlock the index",
    "recorded one category": "after:1:count what landed",
    "recorded both": "before:2:note what is counted",
    "noted the position": "after:2:note what is counted",
    "before marking": "before:1:mark a batch as landed",
    "marked": "after:1:mark a batch as landed",
}


@pytest.mark.parametrize("step", STEPS)
def test_a_pass_killed_after_it_has(reference: Reference, step: str) -> None:
    reference.sync()
    ids = [
        reference.submit("alpha", {"version": "2", "nsfw": False}),
        reference.submit("base", None, AuditOperation.DELETE, category=BLIP),
    ]
    reference.approve(*ids, title="Twice never")
    killed_pass(reference.config_file, STEPS[step])
    assert reference.sync().clean
    assert reference.statuses(ids) == [PendingChangeStatus.APPLIED] * 2
    assert [batch.state for batch in reference.batches()] == [BatchState.landed]
    assert git(reference.clone.path, "log", "--format=%s").split("\n").count("Twice never") == 1
    assert {reference.change(change_id).commit for change_id in ids} == {reference.clone.tip}
    assert reference.clone.records("clip.json")["alpha"]["version"] == "2"
    assert reference.clone.records("blip.json") == {}
    assert reference.clone.status == ""
    assert [path.name for path in (reference.clone.path / ".git").iterdir() if "lock" in path.name] == []
    assert [*reference.clone.path.rglob("*refsync-*")] == []
    assert git(reference.clone.path, "for-each-ref", "refs/refsync/built") == ""
    assert (reference.counters(CLIP).total_updates, reference.counters(BLIP).total_deletes) == (1, 1)
    reference.assert_counted()
    assert reference.sync_image().landed == []


def test_a_commit_amended_before_it_was_marked_still_counts(reference: Reference) -> None:
    reference.sync()
    change = reference.create("new", {"version": "1"})
    killed_pass(reference.config_file, STEPS["before marking"])
    reference.clone.write("clip.json", {**reference.clone.records("clip.json"), "new": {"version": "1", "by": "me"}})
    git(reference.clone.path, "commit", "-q", "-a", "--amend", "--no-edit")
    assert reference.sync().clean
    assert reference.change(change).commit == reference.clone.tip
    reference.assert_counted()


def test_an_amended_commit_counts_even_when_the_built_one_is_pruned(reference: Reference) -> None:
    reference.sync()
    change = reference.create("new", {"version": "1"})
    killed_pass(reference.config_file, STEPS["before marking"])
    reference.clone.write("clip.json", {**reference.clone.records("clip.json"), "new": {"version": "1", "by": "me"}})
    git(reference.clone.path, "commit", "-q", "-a", "--amend", "--no-edit")
    git(reference.clone.path, "reflog", "expire", "--expire=now", "--all")
    git(reference.clone.path, "gc", "-q", "--prune=now")
    assert reference.sync().clean
    assert reference.change(change).commit == reference.clone.tip


def test_a_commit_reset_away_before_it_was_marked_is_made_again(reference: Reference) -> None:
    reference.sync()
    change = reference.create("new", {"version": "1"})
    killed_pass(reference.config_file, STEPS["before marking"])
    git(reference.clone.path, "reset", "-q", "--hard", "HEAD^")
    assert reference.sync().clean
    assert reference.change(change).commit == reference.clone.tip
    assert reference.clone.records("clip.json")["new"] == {"version": "1"}
    reference.assert_counted()


def test_a_commit_reverted_before_it_was_marked_counts_as_landed(reference: Reference) -> None:
    reference.sync()
    change = reference.create("new", {"version": "1"})
    killed_pass(reference.config_file, STEPS["before marking"])
    landed = reference.clone.tip
    git(reference.clone.path, "revert", "--no-edit", "HEAD")
    assert reference.sync().clean
    assert reference.change(change).commit == landed
    assert "new" not in reference.clone.records("clip.json")
    reference.assert_counted()


@pytest.mark.parametrize("step", ["reject a change", "mark a batch as landed"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_conflict_is_counted_once_wherever_the_pass_is_killed(reference: Reference, step: str, when: str) -> None:
    change = reference.submit("beta", {"version": "2"}, AuditOperation.CREATE)
    reference.approve(change)
    killed_pass(reference.config_file, f"{when}:1:{step}")
    reference.sync()
    assert reference.change(change).status is PendingChangeStatus.REJECTED
    assert reference.counters().error_count == 1
    reference.create("beta", {"version": "3"})
    reference.sync()
    assert reference.counters().error_count == 2
    reference.assert_counted()
