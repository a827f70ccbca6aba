"""What has to wait waits alone, says why, and goes on by itself once the reason is gone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from refsync.pending_queue.models import Actor, AuditOperation, PendingChangeStatus
from refsync.sync import advance, reconcile, turn
from refsync.sync.apply import observe
from tests.support.queue import in_pass
from tests.support.reference import BLIP, CLIP, Reference
from tests.support.repositories import dump, git

APPLIED, APPROVED, REJECTED = PendingChangeStatus.APPLIED, PendingChangeStatus.APPROVED, PendingChangeStatus.REJECTED
GOOD = {"alpha": {"version": "1", "nsfw": False}, "beta": {"version": "1"}}

BROKEN = {
    "no JSON": (b'{"alpha": {},\n  "beta": oops}\n', "line 2, column 11"),
    "a key twice": (b'{"alpha": {},\n "alpha": {}}\n', "line 2, column 2"),
    "a list": (b"[]\n", "line 1, column 1"),
    "a list in it": (b'{"alpha": []}\n', "line 1"),
    "no UTF-8": (b'{"alpha": {"n": "\xff"}}\n', "line 1, column 18"),
    "empty": (b"", "line 1"),
}


def in_both_files(reference: Reference) -> list[int]:
    ids = [
        reference.submit("alpha", {"version": "2", "nsfw": False}),
        reference.submit("base", {"version": "2"}, category=BLIP),
    ]
    reference.approve(*ids)
    return ids


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_holds_its_changes_and_the_others_go_on(reference: Reference, kind: str) -> None:
    content, place = BROKEN[kind]
    ids = in_both_files(reference)
    reference.clone.commit({"clip.json": content})
    outcome = reference.sync_image()
    assert reference.statuses(ids) == [APPROVED, APPLIED]
    [held] = outcome.held
    assert held.reason.startswith("clip.json cannot be edited safely: ")
    assert place in held.reason
    assert reference.clone.read("clip.json") == content
    reference.clone.commit({"clip.json": GOOD})
    assert reference.sync().clean
    assert reference.statuses(ids) == [APPLIED, APPLIED]
    assert reference.clone.numstat() == "1\t1\tclip.json"
    reference.assert_counted()


@pytest.mark.parametrize("target", ["elsewhere.json", "/etc/passwd"])
def test_a_symbolic_link_is_never_followed(reference: Reference, target: str) -> None:
    ids = in_both_files(reference)
    (reference.clone.path / "clip.json").unlink()
    (reference.clone.path / "clip.json").symlink_to(target)
    reference.clone.commit({"elsewhere.json": GOOD})
    [held] = reference.sync_image().held
    assert "symbolic link" in held.reason
    assert reference.statuses(ids) == [APPROVED, APPLIED]
    assert reference.clone.records("elsewhere.json") == GOOD


def test_a_folder_that_is_a_link_holds_only_its_changes(tmp_path: Path, bare_git: None) -> None:
    reference = Reference(tmp_path, repository='[repository.categories]\nclip = "models/clip.json"')
    (reference.clone.path / "real").mkdir()
    (reference.clone.path / "models").symlink_to("real")
    reference.clone.commit({})
    ids = [reference.submit("base", {"version": "2"}, category=BLIP)]
    ids.append(
        reference.application.queue.enqueue_change(
            category=CLIP,
            model_name="new",
            operation=AuditOperation.CREATE,
            payload={"version": "1"},
            requestor_id="eve",
            requestor_username="Eve",
        ).change_id
    )
    reference.approve(*ids)
    outcome = reference.sync_image()
    assert outcome.problem is None
    assert "models is a file or a symbolic link" in outcome.held[0].reason
    assert reference.statuses(ids) == [APPLIED, APPROVED]
    reference.close()


def test_local_edits_hold_their_file_until_they_are_committed(reference: Reference) -> None:
    ids = in_both_files(reference)
    reference.clone.write("clip.json", {**GOOD, "mine": {}})
    [held] = reference.sync_image().held
    assert held.reason == "clip.json has local edits in the clone; commit or undo them"
    assert reference.statuses(ids) == [APPROVED, APPLIED]
    assert reference.clone.records("clip.json") == {**GOOD, "mine": {}}
    git(reference.clone.path, "commit", "-q", "-a", "-m", "mine")
    assert reference.sync().clean
    assert reference.clone.records("clip.json") == {
        "alpha": {"version": "2", "nsfw": False},
        "beta": {"version": "1"},
        "mine": {},
    }


def test_an_untracked_file_where_a_new_one_would_go_holds(reference: Reference) -> None:
    git(reference.clone.path, "rm", "-q", "--cached", "clip.json")
    git(reference.clone.path, "commit", "-q", "-m", "untracked")
    change = reference.create("new", {"version": "1"})
    assert len(reference.sync_image().held) == 1
    (reference.clone.path / "clip.json").unlink()
    assert reference.sync().clean
    assert reference.statuses([change]) == [APPLIED]


def test_local_edits_made_after_the_plan_are_seen(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = in_both_files(reference)

    def edit_after(*arguments: object) -> object:
        observed = observe(*arguments)  # type: ignore[arg-type]
        reference.clone.write("clip.json", b"{}")
        return observed

    monkeypatch.setattr(advance, "observe", edit_after)
    outcome = reference.sync_image()
    assert outcome.problem is None
    assert [held.reason for held in outcome.held] == ["clip.json has local edits in the clone; commit or undo them"]
    assert reference.clone.read("clip.json") == b"{}"
    assert reference.statuses(ids) == [APPROVED, APPLIED]


def test_a_change_purged_after_the_plan_is_not_committed(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = in_both_files(reference)

    def purge_after(*arguments: object) -> object:
        observed = observe(*arguments)  # type: ignore[arg-type]
        with reference.application.store.writing() as queue:
            queue.remove([ids[0]])
        return observed

    monkeypatch.setattr(advance, "observe", purge_after)
    assert reference.sync().clean
    assert reference.clone.records("clip.json") == GOOD
    assert reference.statuses(ids[1:]) == [APPLIED]


def test_a_held_batch_blocks_a_later_one_on_the_same_model_only(reference: Reference) -> None:
    first = reference.update("alpha", {"version": "2", "nsfw": False})
    reference.clone.write("clip.json", b"broken")
    reference.sync()
    again = reference.submit("alpha", {"version": "1", "nsfw": True})
    other = reference.submit("base", {"version": "2"}, category=BLIP)
    reference.approve(again, other)
    reference.sync()
    assert reference.statuses([first, again, other]) == [APPROVED, APPROVED, APPLIED]
    git(reference.clone.path, "checkout", "--", "clip.json")
    assert reference.sync().clean
    assert reference.clone.records("clip.json")["alpha"] == {"version": "2", "nsfw": True}


def test_what_was_split_off_keeps_its_turn(reference: Reference) -> None:
    first = in_both_files(reference)
    reference.clone.write("clip.json", b"broken")
    with reference.application.state.pass_lock():  # a second batch is sealed before the first is split
        sealed_by_hand(reference)
        second = reference.update("alpha", {"version": "3", "nsfw": False})
        sealed_by_hand(reference)
    reference.sync()
    git(reference.clone.path, "checkout", "--", "clip.json")
    assert reference.sync().clean
    assert reference.statuses(first) == [APPLIED, APPLIED]  # the later one met what the earlier one left
    assert reference.statuses([second]) == [REJECTED]


def sealed_by_hand(reference: Reference) -> None:
    reference.application.queue.seal_open_batch(lambda category: "image")


def test_a_held_batch_can_be_abandoned(reference: Reference) -> None:
    change = reference.update("alpha", {"version": "2", "nsfw": False})
    reference.clone.write("clip.json", b"broken")
    [held] = reference.sync_image().held
    reference.application.queue.abandon_batch(held.number, reason="not needed", actor=Actor("bob", "Bob"))
    assert reference.sync().clean
    assert reference.statuses([change]) == [REJECTED]
    assert reference.clone.read("clip.json") == b"broken"


def test_a_batch_of_no_repository_is_told_and_goes_on_when_one_holds_it(reference: Reference) -> None:
    change = reference.update("alpha", {"version": "2", "nsfw": False})
    reference.application.queue.seal_open_batch(lambda category: None)
    report = reconcile.reconcile(
        turn.Pass(in_pass(reference.application.queue), (), {}, reference.application.apply_settings)
    )
    assert not report.clean
    assert [each.reason for each in report.unserved] == ["no repository of the config holds clip"]
    assert reference.sync().clean
    assert reference.statuses([change]) == [APPLIED]


def test_a_batch_of_a_repository_that_left_the_config_is_told(reference: Reference) -> None:
    reference.update("alpha", {"version": "2", "nsfw": False})
    reference.application.queue.seal_open_batch(lambda category: "gone")
    report = reference.sync()
    assert not report.clean
    assert [each.reason for each in report.unserved] == ["the config has no repository 'gone' (any more)"]


# Clones that cannot be used


def missing(reference: Reference) -> None:
    reference.clone.path.rename(reference.folder / "away")


def no_repository(reference: Reference) -> None:
    (reference.clone.path / ".git").rename(reference.folder / "away")


def bare(reference: Reference) -> None:
    reference.clone.path.rename(reference.folder / "away")
    git(reference.folder, "clone", "-q", "--bare", "away", "image")


def other_branch(reference: Reference) -> None:
    git(reference.clone.path, "checkout", "-q", "-b", "topic")


def detached(reference: Reference) -> None:
    git(reference.clone.path, "checkout", "-q", "--detach")


def merging(reference: Reference) -> None:
    git(reference.clone.path, "checkout", "-q", "-b", "topic")
    reference.clone.commit({"README": b"theirs\n"})
    git(reference.clone.path, "checkout", "-q", "main")
    git(reference.clone.path, "merge", "-q", "--no-commit", "--no-ff", "topic")


def unborn(reference: Reference) -> None:
    git(reference.clone.path, "update-ref", "-d", "refs/heads/main")


def damaged(reference: Reference) -> None:
    (reference.clone.path / ".git/HEAD").write_text("nonsense\n")


def of_another_user(reference: Reference) -> None:
    if os.geteuid():
        pytest.skip("only root can give a clone away")
    for path in [reference.clone.path, *reference.clone.path.rglob("*")]:
        os.chown(path, 12345, 12345, follow_symlinks=False)


TROUBLES: dict[Callable[[Reference], None], str] = {
    missing: "there is no such folder",
    no_repository: "this is not a git repository",
    bare: "the repository is bare",
    other_branch: "is on branch 'topic', not on the target branch 'main'",
    detached: "HEAD is detached",
    merging: "a merge is in progress",
    unborn: "there is no branch 'main' with a commit",
    damaged: "not a git repository",
    of_another_user: "belongs to another user",
}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_a_clone_that_cannot_be_used_is_told_in_one_line(
    reference: Reference, trouble: Callable[[Reference], None]
) -> None:
    change = reference.update("alpha", {"version": "2", "nsfw": False})
    trouble(reference)
    report = reference.sync()
    problem = report.repositories[0].problem
    assert problem is not None
    assert TROUBLES[trouble] in problem
    assert str(reference.clone.path) in problem
    assert "\n" not in problem
    assert not report.clean
    assert reference.statuses([change]) == [APPROVED]
    assert reference.sync().repositories[0].problem == problem
    note = reference.application.queue.repository_notes()["image"]
    assert note.last_error == problem


def test_a_clone_that_is_back_goes_on(reference: Reference) -> None:
    change = reference.update("alpha", {"version": "2", "nsfw": False})
    missing(reference)
    reference.sync()
    (reference.folder / "away").rename(reference.clone.path)
    assert reference.sync().clean
    assert reference.statuses([change]) == [APPLIED]
    assert reference.clone.read("clip.json") == dump({**GOOD, "alpha": {"version": "2", "nsfw": False}})


def test_only_the_changes_of_a_model_that_is_there_twice_wait(reference: Reference) -> None:
    text = b'{"$schema": "./s.json", "alpha": {"n": 1}, "beta": {"n": 1}, "alpha": {"n": 2}, "tags": ["x"]}\n'
    reference.clone.commit({"clip.json": text})
    ids = [reference.submit("alpha", {"n": 3}), reference.submit("beta", {"n": 3})]
    reference.approve(*ids)
    outcome = reference.sync_image()
    assert reference.statuses(ids) == [APPROVED, APPLIED]
    [held] = outcome.held
    assert 'the key "alpha" is there twice' in held.reason
    edited = text.replace(b'"beta": {"n": 1}', b'"beta": {"n": 3}')
    assert reference.clone.read("clip.json") == edited
    reference.clone.commit({"clip.json": edited.replace(b'"alpha": {"n": 1}, ', b"")})
    assert reference.sync().clean
    assert reference.statuses(ids) == [APPLIED, APPLIED]
    reference.assert_counted()


def test_a_record_that_became_none_is_counted_as_deleted(reference: Reference) -> None:
    reference.clone.commit({"clip.json": b'{"alpha": {"n": 1}, "beta": {"n": 1}}\n'})
    reference.sync_image()
    before = reference.counters(CLIP)
    reference.clone.commit({"clip.json": b'{"alpha": null, "beta": {"n": 1}}\n'})
    reference.sync_image()
    after = reference.counters(CLIP)
    assert (after.total_deletes, after.total_models) == (before.total_deletes + 1, before.total_models - 1)
    assert after.error_count == before.error_count


@pytest.mark.parametrize("depth", [90, 300, 5_000])
def test_a_record_can_be_deleted_however_deep_it_is(reference: Reference, depth: int) -> None:
    deep = b'"deep": {"n": ' + b"[" * depth + b"]" * depth + b"}"
    reference.clone.commit({"clip.json": b'{"alpha": {"n": 1}, ' + deep + b', "beta": {"n": 1}}\n'})
    ids = [reference.submit("deep", None, AuditOperation.DELETE), reference.submit("beta", {"n": 2})]
    reference.approve(*ids)
    assert reference.sync().clean
    assert reference.statuses(ids) == [APPLIED, APPLIED]
    assert reference.clone.read("clip.json") == b'{"alpha": {"n": 1}, "beta": {"n": 2}}\n'
