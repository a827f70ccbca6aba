"""Passes, batches, status, metadata and models by the command line."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from refsync.metadata.models import CategoryMetadata
from refsync.pending_queue.models import Batch
from tests.support.command_line import Desk, wait_until
from tests.support.repositories import git

NEW = {"name": "new"}
MANUAL = '[apply]\nwhen = "manual"\n'


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.at(tmp_path)


@pytest.fixture
def held(desk: Desk) -> Desk:
    """Batch 1 waits, for a person edits its file."""
    desk.clone.write("clip.json", {"edited": {"name": "edited"}})
    desk.add("create", "new", NEW)
    assert desk("queue", "approve", 1, "--title", "First").done
    assert desk("sync").code == 1
    return desk


# sync


def test_sync_tells_what_landed(desk: Desk) -> None:
    desk.add("create", "new", NEW)
    assert desk("queue", "approve", 1, "--title", "First").done
    told = desk("sync").done
    assert f"image: batch 1 landed: 1 change, commit {desk.clone.tip[:12]}\n" in told.out
    assert told.err == ""
    assert desk.clone.records("clip.json")["new"] == NEW
    assert desk("sync").done.out == "nothing to do\n"


def test_sync_as_json_is_the_report(desk: Desk) -> None:
    desk.add("create", "new", NEW)
    assert desk("queue", "approve", 1, "--title", "First").done
    report = desk("sync", "--json").done.json
    (repository,) = report["repositories"]
    assert repository["landed"] == [{"number": 1, "commit": desk.clone.tip, "change_ids": [1]}]
    assert (repository["held"], repository["problem"], report["sealed"]) == ([], None, [1])


def test_sync_with_something_held_is_exit_code_1_and_says_why(held: Desk) -> None:
    ended = held("sync")
    assert (ended.code, ended.out) == (1, "")
    assert re.fullmatch(r"refsync: image: batch 1 is held: clip.json has local edits.*\n", ended.err)
    ended = held("sync", "--json")
    assert (ended.code, ended.err) == (1, "")
    assert [each["number"] for each in ended.json["repositories"][0]["held"]] == [1]


def test_a_conflicting_change_is_rejected_and_told_and_no_failure(desk: Desk) -> None:
    desk.add("update", "old", {"name": "ours"})
    assert desk("queue", "approve", 1, "--title", "First").done
    desk.clone.commit({"clip.json": {"old": {"name": "theirs"}}})
    told = desk("sync").done.out
    assert "image: change 1 rejected: " in told
    assert '"ours"' in told
    assert '"theirs"' in told


def test_a_dry_run_shows_the_commit_and_changes_nothing(desk: Desk) -> None:
    desk.add("update", "old", {"name": "newer"})
    assert desk("queue", "approve", 1, "--title", "First").done
    before = desk.everything
    shown = desk("sync", "--dry-run").done.out
    assert "batch 1 -> image, branch main" in shown
    assert '- update clip "old"' in shown
    assert '-        "name": "old"\n+        "name": "newer"\n' in shown
    (commit,) = desk("sync", "--dry-run", "--json").done.json
    assert (commit["repository"], commit["batch"]) == ("image", 1)
    assert commit["diff"] in shown
    assert desk.everything == before


def test_a_dry_run_without_work_says_so(desk: Desk) -> None:
    assert desk("sync", "--dry-run").done.out == "no commit to make\n"
    assert desk("sync", "--dry-run", "--json").done.json == []


def test_a_dry_run_of_what_would_wait_is_exit_code_1(held: Desk) -> None:
    ended = held("sync", "--dry-run")
    assert ended.code == 1
    assert "change 1 would wait: clip.json has local edits" in ended.err


def test_sync_waits_for_the_pass_of_another_and_says_so(desk: Desk) -> None:
    desk.land(desk.add("delete", "old"))
    with ExitStack() as busy:
        busy.enter_context(desk.busy())
        with desk.running("sync") as process:
            assert process.stderr
            assert b"waiting" in process.stderr.readline()
            assert process.poll() is None
            busy.close()
            assert process.communicate(timeout=60)[0] == b"nothing to do\n"
    assert process.returncode == 0


# batches


def test_batches_are_listed_and_shown(desk: Desk) -> None:
    tip = desk.land(desk.add("create", "new", NEW), title="First")
    listed = desk("batch", "list").done.out.splitlines()
    assert listed[1].split() == ["1", "landed", "image", tip[:12], "First"]
    (batch,) = (Batch.model_validate(each) for each in desk("batch", "list", "--json").done.json)
    assert (batch.number, batch.state, batch.commit) == (1, "landed", tip)
    shown = desk("batch", "show", 1, "--json").done.json
    assert [change["change_id"] for change in shown.pop("changes")] == [1]
    assert Batch.model_validate(shown) == batch
    assert "new" in desk("batch", "show", 1).done.out


def test_no_batches_is_no_failure(desk: Desk) -> None:
    assert desk("batch", "list").done.out == "no batches\n"
    assert desk("batch", "list", "--json").done.json == []


def test_a_batch_is_sealed_when_told_to(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, MANUAL)
    desk.add("create", "new", NEW)
    assert desk("queue", "approve", 1, "--title", "First").done
    assert desk("sync").done.out.endswith("operations recorded\n")  # the history; the batch is left open
    assert "refsync batch seal" in desk("status").out
    assert desk("batch", "seal").done.out == "batch 1 is sealed for image\n"
    assert "batch 1 landed" in desk("sync").done.out


def test_seal_as_json_lists_the_batches(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, MANUAL)
    desk.add("create", "new", NEW)
    assert desk("queue", "approve", 1, "--title", "First").done
    assert [Batch.model_validate(each).state for each in desk("batch", "seal", "--json").done.json] == ["sealed"]


def test_a_held_batch_goes_on_once_its_reason_is_gone(held: Desk) -> None:
    git(held.clone.path, "checkout", "-q", "clip.json")
    assert held("batch", "retry", 1).done.out == "batch 1 goes on with the next pass\n"
    assert "batch 1 landed" in held("sync").done.out


def test_a_held_batch_is_given_up_with_a_reason(held: Desk) -> None:
    assert held("batch", "abandon", 1, "--reason", "not needed").done.out == "batch 1 is abandoned\n"
    change = held("queue", "show", 1, "--json").json
    assert change["status"] == "rejected"
    assert "not needed" in change["reject_reason"]
    assert held("sync").done


def test_retry_and_abandon_as_json_are_the_batch(held: Desk) -> None:
    assert Batch.model_validate(held("batch", "retry", 1, "--json").done.json).state == "sealed"
    assert held("sync").code == 1
    assert Batch.model_validate(held("batch", "abandon", 1, "--reason", "no", "--json").done.json).state == "abandoned"


# status


def test_status_check_fails_until_a_pass_went_well_and_while_something_is_held(desk: Desk) -> None:
    before = desk("status", "--check")
    assert (before.code, "(overdue)" in before.out) == (1, True)
    assert desk("sync").done
    assert "overdue" not in desk("status", "--check").done.out
    git(desk.clone.path, "checkout", "-q", "--detach")
    assert desk("sync").code == desk("status", "--check").code == 1
    git(desk.clone.path, "checkout", "-q", "main")
    (repository,) = desk("status", "--check", "--json").done.json["repositories"]
    assert repository["last_good_pass_at"] < repository["last_pass_at"]
    assert not repository["is_overdue"]
    assert ", the last good one " in desk("status").done.out


def test_status_check_fails_while_a_batch_is_held(held: Desk) -> None:
    assert held("status", "--check").code == 1


def test_status_of_a_fresh_store(desk: Desk) -> None:
    told = desk("status").done.out
    assert "daemon    none serves this store: refsync run" in told
    assert "changes   none" in told
    assert f"{desk.clone.path}  main at {desk.clone.tip[:12]}" in told
    assert "landed   nothing yet" in told


def test_status_tells_what_waits_and_the_command_for_it(desk: Desk) -> None:
    desk.add("create", "new", NEW)
    desk.add("delete", "old")
    assert desk("queue", "approve", 1, "--title", "First").done
    told = desk("status").done.out
    assert "1 pending, 1 approved" in told
    assert "refsync queue approve" in told
    assert "batch 1  open, 1 change: First" in told
    assert "refsync sync" in told


def test_status_tells_what_is_held_why_and_what_clears_it(held: Desk) -> None:
    told = held("status").done.out
    assert "batch 1  held, 1 change: First" in told
    assert "clip.json has local edits" in told
    assert "refsync batch retry 1, or: refsync batch abandon 1 --reason TEXT" in told
    (repository,) = held("status", "--json").done.json["repositories"]
    assert repository["local_edits"] == ["clip.json"]
    assert [(batch["number"], batch["state"]) for batch in repository["batches"]] == [(1, "held")]
    assert repository["batches"][0]["command"].startswith("refsync batch retry 1")


def test_status_tells_of_the_daemon_and_the_last_landing(desk: Desk) -> None:
    tip = desk.land(desk.add("create", "new", NEW))
    with desk.served():
        told = desk("status").done.out
        assert re.search(r"daemon    process \d+ of ", told)
        assert desk("status", "--json").json["daemon"]["pid"]
    assert f"landed   {tip[:12]} at " in told
    document = desk("status", "--json").done.json
    assert document["daemon"] is None
    assert document["changes"]["applied"] == 1
    assert document["repositories"][0]["last_landed_commit"] == tip


def test_status_tells_of_a_broken_file_and_its_place(desk: Desk) -> None:
    desk.clone.commit({"clip.json": b'{\n  "a": '})
    told = desk("status").done.out
    assert re.search(r"broken   clip.json: line 2, column \d+", told)
    (repository,) = desk("status", "--json").json["repositories"]
    assert list(repository["unreadable_files"]) == ["clip.json"]


def test_status_tells_why_a_clone_is_held_and_its_last_error(desk: Desk) -> None:
    git(desk.clone.path, "checkout", "-q", "--detach")
    assert desk("sync").code == 1
    assert re.search(r"held +.*detached", desk("status").done.out)
    git(desk.clone.path, "checkout", "-q", "main")
    assert desk("sync").done
    told = desk("status").done.out
    assert not re.search(r"held +.*detached", told)
    assert re.search(r"error +.*detached.* ago, gone since\)", told)


# metadata


def test_metadata_show_is_an_object_by_repository_format_and_category(desk: Desk) -> None:
    assert "refsync sync" in desk("metadata", "show").done.out
    assert desk("metadata", "show", "--json").done.json == {}
    desk.land(desk.add("create", "new", NEW))
    counters = desk("metadata", "show", "--json").done.json
    assert list(counters["image"]) == ["legacy"]
    clip = CategoryMetadata.model_validate(counters["image"]["legacy"]["clip"], extra="ignore")
    assert (clip.total_creates, clip.total_models, clip.last_operation_model) == (3, 3, "new")
    assert list(desk("metadata", "show", "blip", "--json").json["image"]["legacy"]) == ["blip"]
    assert re.search(r"clip +3 +0 +0 +3 +0 +create new", desk("metadata", "show").out)


def test_metadata_that_differs_from_history_is_told_and_rebuilt(desk: Desk) -> None:
    desk.land(desk.add("create", "new", NEW))
    assert desk("metadata", "verify").done.out == "equal to the history\n"
    assert desk("metadata", "verify", "--json").done.json == []
    (file,) = desk.state.glob("image/meta/**/*clip*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"total_creates": 70}))
    told = desk("metadata", "verify")
    assert told.code == 1
    assert "image: legacy clip: total_creates is 70, the history gives 3" in told.out
    (difference, *_) = desk("metadata", "verify", "--json").json
    assert (difference["repository"], difference["field"], difference["stored"]) == ("image", "total_creates", 70)
    assert desk("metadata", "rebuild").done.out == "image: 4 operations of 2 commits\n"
    assert desk("metadata", "verify").done
    assert desk("metadata", "rebuild", "--json").done.json == {"image": {"commits": 2, "operations": 4}}


# models


def test_model_show_is_the_record_as_readers_get_it(desk: Desk) -> None:
    assert desk("model", "show", "clip", "ViT-L/14").done.json == {"name": "ViT-L/14", "type": "clip"}
    assert desk("model", "show", "clip", "ViT-L/14", "--json").done.json == {"name": "ViT-L/14", "type": "clip"}


def test_model_history_tells_who_did_it_in_which_batch(desk: Desk) -> None:
    desk.add("update", "old", {"name": "older"}, "--by", "7", "--username", "Bob")
    updated = desk.land(1, title="Older")
    desk.clone.commit({"clip.json": {}}, "clear")
    commits = desk("model", "history", "clip", "old", "--json").done.json
    assert [(each["operation"], each["batch"]) for each in commits] == [
        ("create", None),
        ("update", 1),
        ("delete", None),
    ]
    assert (commits[1]["commit"], commits[1]["requested_by"]) == (updated, ["Bob <7>"])
    shown = desk("model", "history", "clip", "old").done.out.splitlines()
    assert len(shown) == 4
    assert re.search(rf"{updated[:12]} +update +1 +Bob <7>", shown[2])
    assert "clear" in shown[3]


def test_commands_work_beside_a_running_daemon(desk: Desk) -> None:
    with desk.running("run") as daemon:
        wait_until(lambda: desk("status", "--json").json["daemon"] is not None, "the daemon serves the store")
        added = desk("queue", "add", "create", "clip", "new", "--payload", "-", stdin=b'{"name": "new"}').done
        assert added.err == ""
        assert desk("queue", "approve", 1, "--title", "First").done
        wait_until(lambda: desk("queue", "show", 1, "--json").json["status"] == "applied", "the daemon lands it")
        assert desk("sync").done.out == "nothing to do\n"
        assert desk("metadata", "verify").done
        daemon.terminate()
        _, log = daemon.communicate(timeout=60)
    assert (daemon.returncode, b"Traceback" in log) == (0, False)
