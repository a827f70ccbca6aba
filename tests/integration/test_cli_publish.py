"""What people see of publishing: what a pass proposed, what a pull request waits for, and what a dry run would do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Desk
from tests.support.forge import ForgeStandIn
from tests.support.published import PublishedReference, RequestedReference
from tests.support.reference import BLIP, Reference
from tests.support.repositories import git

ALPHA = {"version": "2", "nsfw": False}


@pytest.fixture
def reference(tmp_path: Path, forge: ForgeStandIn) -> Iterator[RequestedReference]:
    requested = RequestedReference(tmp_path, forge, requests="limit = 1")
    yield requested
    requested.close()


@pytest.fixture
def desk(reference: RequestedReference) -> Desk:
    return desk_of(reference)


def desk_of(reference: Reference) -> Desk:
    return Desk(reference.clone, reference.folder)


def seal(reference: Reference) -> None:
    """The next approval opens another batch."""
    reference.application.queue.seal_open_batch(lambda _: "image")


def publishing(folder: Path, mode: str) -> PublishedReference:
    """One with a change of ``alpha`` in a sealed batch."""
    published = PublishedReference(folder, mode)
    published.update("alpha", ALPHA)
    seal(published)
    return published


def branch_of(reference: Reference) -> str:
    return f"refsync/batch-1-{(reference.batches()[0].job or '')[:6]}"


# sync


def test_sync_tells_of_the_pull_request_that_it_opened(
    reference: RequestedReference, desk: Desk, forge: ForgeStandIn
) -> None:
    reference.update("alpha", ALPHA)
    told = desk("sync").done.out.splitlines()
    assert (
        told[0] == f"image: batch 1 proposed: {forge.url}/owner/reference/pull/1, commit {proposed_commit(reference)}"
    )
    assert desk("sync").done.out == "nothing to do\n"


def proposed_commit(reference: Reference) -> str:
    return (reference.batches()[0].commit or "")[:12]


def test_sync_tells_of_the_branch_where_no_request_is_opened(tmp_path: Path) -> None:
    reference = publishing(tmp_path, "branch")
    told = desk_of(reference)("sync").done.out
    assert f"batch 1 proposed: branch {branch_of(reference)}, commit {proposed_commit(reference)}" in told
    reference.close()


def test_a_batch_that_waits_for_its_place_is_no_failure(reference: RequestedReference, desk: Desk) -> None:
    reference.update("alpha", ALPHA)
    seal(reference)
    reference.update("beta", {"version": "2"})
    waits = "as many pull requests are open as `pull_request.limit` allows (1); it waits until one ends"
    assert f"image: batch 2 waits: {waits}\n" in desk("sync").done.out
    status = desk("status").done.out
    assert f"batch 2  sealed, 1 change: New models\n           {waits}\n  landed" in status


def test_a_forge_that_is_down_is_told_and_worth_an_exit_code(
    reference: RequestedReference, desk: Desk, forge: ForgeStandIn
) -> None:
    forge.fail_next(502, times=9)
    reference.update("alpha", ALPHA)
    ended = desk("sync")
    assert ended.code == 1
    [line] = ended.err.splitlines()
    assert line.startswith("refsync: image: ")
    assert line.endswith("; everything else went on")
    assert f"image: batch 1 proposed: branch {branch_of(reference)}, " in ended.out
    assert "waits for the forge: " in desk("status").done.out


def test_a_token_that_is_gone_stops_the_forges_part_only(reference: RequestedReference, desk: Desk) -> None:
    (reference.folder / "token").unlink()
    reference.update("alpha", ALPHA)
    ended = desk("sync")
    assert ended.code == 1
    assert "cannot be read: No such file or directory; put the token there; everything else went on" in ended.err
    assert len(reference.remote.branches) == 1


# status


def test_status_tells_what_a_pull_request_waits_for(
    reference: RequestedReference, desk: Desk, forge: ForgeStandIn
) -> None:
    forge.commit("mine", {"clip.json": {"alpha": {"version": "9"}, "beta": {"version": "1"}}}, "my alpha")
    forge.open_by_person("mine", "My alpha", by="ada")
    reference.update("alpha", ALPHA)
    reference.sync()
    forge.check(2, "lint", "failure")
    forge.review(2, "bob", "approve")
    reference.look()
    told = [line.strip() for line in desk("status").done.out.splitlines()]
    batch = told[told.index("batch 1  proposed, 1 change: New models") :]
    assert batch[1].startswith(f"pull request 2, {forge.url}/owner/reference/pull/2, opened ")
    assert batch[2:5] == [
        "checks: 1 of 1 failed: lint; reviews: approved by bob",
        "waits for its checks to pass",
        "open pull request #1 by ada touches alpha too",
    ]
    assert batch[5].startswith("landed")  # nothing is asked of who reads this


def test_status_tells_what_the_forge_refused_and_that_the_branch_is_theirs(tmp_path: Path, forge: ForgeStandIn) -> None:
    forge.refuse_labels({"nonsense"})
    reference = RequestedReference(tmp_path, forge, requests='labels = ["nonsense"]')
    reference.update("alpha", ALPHA)
    reference.sync()
    reference.person.push_to(branch_of(reference), {"notes.txt": b"x\n"}, "mine now")
    reference.look()
    told = desk_of(reference)("status").done.out
    assert "warning: cannot add the label nonsense" in told
    assert f"somebody else pushed to {branch_of(reference)}; refsync leaves it to them" in told
    reference.close()


def test_status_of_a_closed_request_names_both_ways_on(
    reference: RequestedReference, desk: Desk, forge: ForgeStandIn
) -> None:
    reference.update("alpha", ALPHA)
    reference.sync()
    forge.close(1, by="ada")
    reference.look()
    [batch] = desk("status", "--json").done.json["repositories"][0]["batches"]
    assert batch["command"] == "refsync batch retry 1, or: refsync batch abandon 1 --reason TEXT"
    assert (batch["proposal"]["number"], batch["proposal"]["state"]) == (1, "closed")
    told = desk("status").done.out
    assert "pull/1, opened " in told
    assert "pull request 1 was closed by ada without being merged; reopen it\n" in told
    assert told.count("refsync batch retry 1") == 1  # on a line of its own


@pytest.mark.parametrize("mode", ["push", "branch"])
def test_status_tells_how_the_clone_stands_to_its_remote(tmp_path: Path, mode: str) -> None:
    reference = PublishedReference(tmp_path, mode)
    desk = desk_of(reference)
    how = {"push": "by direct push", "branch": "by proposal branches"}[mode]
    git(reference.clone.path, "update-ref", "-d", "refs/remotes/origin/main")
    assert f"  remote   origin, {how}; not fetched yet\n" in desk("status").done.out
    reference.sync()
    assert f"  remote   origin, {how}; the clone is in step with what was fetched last\n" in desk("status").done.out
    reference.person.push({"notes.txt": b"x\n"})
    git(reference.clone.path, "fetch", "-q", "origin")
    reference.clone.commit({"mine.txt": b"x\n"})
    both = "the clone is 1 commit behind what was fetched last and has 1 commit that origin lacks"
    assert f"  remote   origin, {how}; {both}\n" in desk("status").done.out
    reference.close()


def test_status_and_a_dry_run_ask_nobody(reference: RequestedReference, desk: Desk, forge: ForgeStandIn) -> None:
    reference.update("alpha", ALPHA)
    reference.sync()
    reference.create("gamma", {"version": "1"})
    reference.remote.path.rename(reference.folder / "gone.git")
    asked, there = len(forge.requests), everything_of(reference)
    for words in (("status",), ("batch", "list"), ("batch", "show", "1"), ("sync", "--dry-run")):
        assert desk(*words).done
    assert (len(forge.requests), everything_of(reference)) == (asked, there)


def everything_of(reference: Reference) -> list[str]:
    """Branches and objects of the clone."""
    return [git(reference.clone.path, "for-each-ref"), git(reference.clone.path, "count-objects", "-v")]


# batch


def test_batches_are_listed_with_where_they_are_reviewed(
    reference: RequestedReference, desk: Desk, forge: ForgeStandIn
) -> None:
    reference.update("alpha", ALPHA)
    reference.sync()
    listed = desk("batch", "list").done.out
    assert f"{forge.url}/owner/reference/pull/1" in listed
    assert "waits for review" in listed
    shown = desk("batch", "show", 1).done.out
    assert f"pull request 1, {forge.url}/owner/reference/pull/1, opened " in shown
    assert "\nwaits for review\n" in shown
    forge.merge(1)
    reference.look()
    landed = desk("batch", "show", 1).done.out
    assert "pull/1, opened " in landed
    assert ", merged\n" in landed
    assert "waits for" not in landed


def test_a_batch_on_a_branch_is_listed_with_it(tmp_path: Path) -> None:
    reference = publishing(tmp_path, "branch")
    reference.sync()
    desk = desk_of(reference)
    assert branch_of(reference) in desk("batch", "list").done.out
    assert f"branch, {branch_of(reference)}, opened " in desk("status").done.out
    reference.close()


def test_a_proposed_batch_can_be_given_up(reference: RequestedReference, desk: Desk, forge: ForgeStandIn) -> None:
    reference.update("alpha", ALPHA)
    reference.sync()
    assert desk("batch", "abandon", 1, "--reason", "no longer wanted").done
    assert desk("sync").done
    assert (forge.pulls[1].state, reference.remote.branches) == ("closed", [])


# sync --dry-run


def test_a_dry_run_says_where_a_commit_would_be_pushed(tmp_path: Path) -> None:
    reference = publishing(tmp_path / "push", "push")
    assert "batch 1 -> image, remote origin, branch main\n" in desk_of(reference)("sync", "--dry-run").done.out
    reference.close()
    reference = publishing(tmp_path / "branch", "branch")
    where = f"batch 1 -> image, remote origin, proposal of {branch_of(reference)} into main\n"
    assert where in desk_of(reference)("sync", "--dry-run").done.out
    reference.close()


def test_a_dry_run_shows_the_pull_request_as_it_is_opened_then(reference: RequestedReference, desk: Desk) -> None:
    changes = [reference.submit("alpha", ALPHA), reference.submit("base", {"version": "2"}, category=BLIP)]
    reference.approve(*changes, title="Two new versions")
    seal(reference)
    [planned] = desk("sync", "--dry-run", "--json").done.json
    reference.sync()
    assert planned["pull_request"] == {"title": reference.pull.title, "body": reference.pull.body}
    assert planned["proposal"] == reference.pull.head
    assert desk("sync", "--dry-run").done.out == "no commit to make\n"


def test_a_dry_run_says_that_an_open_batch_has_no_token_yet(reference: RequestedReference, desk: Desk) -> None:
    reference.update("alpha", ALPHA)
    told = desk("sync", "--dry-run").done.out.splitlines()
    assert told[:2] == [
        "batch 1 -> image, remote origin, pull request of refsync/batch-1-TOKEN into main",
        "  TOKEN: a part of its token, which is given when the batch is sealed",
    ]
    assert "pull request: New models" in told
    assert "  | clip `alpha` | update | `Ada` | 1: `version` |" in told


def test_in_a_dry_run_each_proposal_is_made_of_the_tip_and_later_ones_wait(
    reference: RequestedReference, desk: Desk
) -> None:
    reference.reopen("limit = 1", "limit = 2")
    reference.update("alpha", ALPHA)
    reference.sync()
    for model, record in (("one", {"version": "1"}), ("two", {"version": "1"})):
        reference.create(model, record)
        seal(reference)
    again = reference.update("alpha", {"version": "3", "nsfw": False})
    ended = desk("sync", "--dry-run", "--json")
    one, two, later = ended.json
    assert '"one"' in one["diff"]
    assert one["queued"] is None
    assert (two["diff"], two["queued"]) == (
        "",
        "as many pull requests are open as `pull_request.limit` allows (2); it waits until one ends",
    )
    assert later["waiting"] == [{"change_id": again, "reason": "batch 1 touches 'alpha' too and has not landed"}]


def test_a_dry_run_builds_on_what_was_fetched(tmp_path: Path) -> None:
    reference = publishing(tmp_path, "push")
    reference.person.push({"clip.json": {"alpha": {"version": "1", "nsfw": True}, "beta": {"version": "1"}}}, "nsfw")
    git(reference.clone.path, "fetch", "-q", "origin")
    [planned] = desk_of(reference)("sync", "--dry-run", "--json").done.json
    assert '         "nsfw": true' in planned["diff"]
    assert not reference.in_step()
    reference.close()
