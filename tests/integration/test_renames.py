"""A rename: two changes that are reviewed, land and fail as one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refsync.categories import MODEL_REFERENCE_CATEGORY
from refsync.errors import RequestError
from refsync.pending_queue.models import Actor, AuditOperation, PendingChangeStatus, Submission
from refsync.use_cases.renaming import rename_model
from tests.support.command_line import Desk
from tests.support.reference import BLIP, CLIP, Reference
from tests.support.repositories import git
from tests.support.text_files import DOCUMENT, ROWS, TABLE, TEXT, document, text_reference

FILES: dict[str, Any] = {
    "clip.json": {
        "one": {"name": "one", "x": 1},
        "two": {"name": "two", "x": 2.50, "extra": {"k": "v"}},
        "three": {"name": "three", "x": 3},
    }
}
APPLIED, PENDING, REJECTED = PendingChangeStatus.APPLIED, PendingChangeStatus.PENDING, PendingChangeStatus.REJECTED


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.at(tmp_path, files=FILES)


def rename(desk: Desk, old: str, new: str, *more: str) -> list[int]:
    changes = desk("queue", "rename", "clip", old, new, *more, "--json").done.json
    return [change["change_id"] for change in changes]


def statuses(desk: Desk, *ids: int) -> list[str]:
    return [desk("queue", "show", each, "--json").done.json["status"] for each in ids]


def test_a_renamed_record_keeps_its_place_and_both_operations_are_counted(desk: Desk) -> None:
    printed = desk("queue", "rename", "clip", "two", "zwei").done
    assert printed.out == "1-2\n"
    desk.land(1)
    assert list(desk.clone.records("clip.json")) == ["one", "zwei", "three"]
    assert desk.clone.records("clip.json")["zwei"] == {"name": "zwei", "x": 2.5, "extra": {"k": "v"}}
    assert desk.clone.numstat() == "2\t2\tclip.json"
    counters = desk("metadata", "show", "clip", "--json").done.json["image"]["legacy"]["clip"]
    assert (counters["total_creates"], counters["total_deletes"], counters["total_models"]) == (4, 1, 3)
    told = desk("queue", "show", 2, "--json").done.json
    assert (told["request_metadata"], told["lands_with"]) == ({"renamed_from": "two"}, 1)


def test_reviewing_one_half_reviews_both(desk: Desk) -> None:
    halves = rename(desk, "two", "zwei")
    assert desk("queue", "approve", 2, "--title", "T").done.out == "approved 1-2 into batch 1: T\n"
    assert desk("queue", "withdraw", 1).done.out == "withdrawn: pending again: 1-2\n"
    assert desk("queue", "reject", 2, "--reason", "no").done.out == "rejected 1-2\n"
    assert statuses(desk, *halves) == ["rejected", "rejected"]


def test_one_half_cannot_be_approved_and_the_other_rejected(reference: Reference) -> None:
    ids = halves_of(reference, "alpha", "omega")
    with pytest.raises(RequestError, match="both approved and rejected"):
        reference.application.queue.process_batch(
            approver_id="2",
            approver_username="B",
            batch_title="T",
            approved_ids=ids[:1],
            rejected_ids=ids[1:],
            reject_reason="no",
        )
    assert reference.statuses(ids) == [PENDING, PENDING]


def halves_of(reference: Reference, old: str, new: str, category: MODEL_REFERENCE_CATEGORY = CLIP) -> list[int]:
    changes = rename_model(reference.application, category, old, new, actor=Actor("ada", "Ada")).root
    return [change.change_id for change in changes]


def test_what_others_did_to_the_record_meanwhile_goes_with_it(reference: Reference) -> None:
    ids = halves_of(reference, "alpha", "omega")
    records = reference.clone.records("clip.json")
    reference.clone.commit({"clip.json": records | {"alpha": records["alpha"] | {"nsfw": True}}})
    reference.approve(*ids)
    reference.sync()
    assert reference.statuses(ids) == [APPLIED, APPLIED]
    assert reference.clone.records("clip.json")["omega"] == {"version": "1", "nsfw": True}
    reference.assert_counted()


def test_a_new_name_that_was_taken_meanwhile_refuses_both_halves(reference: Reference) -> None:
    ids = halves_of(reference, "alpha", "omega")
    reference.clone.commit({"clip.json": reference.clone.records("clip.json") | {"omega": {"version": "9"}}})
    reference.approve(ids[1])
    reference.sync()
    assert reference.statuses(ids) == [REJECTED, REJECTED]
    assert {"alpha", "omega"} <= set(reference.clone.records("clip.json"))


def test_a_record_that_went_meanwhile_is_not_made_anew_under_another_name(reference: Reference) -> None:
    ids = halves_of(reference, "alpha", "omega")
    reference.clone.commit({"clip.json": {"beta": {"version": "1"}}})
    reference.approve(*ids)
    reference.sync()
    assert reference.statuses(ids) == [REJECTED, REJECTED]
    assert "does not exist (any more), so it cannot be renamed" in (reference.change(ids[0]).reject_reason or "")


def test_a_rename_that_somebody_has_made_by_hand_is_done(reference: Reference) -> None:
    ids = halves_of(reference, "alpha", "omega")
    records = reference.clone.records("clip.json")
    reference.clone.commit({"clip.json": {"omega": records["alpha"], "beta": records["beta"]}})
    tip = reference.clone.tip
    reference.approve(*ids)
    reference.sync()
    assert (reference.statuses(ids), reference.clone.tip) == ([APPLIED, APPLIED], tip)


def test_a_rename_waits_as_a_whole(reference: Reference) -> None:
    ids = halves_of(reference, "alpha", "omega")
    reference.clone.write("clip.json", b"{}")
    reference.approve(*ids, reference.submit("base", {"version": "2"}, category=BLIP))
    reference.sync()
    batches = {reference.change(each).batch_id for each in ids}
    assert len(batches) == 1
    git(reference.clone.path, "checkout", "-q", "--", "clip.json")
    reference.sync()
    assert reference.statuses(ids) == [APPLIED, APPLIED]


def test_two_renames_of_one_batch_follow_each_other_and_an_edit_goes_with_them(reference: Reference) -> None:
    edit = reference.submit("alpha", {"version": "1", "nsfw": True})
    ids = halves_of(reference, "alpha", "omega")
    reference.approve(edit, *ids)
    reference.sync()
    assert list(reference.clone.records("clip.json")) == ["omega", "beta"]
    assert reference.clone.records("clip.json")["omega"] == {"version": "1", "nsfw": True}


def test_no_program_applies_one_half_by_itself(reference: Reference) -> None:
    ids = halves_of(reference, "alpha", "omega")
    reference.approve(*ids)
    queue = reference.application.queue
    with pytest.raises(ValueError, match="one half of a rename"):
        queue.reserve_for_apply(change_id=ids[0], reservation_id="job")
    with pytest.raises(ValueError, match="one half of a rename"):
        queue.mark_applied(change_id=ids[1], applied_by="1", applied_username="A")


@pytest.mark.parametrize(("metadata", "operation"), [("renamed_from", "create"), ("renamed_to", "delete")])
def test_half_a_rename_is_refused(reference: Reference, metadata: str, operation: str) -> None:
    name, payload = ("new", {"x": 1}) if operation == "create" else ("alpha", None)
    half = Submission(CLIP, name, AuditOperation(operation), payload, "1", "Ada", request_metadata={metadata: "other"})
    with pytest.raises(RequestError, match="refsync queue rename"):
        reference.application.queue.enqueue_many([half])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("four", "five", "has no model 'four'"),
        ("one", "two", "'two' exists already"),
        ("one", "one", "is its name already"),
        ("one", "a\nb", "control character"),
    ],
)
def test_what_cannot_be_renamed_is_told(desk: Desk, old: str, new: str, told: str) -> None:
    assert told in desk("queue", "rename", "clip", old, new).refusal


def test_purging_one_half_purges_both(desk: Desk) -> None:
    rename(desk, "two", "zwei")
    assert desk("queue", "purge", "--model", "zwei").done.out == "purged: 1-2\n"
    assert desk("queue", "list").done.out == "0 changes\n"


def test_a_batch_with_a_rename_is_reverted_by_a_rename(desk: Desk) -> None:
    desk.land(*rename(desk, "two", "zwei"))
    assert desk("batch", "revert", 1).done
    desk.land(3)
    assert statuses(desk, 3, 4) == ["applied", "applied"]
    assert desk.clone.records("clip.json") == FILES["clip.json"]
    assert list(desk.clone.records("clip.json")) == ["one", "two", "three"]


def test_a_rename_goes_to_another_machine_whole(desk: Desk, tmp_path: Path) -> None:
    halves = rename(desk, "two", "zwei")
    exported = desk("queue", "export").done.out
    (tmp_path / "there").mkdir()
    there = Desk.at(tmp_path / "there", files=FILES)
    assert there("queue", "import", "-", stdin=exported.encode()).done
    there.land(2)
    assert statuses(there, *halves) == ["applied", "applied"]
    assert list(there.clone.records("clip.json")) == ["one", "zwei", "three"]


def test_the_lines_of_an_import_can_rename(desk: Desk) -> None:
    lines: list[dict[str, Any]] = [
        {"operation": "create", "category": "clip", "model_name": "zwei", "payload": {"name": "zwei", "x": 2.5}},
        {"operation": "delete", "category": "clip", "model_name": "two"},
    ]
    lines[0]["request_metadata"], lines[1]["request_metadata"] = {"renamed_from": "two"}, {"renamed_to": "zwei"}
    assert desk("queue", "import", "-", stdin="\n".join(map(json.dumps, lines)).encode()).done
    desk.land(2)
    assert list(desk.clone.records("clip.json")) == ["one", "zwei", "three"]
    assert "extra" not in desk.clone.records("clip.json")["zwei"]


@pytest.fixture
def text(tmp_path: Path, bare_git: None) -> Iterator[Reference]:
    made = text_reference(tmp_path)
    yield made
    made.close()


@pytest.fixture
def stamped(tmp_path: Path, bare_git: None) -> Iterator[Reference]:
    made = Reference(tmp_path, repository="stamp_records = true")
    yield made
    made.close()


def test_a_renamed_record_was_not_created_anew(stamped: Reference) -> None:
    created = stamped.create("new", {"version": "1"}, by="eve")
    stamped.sync()
    ids = halves_of(stamped, "new", "newer")
    stamped.approve(*ids)
    stamped.sync()
    stamps = stamped.clone.records("clip.json")["newer"]["metadata"]
    assert (stamps["created_by"], stamps["updated_by"]) == ("Eve", "Ada")
    assert stamps["created_at"] == stamped.change(created).approved_at


def test_history_and_blame_go_on_under_the_new_name(desk: Desk) -> None:
    desk.land(desk.add("update", "two", {"name": "two", "x": 9, "extra": {"k": "v"}}))
    desk.land(*rename(desk, "two", "zwei"))
    desk.land(desk.add("update", "zwei", {"name": "zwei", "x": 9, "extra": {"k": "w"}}))
    desk.land(*rename(desk, "zwei", "deux"))
    told = desk("model", "history", "clip", "deux", "--json").done.json
    assert [(each["operation"], each["renamed_from"], each["batch"]) for each in told] == [
        ("create", None, None),
        ("update", None, 1),
        ("rename", "two", 2),
        ("update", None, 3),
        ("rename", "zwei", 4),
    ]
    origins = {each["field_path"]: each["batch"] for each in desk("model", "blame", "clip", "deux", "--json").done.json}
    assert origins == {"name": 4, "x": 1, "extra.k": 3}
    assert "rename from two" in desk("model", "history", "clip", "deux").done.out
    gone = desk("model", "history", "clip", "two", "--json").done.json
    assert [each["operation"] for each in gone] == ["create", "update", "delete"]


def test_a_rename_by_hand_is_followed_too(desk: Desk) -> None:
    records = desk.clone.records("clip.json")
    two = records.pop("two")
    desk.clone.commit({"clip.json": records | {"zwei": two | {"name": "zwei"}}})
    told = desk("model", "history", "clip", "zwei", "--json").done.json
    assert [(each["operation"], each["renamed_from"]) for each in told] == [("create", None), ("rename", "two")]


def test_a_forged_line_of_a_commit_message_renames_nothing_that_did_not_go(desk: Desk) -> None:
    line = '- create clip "new", renamed from "one"'
    desk.clone.commit({"clip.json": desk.clone.records("clip.json") | {"new": {"y": 1}}}, f"x\n\n{line}\n")
    told = desk("model", "history", "clip", "new", "--json").done.json
    assert [(each["operation"], each["renamed_from"]) for each in told] == [("create", None)]


def test_a_row_of_a_table_keeps_its_place_and_its_records_follow(text: Reference) -> None:
    before = [row["name"] for row in ROWS]
    ids = halves_of(text, before[0], "acme/Alfa-7B", TEXT)
    text.approve(*ids)
    text.sync()
    assert text.statuses(ids) == [APPLIED, APPLIED]
    table = text.clone.read(TABLE).decode()
    assert [line.split(",")[0] for line in table.splitlines()[1:]] == ["acme/Alfa-7B", *before[1:]]
    assert text.clone.read(DOCUMENT) == document(text.clone.read(TABLE))
    assert text.clone.records(DOCUMENT)["koboldcpp/Alfa-7B"]["display_name"] == "Alfa 7B"
    assert text.clone.numstat().endswith("1\t1\tmodels.csv")
    text.assert_counted()


def test_a_row_can_go_to_another_owner_with_the_variant_that_keeps_its_name(text: Reference) -> None:
    ids = halves_of(text, "acme/Alpha-7B", "other/Alpha-7B", TEXT)
    text.approve(*ids)
    text.sync()
    assert text.statuses(ids) == [APPLIED, APPLIED]
    assert text.clone.records(DOCUMENT)["koboldcpp/Alpha-7B"]["name"] == "koboldcpp/Alpha-7B"


def test_a_model_of_a_document_can_go_to_another_owner_with_the_variant_that_keeps_its_name(
    tmp_path: Path, bare_git: None
) -> None:
    records = {name: {"name": name, "p": 1} for name in ("a/Old", "koboldcpp/Old", "b")}
    reference = Reference(
        tmp_path, {"text_generation.json": records}, repository='layout = "primary"\nstamp_records = false'
    )
    ids = halves_of(reference, "a/Old", "c/Old", TEXT)
    reference.approve(*ids)
    reference.sync()
    assert reference.statuses(ids) == [APPLIED, APPLIED]
    assert list(reference.clone.records("text_generation.json")) == ["c/Old", "koboldcpp/Old", "b"]
    reference.close()


def test_the_variants_of_a_document_are_renamed_with_what_is_their_own(tmp_path: Path, bare_git: None) -> None:
    records: dict[str, dict[str, Any]] = {name: {"name": name, "p": 1} for name in ("a/Old", "koboldcpp/Old", "b")}
    records["koboldcpp/Old"]["own"] = 5
    reference = Reference(
        tmp_path, {"text_generation.json": records}, repository='layout = "primary"\nstamp_records = false'
    )
    reference.approve(*halves_of(reference, "a/Old", "a/New", TEXT))
    reference.sync()
    assert list(reference.clone.records("text_generation.json").items()) == [
        ("a/New", {"name": "a/New", "p": 1}),
        ("koboldcpp/New", {"name": "koboldcpp/New", "p": 1, "own": 5}),
        ("b", {"name": "b", "p": 1}),
    ]
    reference.close()
