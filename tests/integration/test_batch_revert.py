"""`batch revert` submits the inverse of what landed, and overwrites nobody's later edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Desk, Ended
from tests.support.repositories import git
from tests.support.text_files import DOCUMENT, LISTED, ROWS, TABLE, document, text_files

VIT = {"name": "ViT-L/14", "type": "clip"}
FILES = {"clip.json": {"ViT-L/14": VIT, "old": {"name": "old"}, "last": {"name": "last"}}, "blip.json": {}}


@pytest.fixture
def desk(tmp_path: Path, bare_git: None) -> Desk:
    return Desk.at(tmp_path, files=FILES)


def landed(desk: Desk, *changes: int, title: str = "Batch") -> int:
    """Land the changes; the number of their batch."""
    desk.land(*changes, title=title)
    number: int = desk("queue", "show", changes[0], "--json").done.json["batch_id"]
    return number


def reverted(desk: Desk, batch: int) -> int:
    """Revert a batch and land that; the number of the new batch."""
    changes = desk("batch", "revert", batch, "--json").done.json["changes"]
    return landed(desk, *(change["change_id"] for change in changes))


def mixed_batch(desk: Desk) -> int:
    return landed(
        desk,
        desk.add("create", "new", {"name": "new"}),
        desk.add("update", "ViT-L/14", VIT | {"type": "x", "size": 1}),
        desk.add("delete", "last"),
        title="All at once",
    )


def edit(desk: Desk, model: str, **fields: Any) -> None:
    """A person's own commit."""
    records = desk.clone.records("clip.json")
    desk.clone.commit({"clip.json": records | {model: records.get(model, {}) | fields}})


def refusals(ended: Ended) -> list[str]:
    """The lines of a refusal that printed nothing else."""
    assert (ended.code, ended.out) == (1, ""), ended
    lines = ended.err.splitlines()
    assert all(line.startswith("refsync: ") for line in lines), ended
    return [line.removeprefix("refsync: ") for line in lines]


# What is submitted


def test_what_landed_is_undone_by_changes_that_are_reviewed(desk: Desk) -> None:
    before = desk.clone.read("clip.json")
    number = mixed_batch(desk)
    assert desk.clone.read("clip.json") != before
    assert desk("batch", "revert", number, "--by", "7", "--username", "Grace").done.out == "3 changes submitted: 4-6\n"
    changes = desk("queue", "list", "--status", "pending", "--json").done.json["items"]
    told = [(each["operation"], each["model_name"], each["payload"]) for each in changes]
    assert told == [("delete", "new", None), ("update", "ViT-L/14", VIT), ("create", "last", {"name": "last"})]
    assert {each["notes"] for each in changes} == {f"reverts batch {number}: All at once"}
    assert {each["requested_username"] for each in changes} == {"Grace"}
    assert all(each["base_known"] for each in changes)
    desk.land(4, 5, 6)
    assert desk.clone.read("clip.json") == before


def test_later_edits_of_other_fields_stay(desk: Desk) -> None:
    number = mixed_batch(desk)
    edit(desk, "ViT-L/14", note="by hand")
    edit(desk, "old", note="of another model")
    reverted(desk, number)
    records = desk.clone.records("clip.json")
    assert records["ViT-L/14"] == VIT | {"note": "by hand"}
    assert records["old"] == {"name": "old", "note": "of another model"}


def test_two_changes_of_one_model_are_undone_at_once(desk: Desk) -> None:
    first = desk.add("update", "old", {"name": "old", "a": 1})
    number = landed(desk, first, desk.add("update", "old", {"name": "old", "a": 1, "b": 2}))
    reverted(desk, number)
    assert desk.clone.records("clip.json")["old"] == {"name": "old"}


def test_a_revert_can_be_reverted(desk: Desk) -> None:
    number = mixed_batch(desk)
    there = desk.clone.records("clip.json")
    again = reverted(desk, reverted(desk, number))
    assert desk.clone.records("clip.json") == there
    reverted(desk, number)
    assert desk.clone.records("clip.json") == FILES["clip.json"]
    assert again == 3


def test_a_text_model_is_undone_in_its_table_and_with_its_variants(tmp_path: Path, bare_git: None) -> None:
    desk = Desk.at(tmp_path, LISTED)
    desk.clone.commit(text_files(*ROWS))
    before = desk.clone.read(TABLE)
    alpha, beta = ROWS[0]["name"], ROWS[1]["name"]
    changed = desk.clone.records(DOCUMENT)[alpha] | {"parameters": 8_000_000_000, "style": "chat"}
    text = "text_generation"
    number = landed(
        desk,
        desk.add("update", f"koboldcpp/{alpha.split('/')[1]}", changed, category=text),
        desk.add("create", "acme/New", {"parameters": 8_000_000_000}, category=text),
        desk.add("delete", beta, category=text),
    )
    rows = desk.clone.read(TABLE).replace(b"The first, of all", b"By hand")
    desk.clone.commit({TABLE: rows, DOCUMENT: document(rows)})
    reverted(desk, number)
    after = desk.clone.read(TABLE)
    assert sorted(after.splitlines()) == sorted(before.replace(b"The first, of all", b"By hand").splitlines())
    assert desk.clone.read(DOCUMENT) == document(after)


@pytest.fixture
def variants_beside(tmp_path: Path, bare_git: None) -> Desk:
    """A text model and its variant as records that no table makes; the variant has a field of its own."""
    records = {"acme/M": {"name": "acme/M"}, "koboldcpp/M": {"name": "koboldcpp/M", "context": 1}}
    return Desk.at(tmp_path, 'layout = "primary"\nstamp_records = false\n', {"text_generation.json": records})


def test_a_variant_that_has_changed_keeps_its_new_model(variants_beside: Desk) -> None:
    desk = variants_beside
    number = landed(desk, desk.add("create", "acme/New", {"name": "acme/New"}, category="text_generation"))
    records = desk.clone.records("text_generation.json")
    desk.clone.commit({"text_generation.json": records | {"koboldcpp/New": {"name": "koboldcpp/New", "context": 2}}})
    assert refusals(desk("batch", "revert", number)) == [
        f"batch {number}: text_generation 'acme/New' has a variant 'koboldcpp/New' that has changed: "
        "context: was absent, is now 2"
    ]


def test_a_variant_that_comes_back_without_what_was_its_own_is_told(variants_beside: Desk) -> None:
    desk = variants_beside
    number = landed(desk, desk.add("delete", "acme/M", category="text_generation"))
    assert desk("batch", "revert", number, "--json").done.json["remarks"] == [
        "text_generation 'koboldcpp/M' comes back as its model makes it, without what was its own"
    ]


# What is left out


def test_what_is_undone_already_is_left_out_with_a_note(desk: Desk) -> None:
    number = mixed_batch(desk)
    edit(desk, "last", name="last")
    ended = desk("batch", "revert", number).done
    assert ended.out == "2 changes submitted: 4-5\n"
    assert f"note: clip 'last' is as it was before batch {number}\n" in ended.err


def test_a_change_that_changed_nothing_is_left_out(desk: Desk) -> None:
    number = landed(desk, desk.add("create", "old", {"name": "old"}), desk.add("create", "new", {"name": "new"}))
    ended = desk("batch", "revert", number, "--json").done.json
    assert [change["model_name"] for change in ended["changes"]] == ["new"]
    assert ended["remarks"] == [f"batch {number} did not change clip 'old'"]


def test_where_nothing_is_left_to_revert_one_line_says_so(desk: Desk) -> None:
    number = landed(desk, desk.add("delete", "old"))
    edit(desk, "old", name="old")
    assert desk("batch", "revert", number).refusal == (
        f"nothing of batch {number} is left to revert: clip 'old' is as it was before batch {number}"
    )


# What is refused


def test_conflicts_refuse_all_with_a_line_for_each_model(desk: Desk) -> None:
    number = mixed_batch(desk)
    edit(desk, "new", note="mine")
    edit(desk, "ViT-L/14", type="y")
    edit(desk, "last", note="back again")
    before = desk.everything
    assert refusals(desk("batch", "revert", number)) == [
        f"batch {number}: clip 'new' has changed since it was created: note: was absent, is now \"mine\"",
        f'batch {number}: clip \'ViT-L/14\' has changed since: type: was "x", is now "y", wanted "clip"',
        f"batch {number}: clip 'last' exists again, with another record: "
        'name: was "last", is now absent; note: was absent, is now "back again"',
    ]
    assert desk.everything == before


def test_an_update_of_a_model_that_is_gone_cannot_be_undone(desk: Desk) -> None:
    number = landed(desk, desk.add("update", "old", {"name": "old", "a": 1}))
    desk.clone.commit({"clip.json": {"ViT-L/14": VIT}})
    assert refusals(desk("batch", "revert", number)) == [
        f"batch {number}: clip 'old' does not exist any more, so its update cannot be undone"
    ]


def test_a_second_revert_waits_for_the_review_of_the_first(desk: Desk) -> None:
    number = mixed_batch(desk)
    assert desk("batch", "revert", number).done
    assert desk("queue", "approve", 4, "--title", "Back").done
    assert desk("batch", "revert", number).refusal == (
        f"batch {number} is being reverted already, by 4 (approved), 5 (pending), 6 (pending); have that reviewed first"
    )
    assert desk("queue", "withdraw", 4).done
    assert desk("queue", "reject", 4, 5, 6, "--reason", "no").done
    assert desk("batch", "revert", number).done.out == "3 changes submitted: 7-9\n"


def test_only_a_landed_batch_can_be_reverted(desk: Desk) -> None:
    assert desk("queue", "approve", desk.add("delete", "old"), "--title", "Waiting").done
    assert desk("batch", "revert", 1).refusal == "batch 1 is open; only one that has landed can be reverted"
    assert "no batch has the number 9" in desk("batch", "revert", 9).refusal


def test_a_batch_that_wrote_nothing_cannot_be_read_back(desk: Desk) -> None:
    number = landed(desk, desk.add("create", "old", {"name": "old"}))
    assert f"batch {number}: no commit is known of change 1" in desk("batch", "revert", number).refusal


def test_a_batch_whose_changes_were_purged_is_refused(desk: Desk) -> None:
    number = landed(desk, desk.add("delete", "old"))
    assert desk("queue", "purge", "--status", "applied").done
    assert "its changes were purged" in desk("batch", "revert", number).refusal


def test_a_commit_that_a_rewritten_history_has_lost_is_named(desk: Desk) -> None:
    number = landed(desk, desk.add("delete", "old"))
    commit = desk.clone.tip
    git(desk.clone.path, "reset", "-q", "--hard", "HEAD^")
    git(desk.clone.path, "reflog", "expire", "--expire=now", "--all")
    git(desk.clone.path, "gc", "-q", "--prune=now")
    refusal = desk("batch", "revert", number).refusal
    assert refusal.endswith(f"does not have its commit {commit[:12]} any more; revert it by hand")


# How it is told


def test_a_batch_and_its_revert_name_each_other(desk: Desk) -> None:
    number = mixed_batch(desk)
    assert desk("batch", "revert", number).done
    assert f"  reverts      batch {number}\n" in desk("queue", "show", 4).done.out
    assert "\nto be reverted by changes 4-6 (pending)\n" in desk("batch", "show", number).done.out
    again = landed(desk, 4, 5)
    shown = desk("batch", "show", number).done.out
    assert f"\nreverted by changes 4-5 (batch {again})\nto be reverted by change 6 (pending)\n" in shown
    assert f"\nreverts batch {number}\n" in desk("batch", "show", again).done.out
    assert desk("batch", "show", again, "--json").done.json["reverts"] == [number]
    assert desk("batch", "show", number, "--json").done.json["reverted_by"] == [
        {"change_id": 4, "status": "applied", "batch_id": again},
        {"change_id": 5, "status": "applied", "batch_id": again},
        {"change_id": 6, "status": "pending", "batch_id": None},
    ]


def test_what_was_rejected_reverts_nothing(desk: Desk) -> None:
    number = mixed_batch(desk)
    assert desk("batch", "revert", number).done
    assert desk("queue", "reject", 4, 5, 6, "--reason", "no").done
    assert "reverted by" not in desk("batch", "show", number).done.out


def test_an_exported_queue_keeps_what_reverts_what(desk: Desk) -> None:
    number = mixed_batch(desk)
    assert desk("batch", "revert", number).done
    exported = desk("queue", "export").done.out
    desk.state = desk.folder / "another"
    desk.configure()
    assert desk("queue", "import", "-", stdin=exported.encode()).done.err == ""
    assert desk("queue", "export").done.out == exported
    assert desk("queue", "show", 4, "--json").done.json["reverts"] == number
