"""Many models that go at once: held until somebody confirms it, told where others have landed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Desk
from tests.support.repositories import Clone

MODELS = {f"m{number:02}": {"name": f"m{number:02}"} for number in range(20)}
FILES = {"clip.json": MODELS, "blip.json": {"BLIP": {"name": "BLIP"}}}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.at(tmp_path, files=FILES)


def left(clone: Clone, gone: int) -> dict[str, dict[str, str]]:
    return dict(list(MODELS.items())[gone:])


def delete(desk: Desk, count: int) -> None:
    line = '{"operation": "delete", "category": "clip", "model_name": "%s"}\n'
    assert desk("queue", "import", "-", stdin="".join(line % name for name in list(MODELS)[:count]).encode()).done
    assert desk("queue", "approve", "--all", "--title", "Spring clean").done


def test_a_batch_that_deletes_too_much_waits_until_it_is_confirmed(desk: Desk) -> None:
    delete(desk, 6)
    told = "it deletes 6 of the 20 models of clip, more than [guard] lets go at once"
    assert [each["problem"] for each in desk("sync", "--dry-run", "--json").json] == [told]
    held = desk("sync")
    assert held.code == 1
    assert f"batch 1 is held: {told}; if that is meant: refsync batch retry 1 --confirm" in held.err
    batch = desk("status", "--json").json["repositories"][0]["batches"][0]
    assert batch["hold"]["kind"] == "mass_deletion"
    assert batch["command"] == "refsync batch retry 1 --confirm, or: refsync batch abandon 1 --reason TEXT"
    assert desk("batch", "retry", 1).refusal == (
        f"batch 1 is held: {told}; if that is meant: refsync batch retry 1 --confirm"
    )
    assert desk("sync").code == 1
    assert desk("batch", "retry", 1, "--confirm").done
    assert desk("queue", "show", 1, "--json").json["history"][-1]["why"] == (
        "batch 1 is to be tried again, and may delete what it does"
    )
    assert desk("sync").done
    assert desk.clone.records("clip.json") == left(desk.clone, 6)
    assert desk("status", "--json").json["repositories"][0]["mass_deletion"] is None


@pytest.mark.parametrize(("count", "settings"), [(5, ""), (6, "[guard]\ndeletions = { count = 2, share = 0.3 }\n")])
def test_what_is_within_one_of_the_two_limits_lands(desk: Desk, count: int, settings: str) -> None:
    desk.configure(settings)
    delete(desk, count)
    assert desk("sync").done
    assert desk.clone.records("clip.json") == left(desk.clone, count)


def test_what_is_renamed_is_not_deleted(desk: Desk) -> None:
    for name in list(MODELS)[:6]:
        assert desk("queue", "rename", "clip", name, f"{name} new").done
    assert desk("queue", "approve", "--all", "--title", "New names").done
    assert desk("sync").done
    assert len(desk.clone.records("clip.json")) == 20


def test_only_what_is_held_for_its_deletions_is_confirmed(desk: Desk) -> None:
    change = desk.add("update", "m00", {"name": "m00", "x": 1})
    assert desk("queue", "approve", change, "--title", "x").done
    desk.clone.write("clip.json", {"edited": {"name": "edited"}})
    assert desk("sync").code == 1
    assert desk("batch", "retry", 1, "--confirm").refusal == (
        "batch 1 is not held for what it deletes; leave the confirmation out"
    )


def test_what_others_deleted_in_mass_is_told_and_what_refsync_did_is_not(desk: Desk) -> None:
    assert desk("sync").done
    kept = dict(list(MODELS.items())[5:])
    desk.clone.commit({"clip.json": kept})
    assert desk("sync").done.err == ""
    commit = desk.clone.commit({"clip.json": dict(list(kept.items())[8:])})
    desk.clone.commit({"blip.json": {}})
    told_by_sync = f"others deleted 8 of the 15 models of clip in {commit[:12]}"
    assert desk("sync").done.err == f"refsync: image: {told_by_sync}\n"
    told = desk("status", "--json").json["repositories"][0]["mass_deletion"]
    assert (told["commit"], told["category"], told["deleted"], told["models"]) == (commit, "clip", 8, 15)
    shown = desk("status").done.out
    assert f"  deleted  {told_by_sync}, " in shown
    assert f"refsync diff {commit}^ {commit} --directory {desk.clone.path}" in shown.replace("'", "")


def test_of_a_history_that_is_folded_for_the_first_time_nothing_is_told(desk: Desk) -> None:
    desk.clone.commit({"clip.json": {}})
    assert desk("sync").done
    assert desk("status", "--json").json["repositories"][0]["mass_deletion"] is None
