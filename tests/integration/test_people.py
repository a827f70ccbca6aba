"""Roles, two persons, and the limit of open changes: where a move is made, and where the daemon lands it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refsync import load_config, open_application
from refsync.errors import NotAllowedError
from refsync.pending_queue.models import Actor
from tests.support.command_line import Desk, Ended

PEOPLE = """[people]
requestors = ["ada"]
approvers = ["bob"]
operators = ["carol"]
category_approvers = { clip = ["dave"] }
"""
RECORD = b'{"name": "n"}'


@pytest.fixture(autouse=True)
def _as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SUDO_USER say who runs a command, whoever runs the tests."""
    monkeypatch.setattr("refsync.accounts.os.getuid", lambda: 0)


def add(desk: Desk, model: str, *more: str, user: str = "ada", category: str = "clip") -> Ended:
    words = ("queue", "add", "create", category, model, "--payload", "-", *more)
    return desk(*words, stdin=RECORD, SUDO_USER=user)


def approve(desk: Desk, *ids: int, user: str = "bob", more: tuple[str, ...] = ()) -> Ended:
    return desk("queue", "approve", *ids, "--title", "Batch", *more, SUDO_USER=user)


def test_each_move_takes_its_role_and_a_refusal_names_who_has_it(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, PEOPLE)
    assert add(desk, "m", user="eve").refusal == "eve may not submit changes; who may: ada, bob, carol, dave"
    assert add(desk, "m").done.out == "1\n"
    assert add(desk, "b", category="blip").done.out == "2\n"
    reviewing = "ada may not review changes of clip; who may: bob, carol, dave"
    assert approve(desk, 1, user="ada").refusal == reviewing
    assert desk("queue", "reject", 1, "--reason", "no", SUDO_USER="ada").refusal == reviewing
    assert desk("queue", "purge", "--model", "m", SUDO_USER="ada").refusal == reviewing
    assert approve(desk, 1, 2, user="dave").refusal == "dave may not review changes of blip; who may: bob, carol"
    assert approve(desk, 1, user="dave").done
    assert desk("queue", "withdraw", 1, SUDO_USER="ada").refusal == reviewing
    assert desk("batch", "seal", SUDO_USER="ada").refusal == reviewing
    assert approve(desk, 2).done
    assert desk("batch", "seal", SUDO_USER="dave").refusal == "dave may not review changes of blip; who may: bob, carol"
    assert desk("batch", "seal", SUDO_USER="carol").done
    assert desk("sync").done
    assert "m" in desk.clone.records("clip.json")


def test_only_operators_act_as_others_and_take_a_queue_in(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, PEOPLE)
    assert add(desk, "m", "--by", "bob").refusal == "ada may not act as bob; who may act as others: carol"
    assert add(desk, "m", "--by", "ada", user="carol").done
    exported = desk("queue", "export", SUDO_USER="ada").done.out.encode()
    assert desk("queue", "import", "-", stdin=exported, SUDO_USER="bob").refusal == (
        "bob may not do that; who may: carol"
    )


def test_without_people_everybody_may_act_as_anybody(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path)
    assert add(desk, "m", "--by", "somebody", user="eve").done
    assert approve(desk, 1, user="eve", more=("--by", "somebody")).done


def test_nobody_approves_what_they_asked_for_under_another_name(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, "[queue]\ntwo_person_review = true\n")
    assert add(desk, "m", "--by", "ada", user="eve").done
    assert approve(desk, 1, user="ada").refusal == (
        "change 1 was proposed by ada (user eve); another person has to approve it"
    )
    assert approve(desk, 1, user="eve", more=("--by", "bob")).refusal == (
        "change 1 was proposed by ada (user eve), the same user as bob (user eve); another person has to approve it"
    )
    assert approve(desk, 1).done


@pytest.mark.parametrize("approval", [("eve", ()), ("eve", ("--by", "bob")), ("ada", ())])
def test_an_approval_by_who_may_not_is_taken_back_when_it_is_about_to_land(
    tmp_path: Path, approval: tuple[str, tuple[str, ...]]
) -> None:
    user, more = approval
    desk = Desk.at(tmp_path)  # a config of their own that knows no roles
    assert add(desk, "m").done
    assert add(desk, "n").done
    assert approve(desk, 1, user=user, more=more).done
    assert approve(desk, 2).done
    tip = desk.clone.tip
    assert desk("batch", "seal", SUDO_USER="eve").done
    desk.configure(PEOPLE)
    [planned] = desk("sync", "--dry-run", "--json").json
    assert [each["change_id"] for each in planned["waiting"]] == [1]
    assert '"m"' not in planned["diff"]
    synced = desk("sync")
    assert synced.done.out.startswith("image: batch 1 landed: 1 change")
    assert "change 1 waits for review again: " in synced.out
    assert desk.clone.tip != tip
    assert "n" in desk.clone.records("clip.json")
    assert "m" not in desk.clone.records("clip.json")
    change = desk("queue", "show", 1, "--json").json
    assert (change["status"], change["approved_by"], change["batch_id"]) == ("pending", None, None)
    assert change["history"][-1]["why"].startswith("the approval does not count: ")
    assert approve(desk, 1, user="dave").done
    assert desk("sync").done
    assert "m" in desk.clone.records("clip.json")


def test_a_submission_under_a_false_name_is_rejected_and_its_batch_ends(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path)
    assert add(desk, "m", "--by", "ada", user="eve").done
    assert approve(desk, 1).done
    desk.configure(PEOPLE)
    reason = "eve may not act as ada; who may act as others: carol"
    [planned] = desk("sync", "--dry-run", "--json").json
    assert (planned["rejected"], planned["diff"]) == ([{"change_id": 1, "reason": reason}], "")
    assert desk("sync", "--json").json["repositories"][0]["rejected"] == [{"change_id": 1, "reason": reason}]
    assert desk("batch", "show", 1, "--json").json["state"] == "abandoned"


def test_the_daemons_own_word_on_two_persons_counts(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path)
    assert add(desk, "m", "--by", "ada", user="eve").done
    assert approve(desk, 1, user="eve", more=("--by", "bob")).done
    desk.configure("[queue]\ntwo_person_review = true\n")
    assert desk("sync", "--json").json["repositories"][0]["returned"] == [
        {
            "change_id": 1,
            "reason": "change 1 was proposed by ada (user eve), the same user as bob (user eve); "
            "another person has to approve it",
        }
    ]


def test_both_halves_of_a_rename_wait_again(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path)
    assert desk("queue", "rename", "clip", "old", "new", SUDO_USER="ada").done
    assert approve(desk, 1, user="eve").done
    desk.configure(PEOPLE)
    assert desk("sync").done
    assert desk("queue", "list", "--status", "pending", "--json").json["total"] == 2


def test_a_program_acts_as_its_user_or_for_another_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "eve")
    desk = Desk.at(tmp_path, PEOPLE.replace('"ada"', '"ada", "horde:7"').replace('"bob"', '"bob", "horde:12"'))
    given: dict[str, Any] = {"category": "clip", "model_name": "m", "operation": "create", "payload": {"name": "m"}}
    with open_application(load_config(desk.config, {})) as application:
        queue = application.queue
        with pytest.raises(NotAllowedError, match="eve may not act as ada"):
            queue.enqueue_change(**given, requestor_id="ada", requestor_username="Ada")
        change = queue.enqueue_change(**given, requestor_id="7", requestor_username="Ada", provider="horde")
        assert (change.requested_provider, change.os_user) == ("horde", None)
        approved = queue.process_batch(
            approver_id="12",
            approver_username="Bob",
            batch_title="Batch",
            approved_ids=[1],
            rejected_ids=None,
            provider="horde",
        )
        with pytest.raises(NotAllowedError, match="eve may not act as bob"):
            queue.abandon_batch(approved.batch_id or 0, reason="no", actor=Actor("bob", "Bob"))
        assert [event.provider for event in queue.history_of(1)] == ["horde", "horde"]


def test_more_open_changes_than_may_be_are_refused(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, "[guard]\nopen_changes = 3\nopen_changes_by_person = 2\n")
    assert add(desk, "a").done
    assert add(desk, "b").done
    assert add(desk, "c").refusal == (
        "2 changes of ada are open and 1 more would come; at most 2 may be open at a time "
        "(open_changes_by_person in [guard]); have some reviewed first"
    )
    assert add(desk, "c", user="bob").done
    line = b'{"operation": "create", "category": "clip", "model_name": "%d", "payload": {}}\n'
    two = b"".join(line % number for number in (1, 2))
    assert "3 changes are open and 2 more would come; at most 3" in (
        desk("queue", "import", "-", stdin=two, SUDO_USER="dave").refusal
    )
    assert desk("queue", "reject", 1, "--reason", "no").done
    assert add(desk, "c").done
