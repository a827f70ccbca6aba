"""Submitting and reviewing by the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from refsync.pending_queue.models import (
    PendingBatchResult,
    PendingChangeDiffPage,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueuePage,
)
from tests.support.command_line import Desk

NEW = {"name": "new"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.at(tmp_path)


def lines(*changes: object) -> bytes:
    return b"".join(json.dumps(change).encode() + b"\n" for change in changes)


def change(model: str, operation: str = "create", **more: object) -> dict[str, object]:
    record = {} if operation == "delete" else {"payload": {"name": model}}
    return {"operation": operation, "category": "clip", "model_name": model, **record, **more}


# submitting


def test_add_prints_the_id_and_says_on_stderr_that_no_daemon_serves_the_store(desk: Desk) -> None:
    added = desk("queue", "add", "create", "clip", "new", "--payload", "-", stdin=b'{"name": "new"}').done
    assert added.out == "1\n"
    assert added.err.startswith("note: no daemon serves this store")


def test_add_beside_a_daemon_has_nothing_to_note(desk: Desk) -> None:
    assert desk("queue", "list").done
    with desk.served():
        assert desk("queue", "add", "delete", "clip", "old").done.err == ""


def test_add_as_json_is_the_record(desk: Desk) -> None:
    (desk.folder / "new.json").write_text(json.dumps(NEW))
    payload = desk.folder / "new.json"
    added = desk("queue", "add", "create", "clip", "new", "--payload", payload, "--notes", "please", "--json").done
    record = PendingChangeRecord.model_validate(added.json)
    assert (record.change_id, record.payload, record.notes) == (1, NEW, "please")
    assert (record.base, record.base_known, record.status) == (None, True, PendingChangeStatus.PENDING)


def test_an_update_keeps_the_record_that_it_was_made_from(desk: Desk) -> None:
    desk.add("update", "old", {"name": "older"})
    assert desk("queue", "show", 1, "--json").json["base"] == {"name": "old"}


def test_a_model_that_is_about_to_be_created_can_be_updated(desk: Desk) -> None:
    desk.add("create", "new", NEW)
    assert desk.add("update", "new", {"name": "newer"}) == 2


def test_a_second_proposal_is_told_of_the_first(desk: Desk) -> None:
    desk.add("delete", "old")
    second = desk("queue", "add", "delete", "clip", "old").done
    assert "note: other open proposals for 'old': 1" in second.err
    assert desk("queue", "show", 1, "--json").json["conflicts_with"] == [2]


def test_creating_what_exists_is_noted(desk: Desk) -> None:
    added = desk("queue", "add", "create", "clip", "old", "--payload", "-", stdin=b'{"name": "other"}').done
    assert "note: clip 'old' exists already" in added.err


def test_a_model_name_may_begin_with_a_dash_and_hold_quotes_and_spaces(desk: Desk) -> None:
    names = ["-rf", "--all", " a  b ", 'it\'s "quoted"', "Ünïcode 模型", "`$(x)`"]
    for name in names:
        desk.add("create", name, NEW)
    assert [each["model_name"] for each in desk("queue", "list", "--json").json["items"]] == names
    desk.land(*range(1, len(names) + 1))
    assert desk("model", "show", "clip", "--", "-rf").done.json == NEW


# who


def test_another_identity_is_kept_beside_the_operating_systems_user(desk: Desk) -> None:
    desk.add("delete", "old", None, "--by", "12", "--username", "Ada Lovelace")
    record = PendingChangeRecord.model_validate(desk("queue", "show", 1, "--json").json)
    assert (record.requested_by, record.requested_username) == ("12", "Ada Lovelace")
    assert record.os_user not in (None, "12", "Ada Lovelace")
    assert "by Ada Lovelace" in desk("queue", "show", 1).out


def test_with_sudo_the_one_who_called_it_acts(desk: Desk) -> None:
    assert desk("queue", "add", "delete", "clip", "old", SUDO_USER="grace").done
    record = desk("queue", "show", 1, "--json").json
    assert (record["requested_by"], record["requested_username"], record["os_user"]) == ("grace", "grace", "grace")


def test_the_environments_user_name_is_not_believed(desk: Desk) -> None:
    assert desk("queue", "add", "delete", "clip", "old", LOGNAME="mallory", USER="mallory").done
    assert desk("queue", "show", 1, "--json").json["os_user"] != "mallory"


def test_a_review_keeps_both_identities_too(desk: Desk) -> None:
    desk.add("delete", "old")
    assert desk("queue", "approve", 1, "--title", "T", "--by", "7", "--username", "Bob").done
    record = desk("queue", "show", 1, "--json").json
    assert (record["approved_by"], record["approved_username"]) == ("7", "Bob")
    assert record["history"][-1]["by"] == "7"
    assert record["history"][-1]["os_user"] not in (None, "7")


# reading


def test_list_is_a_table_and_a_page(desk: Desk) -> None:
    desk.add("delete", "old")
    desk.add("create", "new", NEW)
    shown = desk("queue", "list").done.out.splitlines()
    assert shown[0].split()[:4] == ["id", "status", "what", "category"]
    assert [row.split()[:5] for row in shown[1:3]] == [
        ["1", "pending", "delete", "clip", "old"],
        ["2", "pending", "create", "clip", "new"],
    ]
    assert shown[3] == "2 changes"
    page = PendingQueuePage.model_validate(desk("queue", "list", "--json").done.json)
    assert [item.change_id for item in page.items] == [1, 2]


def test_an_empty_list_is_no_failure(desk: Desk) -> None:
    assert desk("queue", "list").done.out == "0 changes\n"
    assert desk("queue", "list", "--json").done.json == {
        "items": [],
        "total": 0,
        "offset": 0,
        "limit": 50,
        "previous": None,
        "next": None,
    }


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--status", "rejected"], [1]),
        (["--status", "rejected", "--status", "pending"], [1, 3]),
        (["--category", "blip"], [3]),
        (["--batch", "1"], [2]),
        (["--model", "NEW"], [2]),
        (["--requested-by", "9"], [3]),
        (["--requested-by", "9", "--category", "clip"], []),
        (["--offset", "1", "--limit", "1"], [2]),
        (["--limit", "0"], []),
    ],
)
def test_list_filters(reviewed: Desk, options: list[str], ids: list[int]) -> None:
    page = reviewed("queue", "list", "--json", *options).done.json
    assert [item["change_id"] for item in page["items"]] == ids


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """One change rejected, one approved, one pending; for tests that only look."""
    desk = Desk.at(tmp_path_factory.mktemp("reviewed"))
    desk.add("delete", "old")
    desk.add("create", "brand new", NEW)
    desk.add("delete", "BLIP", None, "--by", "9", category="blip")
    assert desk("queue", "reject", 1, "--reason", "still used").done
    assert desk("queue", "approve", 2, "--title", "First").done
    return desk


def test_a_part_of_the_list_says_how_many_there_are(reviewed: Desk) -> None:
    assert reviewed("queue", "list", "--limit", "2").done.out.endswith(
        "2 of 3 changes, the newest last\n"
        "after  refsync queue list --offset 2 --limit 2\n"
        "all    refsync queue list --all\n"
    )


def test_show_tells_one_change_whole(reviewed: Desk) -> None:
    shown = reviewed("queue", "show", 1).done.out
    assert shown.startswith("change 1: delete clip old\n")
    assert re.search(r"rejected +still used", shown)
    assert re.search(r"pending by .*\n.*rejected by .*: still used", shown)
    record = PendingChangeRecord.model_validate(reviewed("queue", "show", 1, "--json").done.json)
    assert [event.to_status for event in record.history or ()] == ["pending", "rejected"]


def test_show_tells_the_commit_that_it_landed_in(desk: Desk) -> None:
    tip = desk.land(desk.add("delete", "old"))
    assert tip in desk("queue", "show", 1).done.out
    assert desk("queue", "show", 1, "--json").json["commit"] == tip


def test_diff_compares_field_by_field(desk: Desk) -> None:
    desk.add("update", "ViT-L/14", {"name": "ViT-L/14", "type": "open clip", "size": 1})
    shown = desk("queue", "diff", 1).done.out
    assert "change 1: clip ViT-L/14 would be modified" in shown
    assert '  ~ type: "clip" -> "open clip"\n' in shown
    assert "  + size: 1\n" in shown
    page = PendingChangeDiffPage.model_validate(desk("queue", "diff", 1, "--json").done.json)
    assert (page.diffs[0].fields_modified, page.diffs[0].fields_added) == (["type"], ["size"])


def test_diff_of_a_change_that_is_not_there_tells_of_the_others_all_the_same(desk: Desk) -> None:
    desk.add("delete", "old")
    ended = desk("queue", "diff", 1, 9, "--json")
    page = PendingChangeDiffPage.model_validate(ended.json)
    assert ([diff.change_id for diff in page.diffs], len(page.errors)) == ([1], 1)
    assert (ended.code, ended.err) == (1, "refsync: no change has the id 9\n")


def test_diff_names_the_file_that_it_cannot_compare_with(desk: Desk) -> None:
    desk.add("delete", "old")
    desk.clone.commit({"clip.json": b'{"a": '})
    refused = desk("queue", "diff", 1)
    assert refused.code == 1
    assert "clip.json" in refused.err


def test_long_values_stay_on_one_line_in_a_pipe(desk: Desk) -> None:
    desk.add("create", "new", {"description": "word " * 100})
    assert "word " * 99 in desk("queue", "show", 1).out
    assert "word " * 99 in desk("queue", "diff", 1).out


def test_what_people_typed_cannot_command_the_terminal(desk: Desk) -> None:
    notes = "red \x1b[31m and a new\nline"
    desk.add("create", "a\u202eb", {"\x1b[2J": "\x9b31m \u202e"}, "--notes", notes)
    for words in (["list"], ["show", 1], ["diff", 1], ["show", 1, "--json"]):
        shown = desk("queue", *words).done.out
        assert not re.search("[\x1b\x9b\u202e]", shown)
    assert desk("queue", "show", 1, "--json").json["notes"] == notes


# review


def test_approve_joins_the_open_batch_or_opens_one(desk: Desk) -> None:
    desk.add("delete", "old")
    desk.add("create", "new", NEW)
    first = desk("queue", "approve", 1, "--title", "First").done
    assert first.out == "approved 1 into batch 1: First\n"
    second = PendingBatchResult.model_validate(desk("queue", "approve", 2, "--json").done.json)
    assert (second.batch_id, second.batch_title, [c.change_id for c in second.approved]) == (1, "First", [2])


def test_an_id_given_twice_counts_once(desk: Desk) -> None:
    desk.add("delete", "old")
    result = PendingBatchResult.model_validate(desk("queue", "approve", 1, 1, "--title", "T", "--json").done.json)
    assert [change.change_id for change in result.approved] == [1]


def test_approve_all_takes_what_is_pending(desk: Desk) -> None:
    for name in "abc":
        desk.add("create", name, NEW)
    assert desk("queue", "reject", 2, "--reason", "no").done
    assert desk("queue", "approve", "--all", "--title", "T").done.out == "approved 1, 3 into batch 1: T\n"


def test_reject_keeps_the_reason(desk: Desk) -> None:
    desk.add("delete", "old")
    result = PendingBatchResult.model_validate(desk("queue", "reject", 1, "--reason", "in use", "--json").done.json)
    assert [(change.change_id, change.reject_reason) for change in result.rejected] == [(1, "in use")]


def test_withdraw_takes_an_approval_back(desk: Desk) -> None:
    desk.add("delete", "old")
    assert desk("queue", "approve", 1, "--title", "T").done
    assert desk("queue", "withdraw", 1).done.out == "withdrawn: pending again: 1\n"
    assert desk("queue", "list", "--status", "pending", "--json").json["total"] == 1
    assert desk("queue", "approve", 1, "--title", "T").done
    assert [change["status"] for change in desk("queue", "withdraw", 1, "--json").done.json] == ["pending"]


def test_purge_removes_what_the_filter_names_and_nothing_else(desk: Desk) -> None:
    desk.add("delete", "old")
    desk.add("create", "new", NEW)
    assert desk("queue", "reject", 1, "--reason", "no").done
    assert desk("queue", "purge", "--status", "rejected").done.out == "purged: 1\n"
    assert desk("queue", "purge", "--status", "rejected", "--json").done.json == []
    assert [change["change_id"] for change in desk("queue", "purge", "--all", "--json").done.json] == [2]
    assert desk.add("delete", "old") == 3


# import and export


def test_import_takes_one_change_a_line(desk: Desk) -> None:
    given = lines(change("a"), change("old", "delete", notes="gone")) + b"\n" + lines(change("a", "update"))
    assert desk("queue", "import", "-", stdin=given).done.out == "3 changes submitted: 1-3\n"
    page = desk("queue", "list", "--json").json
    assert [(item["operation"], item["model_name"]) for item in page["items"]] == [
        ("create", "a"),
        ("delete", "old"),
        ("update", "a"),
    ]


def test_import_as_json_lists_the_records(desk: Desk) -> None:
    (desk.folder / "changes.jsonl").write_bytes(lines(change("a"), change("b")))
    done = desk("queue", "import", desk.folder / "changes.jsonl", "--json").done
    assert [PendingChangeRecord.model_validate(each).change_id for each in done.json] == [1, 2]


def test_import_of_nothing_submits_nothing(desk: Desk) -> None:
    assert desk("queue", "import", "-").done.out == "0 changes submitted\n"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"[1]", "must be a JSON object"),
        (b"{", "column 2"),
        (b'{"operation": "create"}', "lacks category, model_name"),
        (lines(change("x", nmae="y")).strip(), "unknown key 'nmae'"),
        (lines(change("x", "drop")).strip(), "unknown operation 'drop'"),
        (lines(change("x") | {"operation": ["create"]}).strip(), "unknown operation"),
        (lines(change("x") | {"category": "clop"}).strip(), "unknown category 'clop'"),
        (lines(change("x") | {"category": "lora"}).strip(), "no repository of the config holds lora"),
        (lines(change("gone", "delete")).strip(), "does not exist"),
        (lines(change("") | {"payload": {}}).strip(), "model name is empty"),
        (lines(change("x") | {"model_name": ["x"]}).strip(), "model name: expected text"),
        (lines(change("x") | {"payload": None}).strip(), "create needs the full record"),
        (lines(change("x") | {"payload": [1]}).strip(), "expected a JSON object"),
        (lines(change("x") | {"notes": 1}).strip(), "notes: expected text"),
        (b'{"operation": NaN}', "NaN is not JSON"),
        (b'{"operation": "create", "operation": "delete"}', "stands twice"),
        (b'{"operation": "\xff"}', "not UTF-8"),
    ],
)
def test_import_is_all_or_nothing_and_names_the_line(desk: Desk, bad: bytes, reason: str) -> None:
    before = desk.everything
    given = lines(change("a")) + b"\n" + bad + b"\n" + lines(change("b"))
    refusal = desk("queue", "import", "-", stdin=given).refusal
    assert refusal.startswith("line 3: ")
    assert reason in refusal
    assert refusal.count("line 3") == 1
    assert desk.everything == before


def test_what_is_exported_is_imported_the_same(desk: Desk, tmp_path: Path) -> None:
    desk.add("delete", "old")
    desk.add("create", "Ünï", NEW)
    assert desk("queue", "approve", 1, "--title", "T").done
    exported = desk("queue", "export").done.out
    other = Desk.at(tmp_path / "other")
    assert other("queue", "import", "-", stdin=exported.encode()).done.out == "2 changes imported\n"
    assert other("queue", "export").done.out == exported
    assert "not empty" in other("queue", "import", "-", stdin=exported.encode()).refusal


def test_a_queue_folder_of_the_ecosystem_is_imported(desk: Desk) -> None:
    folder = desk.folder / "pending"
    folder.mkdir()
    stored = {"change_id": 7, "category": "clip", "model_name": "new", "operation": "create", "payload": NEW}
    person = {"requested_by": "1", "requested_username": "Ada", "requested_at": 1, "updated_at": 1}
    (folder / "changes.json").write_text(json.dumps([stored | person | {"status": "pending"}]))
    done = desk("queue", "import", folder, "--json").done
    assert done.json["changes"] == 1
    assert desk("queue", "show", 7).done
    assert "changes.json" in desk("queue", "import", desk.clone.path).refusal
