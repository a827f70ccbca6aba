"""What is told to targets, in the transaction of what it tells of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from refsync.config import parse_config
from refsync.errors import RequestError
from refsync.forges.base import page_of_url
from refsync.pending_queue.models import Actor, AuditOperation, Submission
from refsync.targets import keep_outbox_to_targets
from refsync.use_cases.batches import revert_batch
from tests.support.costs import Costs, counted
from tests.support.forge import ForgeStandIn
from tests.support.notify import OPS, keep_to_targets, send_waiting, told_reference, waiting
from tests.support.published import RequestedReference
from tests.support.queue import review
from tests.support.receiver import SECRET, receiving, target_of
from tests.support.reference import BLIP, Reference

BOB = Actor("bob", "Bob")


def kinds(news: list[dict[str, object]]) -> list[str]:
    return [str(each["event"]) for each in news]


def test_a_change_is_told_from_its_submission_to_its_landing(tmp_path: Path) -> None:
    with receiving() as receiver, told_reference(tmp_path, receiver.url) as reference:
        reference.update("alpha", {"version": "2", "nsfw": False})
        reference.sync()
        send_waiting(reference.application)
        commit = reference.batches()[0].commit or ""
    assert receiver.kinds() == ["submitted", "approved", "landed"]
    line = '- update clip `alpha`: `version` `"1"` → `"2"`, by `Ada`'
    assert receiver.asked[0].text == f"`Ada` submitted 1 change in `image`\n{line}"
    assert receiver.asked[1].text == (
        f"`Bob` approved 1 change in `image` into batch 1 `New models`\n{line}, approved by `Bob`"
    )
    assert receiver.asked[2].text == (
        f"batch 1 `New models` landed in `image` as `{commit[:12]}`\n{line}, approved by `Bob`"
    )
    data = receiver.asked[2].body["data"]
    assert (data["batch"], data["commit"], data["repository"], data["change_count"]) == (1, commit, "image", 1)
    assert data["changes"][0]["fields"] == [
        {"field_path": "version", "old_value": "1", "new_value": "2", "change_type": "modified"}
    ]


def test_a_rejection_is_told_with_its_reason_and_one_by_a_conflict_too(tmp_path: Path) -> None:
    with told_reference(tmp_path, more='events = ["rejected"]') as reference:
        review(reference.application.queue, reject=[reference.submit("beta", {"version": "2"})], reason="not ours")
        reference.update("alpha", {"version": "2"})
        reference.clone.commit({"clip.json": {"alpha": {"version": "3"}, "beta": {"version": "1"}}})
        reference.sync()
        by_bob, by_refsync = waiting(reference.application)
    assert (by_bob["by"], by_bob["reason"]) == ("Bob", "not ours")
    assert by_refsync["by"] == "refsync"
    assert by_refsync["changes"][0]["model"] == "alpha"


def test_a_batch_that_is_held_again_for_the_same_is_told_once(tmp_path: Path) -> None:
    settings = """[repository.check]\ncommands = [["sh", "-c", "! grep '\\"2\\"' clip.json"]]"""
    with told_reference(tmp_path, more='events = ["held", "landed"]', repository=settings) as reference:
        reference.update("alpha", {"version": "2"})
        reference.sync()
        reference.clone.commit({"blip.json": {"base": {"version": "2"}}})
        reference.sync()
        reference.application.queue.retry_batch(1, actor=BOB)
        reference.sync()
        told = waiting(reference.application)
    assert kinds(told) == ["held", "held"]  # a person had it tried again, and it is held as before
    assert "failed with exit code 1" in told[0]["reason"]


def test_what_undoes_a_batch_is_told_as_such_and_as_landed_to_who_does_not_want_that(tmp_path: Path) -> None:
    (tmp_path / "log.key").write_text(SECRET)
    more = target_of("http://127.0.0.1:9/", "log", 'events = ["landed"]')
    with told_reference(tmp_path, more=f'events = ["reverted"]\n{more}') as reference:
        keep_to_targets(reference.application)
        reference.update("alpha", {"version": "2"})
        reference.sync()
        assert waiting(reference.application) == []
        reverted = revert_batch(reference.application, 1, actor=Actor("ada", "Ada"))
        reference.approve(*(each.change_id for each in reverted.changes), title="Undo")
        reference.sync()
        [undone] = waiting(reference.application)
        landed = waiting(reference.application, "log")
    assert (undone["event"], undone["undoes"], undone["batch"]) == ("reverted", [1], 2)
    assert kinds(landed) == ["landed", "landed"]


def test_many_changes_of_one_call_are_told_at_once_and_counted(tmp_path: Path) -> None:
    with receiving() as receiver, told_reference(tmp_path, receiver.url, 'events = ["submitted"]') as reference:
        many = [
            Submission(BLIP, f"m{number:03}", AuditOperation.CREATE, {"version": "1"}, "ada", "Ada")
            for number in range(300)
        ]
        reference.application.queue.enqueue_many(many)
        send_waiting(reference.application)
    [told] = receiver.taken
    assert told.text.startswith("`Ada` submitted 300 changes in `image`\n- create blip `m000`, by `Ada`\n")
    assert told.text.endswith("\n- and 280 more")
    assert (len(told.body["data"]["changes"]), told.body["data"]["change_count"]) == (20, 300)


def test_a_target_is_told_of_its_repositories_and_categories_only(tmp_path: Path) -> None:
    with told_reference(tmp_path, more='categories = ["blip"]\nevents = ["submitted", "landed"]') as reference:
        reference.update("alpha", {"version": "2"})
        reference.update("base", {"version": "2"}, category=BLIP)
        reference.sync()
        submitted, landed = waiting(reference.application)
    assert [each["model"] for each in submitted["changes"]] == ["base"]
    assert (landed["event"], landed["change_count"]) == ("landed", 1)
    assert [each["model"] for each in landed["changes"]] == ["base"]


def test_a_commit_of_others_is_told_once_with_what_it_did_to_models(tmp_path: Path) -> None:
    with told_reference(tmp_path, more='events = ["foreign_commit"]') as reference:
        reference.sync()  # the history until now is none of a new target's business
        assert waiting(reference.application) == []
        reference.update("alpha", {"version": "2", "nsfw": False})
        reference.sync()
        clip = {"alpha": {"version": "2", "nsfw": False}, "beta": {"version": "9"}}
        reference.clone.commit({"clip.json": clip}, "By hand\n\nrefsync-job: x")
        reference.clone.commit({"README.md": b"no category file"})
        reference.sync()
        reference.sync()
        [told] = waiting(reference.application)
    assert (told["event"], told["title"], told["repository"]) == ("foreign_commit", "By hand", "image")
    [change] = told["changes"]
    assert (change["operation"], change["model"], change["fields"][0]["new_value"]) == ("update", "beta", "9")


def test_who_wants_foreign_commits_later_is_not_told_of_those_until_then(tmp_path: Path) -> None:
    with told_reference(tmp_path, more='events = ["foreign_commit"]') as reference:
        reference.sync()
        reference.reopen('events = ["foreign_commit"]', 'events = ["landed"]')
        keep_to_targets(reference.application)
        reference.clone.commit({"clip.json": {"alpha": {"version": "7"}}})
        reference.sync()
        reference.reopen('events = ["landed"]', 'events = ["foreign_commit"]')
        keep_to_targets(reference.application)
        reference.sync()
        assert waiting(reference.application) == []


def test_a_pass_that_begins_to_fail_is_told_once_until_it_goes_well_again(tmp_path: Path) -> None:
    with told_reference(tmp_path, more='events = ["pass_failing"]') as reference:
        reference.sync()
        away = reference.clone.path.with_name("away")
        for _ in range(2):
            reference.clone.path.rename(away)
            reference.sync()
            reference.sync()
            away.rename(reference.clone.path)
            reference.sync()
        told = waiting(reference.application)
    assert kinds(told) == ["pass_failing", "pass_failing"]
    assert told[0]["repository"] == "image"
    assert "image" in told[0]["reason"]


def test_a_proposal_is_told_once_its_pull_request_is_open(tmp_path: Path, forge: ForgeStandIn) -> None:
    (tmp_path / "ops.key").write_text(SECRET)
    with receiving() as receiver:
        reference = RequestedReference(tmp_path, forge, more=target_of(receiver.url, more='events = ["proposed"]'))
        keep_to_targets(reference.application)
        reference.update("alpha", {"version": "2"})
        reference.sync()
        reference.sync()
        send_waiting(reference.application)
        proposal = reference.batches()[0].proposal
        reference.close()
    assert proposal is not None
    [told] = receiver.taken
    assert told.text.startswith(
        f"batch 1 `New models` can be reviewed in `image`: <{proposal.url}>\n- update clip `alpha`"
    )


def test_what_is_refused_is_told_nobody(tmp_path: Path) -> None:
    with told_reference(tmp_path) as reference:
        change = reference.submit("alpha", {"version": "2"})
        assert kinds(waiting(reference.application)) == ["submitted"]
        with pytest.raises(RequestError):
            review(reference.application.queue, [change], [change])
        assert waiting(reference.application) == []


def test_without_a_target_nothing_is_written(reference: Reference) -> None:
    keep_to_targets(reference.application)
    reference.update("alpha", {"version": "2"})
    reference.clone.commit({"blip.json": {"base": {"version": "2"}}})
    reference.sync()
    with reference.application.store.reading() as queue:
        assert queue.outbox.states() == []
        assert queue.outbox.is_kept_to([], tells_commits=False, now=0.0)
        assert [note.told_commit for note in queue.repository_notes()] == [None]


def test_a_landing_is_told_any_number_of_targets_by_one_statement_in_its_own_transaction(tmp_path: Path) -> None:
    def cost(folder: Path, targets: int) -> Costs:
        folder.mkdir()
        (folder / "ops.key").write_text(SECRET)
        tables = [target_of(OPS, f"t{number}", 'events = ["landed"]\n') for number in range(targets)]
        reference = Reference(folder, more="".join(tables))
        keep_to_targets(reference.application)
        reference.sync()
        for model in ("alpha", "beta"):
            reference.update(model, {"version": "2"})
        with counted(folder / "costs") as costs:
            reference.sync()
        reference.close()
        return costs

    without, with_one, with_five = (cost(tmp_path / str(targets), targets) for targets in (0, 1, 5))
    assert with_one.statements == with_five.statements == without.statements + 1
    assert (with_one.transactions, with_one.writing) == (without.transactions, without.writing)
    assert with_five.writing == without.writing


def test_a_target_that_is_gone_from_the_config_keeps_nothing_and_a_new_one_gets_nothing_old(tmp_path: Path) -> None:
    with told_reference(tmp_path, more='events = ["submitted"]') as reference:
        reference.submit("alpha", {"version": "2"})
        reference.reopen('name = "ops"', 'name = "chat"')
        keep_to_targets(reference.application)
        assert waiting(reference.application, "chat") == []
        reference.submit("beta", {"version": "2"})
        assert len(waiting(reference.application, "chat")) == 1
        reference.reopen('name = "chat"', 'name = "ops"')
        keep_to_targets(reference.application)
        assert waiting(reference.application) == []


def test_a_reader_of_a_shared_queue_forgets_nothing_that_others_are_to_send(tmp_path: Path) -> None:
    with told_reference(tmp_path, more='events = ["submitted"]') as reference:
        reference.submit("alpha", {"version": "2"})
        repository = reference.config_file.read_text().partition("[[repository]]")[2]
        reader = f'[daemon]\nrole = "reader"\n[[repository]]{repository}'
        keep_outbox_to_targets(parse_config(reader, reference.config_file, {}), reference.application.store)
        assert len(waiting(reference.application)) == 1


HOSTILE = "@everyone <!channel> [x](http://evil) `` ` </code> | \u202e"


def test_nothing_that_people_typed_takes_effect_in_a_text(tmp_path: Path) -> None:
    with receiving() as receiver, told_reference(tmp_path, receiver.url) as reference:
        change = reference.submit(HOSTILE, {"v": HOSTILE}, AuditOperation.CREATE, by="@here")
        review(reference.application.queue, reject=[change], reason=HOSTILE)
        send_waiting(reference.application)
    for told in receiver.taken:
        assert "\u202e" not in told.text
        outside = re.sub(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)", "", told.text)
        assert not set(outside) & set("`@<[\\")


def test_a_link_leads_to_the_commit_on_the_forge() -> None:
    assert page_of_url("https://user@github.com/owner/name.git") == "https://github.com/owner/name"
    assert page_of_url("ssh://git@git.example.org:22/owner/name") == "https://git.example.org/owner/name"
    assert page_of_url("https://example.org") is None
