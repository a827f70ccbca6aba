"""What one pass makes of approved changes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from refsync.clone.commits import parse_message
from refsync.pending_queue.models import AuditOperation, BatchState, PendingChangeStatus
from refsync.sync.reference import ApplySettings
from tests.support.reference import BLIP, CLIP, ESRGAN, Reference
from tests.support.repositories import Clone, dump, git

CREATE, DELETE = AuditOperation.CREATE, AuditOperation.DELETE
APPLIED, APPROVED, REJECTED = PendingChangeStatus.APPLIED, PendingChangeStatus.APPROVED, PendingChangeStatus.REJECTED


def test_creates_updates_and_deletes_land_in_one_commit(reference: Reference) -> None:
    ids = [
        reference.submit("new", {"version": "9"}, CREATE),
        reference.submit("alpha", {"version": "2", "nsfw": False}),
        reference.submit("base", None, DELETE, category=BLIP),
    ]
    reference.approve(*ids, title="Three at once")
    outcome = reference.sync_image()
    [landed] = outcome.landed
    assert (landed.commit, list(landed.change_ids)) == (reference.clone.tip, ids)
    assert reference.clone.records("clip.json") == {
        "alpha": {"version": "2", "nsfw": False},
        "beta": {"version": "1"},
        "new": {"version": "9"},
    }
    assert reference.clone.records("blip.json") == {}
    assert reference.statuses(ids) == [APPLIED] * 3
    assert {reference.change(change_id).commit for change_id in ids} == {reference.clone.tip}
    assert reference.clone.status == ""
    reference.assert_counted()


def test_the_commit_says_what_it_is(reference: Reference) -> None:
    change = reference.create("new", {"version": "9"}, by="eve")
    reference.sync()
    [batch] = reference.batches()
    found = parse_message(git(reference.clone.path, "log", "-1", "--format=%B"))
    assert found is not None
    assert (found.title, found.batch, found.change_ids) == ("New models", batch.number, (change,))
    assert found.job == batch.job
    assert [(person.id, person.username) for person in found.requested_by] == [("eve", "Eve")]
    assert [(person.id, person.username) for person in found.approved_by] == [("bob", "Bob")]
    assert git(reference.clone.path, "log", "-1", "--format=%an <%ae>") == "refsync <refsync@localhost>"


def test_only_the_lines_of_the_model_change(reference: Reference) -> None:
    reference.update("alpha", {"version": "2", "nsfw": False})
    reference.sync()
    assert reference.clone.numstat() == "1\t1\tclip.json"


def test_a_pass_without_work_changes_nothing(reference: Reference) -> None:
    reference.update("alpha", {"version": "2", "nsfw": False})
    reference.sync()
    reference.delete("beta")
    reference.clone.write("clip.json", b"local edit")
    reference.sync()
    before = snapshot(reference)
    assert not reference.sync().clean
    assert snapshot(reference) == before


def snapshot(reference: Reference) -> tuple[object, ...]:
    """The commits, the metadata files, and all that a person sees of the queue."""
    meta = sorted((reference.folder / "state" / "image").rglob("*"))
    changes = reference.application.queue.list_changes().items
    history = [reference.application.queue.history_of(change.change_id) for change in changes]
    return (
        git(reference.clone.path, "rev-parse", "HEAD"),
        git(reference.clone.path, "reflog"),
        [(path, path.stat().st_mtime_ns) for path in meta],
        [(path, path.stat().st_mtime_ns) for path in sorted(reference.clone.path.iterdir())],
        changes,
        history,
        reference.batches(),
    )


def test_a_create_of_what_is_there_already_is_applied_without_a_commit(reference: Reference) -> None:
    tip = reference.clone.tip
    change = reference.create("beta", {"version": "1"})
    [landed] = reference.sync_image().landed
    assert (landed.commit, reference.clone.tip) == (None, tip)
    assert reference.statuses([change]) == [APPLIED]


def test_a_delete_of_what_is_gone_since_is_applied_without_a_commit(reference: Reference) -> None:
    change = reference.delete("beta")
    reference.clone.commit({"clip.json": {"alpha": {"version": "1", "nsfw": False}}})
    tip = reference.clone.tip
    reference.sync()
    assert reference.clone.tip == tip
    assert reference.statuses([change]) == [APPLIED]


def test_changes_that_cancel_each_other_make_no_commit(reference: Reference) -> None:
    tip = reference.clone.tip
    ids = [reference.submit("new", {"version": "1"}, CREATE)]
    ids.append(reference.submit("new", None, DELETE))
    reference.approve(*ids)
    reference.sync()
    assert reference.clone.tip == tip
    assert reference.statuses(ids) == [APPLIED, APPLIED]


def test_a_chain_of_changes_of_one_model_lands_in_its_order(reference: Reference) -> None:
    ids = [reference.submit("new", {"version": "1"}, CREATE)]
    ids.append(reference.submit("new", {"version": "2"}))
    reference.approve(*ids)
    reference.sync()
    assert reference.clone.records("clip.json")["new"] == {"version": "2"}
    assert reference.statuses(ids) == [APPLIED, APPLIED]


def test_a_create_over_another_record_is_rejected_with_both_values(reference: Reference) -> None:
    change = reference.create("beta", {"version": "2"})
    [rejected] = reference.sync_image().rejected
    assert rejected.reason == ('clip \'beta\' exists already with another record: version: is "1", wanted "2"')
    assert reference.change(change).reject_reason == rejected.reason


def test_an_update_of_what_is_gone_is_rejected(reference: Reference) -> None:
    change = reference.update("beta", {"version": "2"})
    reference.clone.commit({"clip.json": {"alpha": {"version": "1", "nsfw": False}}})
    reference.sync()
    assert reference.change(change).reject_reason == "clip 'beta' does not exist (any more), so it cannot be updated"


def test_a_delete_of_what_changed_is_rejected_with_both_values(reference: Reference) -> None:
    change = reference.delete("beta")
    reference.clone.commit({"clip.json": {"alpha": {}, "beta": {"version": "2"}}})
    reference.sync()
    reason = reference.change(change).reject_reason
    assert reason == 'clip \'beta\' has changed meanwhile: version: was "1", is now "2"'


def test_an_update_of_a_field_that_a_person_changed_is_rejected_with_the_values(reference: Reference) -> None:
    change = reference.update("beta", {"version": "2"})
    reference.clone.commit({"clip.json": {"alpha": {}, "beta": {"version": "3"}}})
    reference.sync()
    reason = reference.change(change).reject_reason
    assert reason == 'clip \'beta\' has changed meanwhile: version: was "1", is now "3", wanted "2"'


def test_an_update_of_another_field_is_merged_with_a_persons_commit(reference: Reference) -> None:
    change = reference.update("alpha", {"version": "2", "nsfw": False})
    reference.clone.commit({"clip.json": {"alpha": {"version": "1", "nsfw": True}, "beta": {"version": "1"}}})
    reference.sync()
    assert reference.clone.records("clip.json")["alpha"] == {"version": "2", "nsfw": True}
    assert reference.statuses([change]) == [APPLIED]


def test_what_conflicts_is_rejected_and_counted_and_the_rest_lands(reference: Reference) -> None:
    good = reference.submit("alpha", {"version": "2", "nsfw": False})
    bad = reference.submit("beta", {"version": "2"}, CREATE)
    reference.approve(good, bad)
    outcome = reference.sync_image()
    assert [each.change_id for each in outcome.rejected] == [bad]
    assert [list(each.change_ids) for each in outcome.landed] == [[good]]
    assert reference.statuses([good, bad]) == [APPLIED, REJECTED]
    assert reference.counters().error_count == 1
    assert [batch.state for batch in reference.batches()] == [BatchState.landed]
    reference.assert_counted()


def test_a_batch_of_conflicts_ends_without_a_landing(reference: Reference) -> None:
    tip = reference.clone.tip
    reference.create("beta", {"version": "2"})
    report = reference.sync()
    assert report.clean
    assert report.repositories[0].landed == []
    assert reference.clone.tip == tip
    assert [batch.state for batch in reference.batches()] == [BatchState.abandoned]


def test_a_category_whose_file_does_not_exist_gets_one(reference: Reference) -> None:
    reference.create("R-ESRGAN", {"version": "1"}, category=ESRGAN)
    reference.sync()
    assert reference.clone.read("esrgan.json") == dump({"R-ESRGAN": {"version": "1"}})
    assert reference.clone.status == ""
    assert reference.counters(ESRGAN).total_creates == 1


def test_a_file_in_a_folder_is_found_and_written(tmp_path: Path, bare_git: None) -> None:
    repository = '[repository.categories]\nclip = "models/deep/clip.json"'
    reference = Reference(tmp_path, {"README": b"hi\n"}, repository=repository)
    reference.create("new", {"version": "1"})
    reference.sync()
    reference.update("new", {"version": "2"})
    reference.sync()
    assert reference.clone.read("models/deep/clip.json") == dump({"new": {"version": "2"}})
    reference.close()


def test_a_persons_commits_are_recorded(reference: Reference) -> None:
    reference.sync()
    reference.clone.commit({"clip.json": {"alpha": {"version": "5"}, "mine": {}}})
    assert reference.sync_image().recorded == 3
    counters = reference.counters()
    assert (counters.total_creates, counters.total_updates, counters.total_deletes) == (3, 1, 1)
    reference.assert_counted()


def test_a_branch_that_was_rewritten_is_counted_anew(reference: Reference) -> None:
    reference.create("new", {"version": "1"})
    reference.sync()
    git(reference.clone.path, "reset", "-q", "--hard", "HEAD^")
    reference.clone.commit({"clip.json": {"alpha": {}}}, "another past")
    assert reference.sync_image().problem is None
    counters = reference.counters()
    assert (counters.total_creates, counters.total_models, counters.error_count) == (2, 1, 1)
    reference.assert_counted()


def test_a_batch_that_was_reset_away_after_landing_stays_applied(reference: Reference) -> None:
    change = reference.create("new", {"version": "1"})
    reference.sync()
    git(reference.clone.path, "reset", "-q", "--hard", "HEAD^")
    reference.sync()
    assert reference.statuses([change]) == [APPLIED]
    assert "new" not in reference.clone.records("clip.json")


def test_records_are_stamped_where_the_config_says_so(tmp_path: Path, bare_git: None) -> None:
    reference = Reference(tmp_path, repository="stamp_records = true")
    reference.create("new", {"version": "1"}, by="eve")
    change = reference.update("alpha", {"version": "2", "nsfw": False}, by="eve")
    reference.sync()
    created, updated = (reference.clone.records("clip.json")[name]["metadata"] for name in ("new", "alpha"))
    approved_at = reference.change(change).approved_at
    assert (created["created_by"], updated["updated_by"], updated["updated_at"]) == ("Eve", "Eve", approved_at)
    tip = reference.clone.tip
    again = reference.create("new", {"version": "1"})
    reference.sync()
    assert reference.statuses([again]) == [APPLIED]
    assert reference.clone.tip == tip
    reference.close()


def test_legacy_records_get_no_stamps_unasked(reference: Reference) -> None:
    reference.create("new", {"version": "1"})
    reference.sync()
    assert reference.clone.records("clip.json")["new"] == {"version": "1"}


# When the open batch is sealed


def test_a_batch_that_settles_waits_for_its_time(tmp_path: Path, bare_git: None) -> None:
    reference = Reference(tmp_path, more="apply.settle_seconds = 3600")
    change = reference.create("new", {"version": "1"})
    report = reference.sync()
    assert report.settles_in is not None
    assert 3500 < report.settles_in <= 3600
    assert reference.statuses([change]) == [APPROVED]
    reference.reopen("3600", "0")
    reference.sync()
    assert reference.statuses([change]) == [APPLIED]
    reference.close()


def test_a_manual_batch_is_never_sealed_by_a_pass(tmp_path: Path, bare_git: None) -> None:
    reference = Reference(tmp_path, more='apply.when = "manual"')
    change = reference.create("new", {"version": "1"})
    assert reference.sync().settles_in is None
    assert reference.statuses([change]) == [APPROVED]
    reference.close()


def test_a_scheduled_batch_lands_when_a_time_came_since_its_last_approval(reference: Reference) -> None:
    change = reference.create("new", {"version": "1"})
    later = time.time() + 3600
    report = reference.sync_with(ApplySettings("schedule", next_time=lambda after: later))
    assert report.settles_in is not None
    assert reference.statuses([change]) == [APPROVED]
    reference.sync_with(ApplySettings("schedule", next_time=lambda after: after))
    assert reference.statuses([change]) == [APPLIED]


# Two repositories


@pytest.fixture
def two(tmp_path: Path, bare_git: None) -> Reference:
    Clone.create(tmp_path / "text", {"llm.json": {"gpt": {"version": "1"}}})
    second = '[[repository]]\nname = "text"\npath = "text"\n[repository.categories]\nblip = "llm.json"'
    first = "[repository.categories]\n" + "".join(
        f'{name} = "{name}.json"\n'
        for name in ("clip", "codeformer", "controlnet", "esrgan", "gfpgan", "safety_checker", "miscellaneous")
    )
    return Reference(tmp_path, repository=f'{first}image_generation = "stable_diffusion.json"\n{second}')


def test_changes_of_two_repositories_are_split_at_sealing(two: Reference) -> None:
    ids = [
        two.submit("alpha", {"version": "2", "nsfw": False}, category=CLIP),
        two.submit("gpt", {"version": "2"}, category=BLIP),
    ]
    two.approve(*ids)
    report = two.sync()
    assert report.clean
    assert [[list(landed.change_ids) for landed in each.landed] for each in report.repositories] == [
        [[ids[0]]],
        [[ids[1]]],
    ]
    assert two.clone.numstat() == "1\t1\tclip.json"
    assert Clone(two.folder / "text").records("llm.json") == {"gpt": {"version": "2"}}
    two.close()


def test_a_repository_in_trouble_does_not_stop_the_other(two: Reference) -> None:
    ids = [
        two.submit("alpha", {"version": "2", "nsfw": False}, category=CLIP),
        two.submit("gpt", {"version": "2"}, category=BLIP),
    ]
    two.approve(*ids)
    git(two.clone.path, "checkout", "-q", "--detach")
    report = two.sync()
    assert [bool(each.problem) for each in report.repositories] == [True, False]
    assert two.statuses(ids) == [APPROVED, APPLIED]
    git(two.clone.path, "checkout", "-q", "main")
    assert two.sync().clean
    assert two.statuses(ids) == [APPLIED, APPLIED]
    two.close()
