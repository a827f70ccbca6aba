"""A person works in the clone at the same time: nothing of theirs or ours is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from refsync.pending_queue.models import BatchState, PendingChangeStatus
from refsync.sync import advance
from refsync.sync.apply import build
from refsync.sync.publisher import Races
from tests.support.reference import Reference
from tests.support.repositories import PERSON, clean_environment, git

APPLIED = PendingChangeStatus.APPLIED

# Commits whatever the index holds, over and over, until told to stop on stdin; prints how many commits were made.
COMMITTING = """
import os, subprocess, sys, threading
done = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), done.set())).start()
made = 0
print("ready", flush=True)
while not done.is_set():
    with open("notes.txt", "a") as notes:
        notes.write(f"line {made}\\n")
    command = ["git", "commit", "-q", *sys.argv[1:], "-m", f"mine {made}"]
    made += not subprocess.run(command, capture_output=True).returncode
print(made)
"""


@contextmanager
def a_person_committing(folder: Path, *options: str) -> Iterator[list[int]]:
    """The list has the number of their commits afterwards."""
    made: list[int] = []
    process = subprocess.Popen(
        [sys.executable, "-c", COMMITTING, *options],
        cwd=folder,
        env=clean_environment() | PERSON,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield made
    finally:
        rest, _ = process.communicate()
        made.append(int(rest))


@pytest.mark.parametrize("options", [("-a",), ("--allow-empty",)], ids=["commit -a", "commit"])
def test_a_person_who_commits_at_any_moment_never_reverts_a_batch(
    reference: Reference, options: tuple[str, ...]
) -> None:
    reference.clone.commit({"notes.txt": b""})
    ids = []
    with a_person_committing(reference.clone.path, *options) as made:
        for number in range(8):
            ids.append(reference.create(f"model {number}", {"version": str(number)}))
            while reference.statuses(ids[-1:]) != [APPLIED]:
                report = reference.sync()
                assert all(each.temporary for each in report.problems), report
    assert made[0] > 0
    reference.sync()
    created = {f"model {number}": {"version": str(number)} for number in range(8)}
    assert reference.clone.records("clip.json").items() >= created.items()
    assert git(reference.clone.path, "log", "--diff-filter=M", "--format=%s", "--", "clip.json").split("\n") == (
        ["New models"] * 8
    )
    assert reference.counters().total_creates == 2 + 8
    assert reference.counters().total_deletes == 0
    reference.assert_counted()
    git(reference.clone.path, "checkout", "--", "notes.txt")
    assert reference.clone.status == ""
    assert git(reference.clone.path, "fsck", "--strict", "--no-dangling") == ""


def meddled_builds(reference: Reference, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let a person commit between each of the next builds and its landing."""
    left = iter(range(times))

    def build_slowly(*arguments: Any) -> str | None:
        commit = build(*arguments)
        for number in left:
            by_plumbing(reference, f"mine {number}")
            break
        return commit

    monkeypatch.setattr(advance, "build", build_slowly)


def by_plumbing(reference: Reference, message: str) -> None:
    """A commit that asks for no lock of the index, as one that arrives by a push does."""
    folder = reference.clone.path
    commit = git(folder, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", message)
    git(folder, "update-ref", "refs/heads/main", commit)


def test_a_lost_race_is_run_again_in_the_same_pass(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    change = reference.create("new", {"version": "1"})
    meddled_builds(reference, monkeypatch, 2)
    report = reference.sync()
    assert report.clean
    assert reference.statuses([change]) == [APPLIED]
    assert git(reference.clone.path, "log", "-3", "--format=%s").split("\n") == ["New models", "mine 1", "mine 0"]
    reference.assert_counted()


def test_a_held_batch_may_lose_a_race_too(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    change = reference.create("new", {"version": "1"})
    reference.clone.write("clip.json", b"broken")
    reference.sync()
    git(reference.clone.path, "checkout", "--", "clip.json")
    meddled_builds(reference, monkeypatch, 1)
    assert reference.sync().clean
    assert reference.statuses([change]) == [APPLIED]


def test_a_race_lost_again_and_again_is_left_to_the_next_pass(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = reference.create("new", {"version": "1"})
    meddled_builds(reference, monkeypatch, Races().attempts)
    outcome = reference.sync_image()
    assert outcome.temporary
    assert reference.statuses([change]) == [PendingChangeStatus.APPROVED]
    assert [batch.state for batch in reference.batches()] == [BatchState.sealed]
    assert reference.sync().clean
    assert reference.statuses([change]) == [APPLIED]


def test_a_person_whose_commit_touches_the_same_field_meanwhile_wins(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = reference.update("beta", {"version": "2"})
    theirs = iter([{"beta": {"version": "3"}}])

    def build_slowly(*arguments: Any) -> str | None:
        commit = build(*arguments)
        for records in theirs:
            reference.clone.commit({"clip.json": records})
        return commit

    monkeypatch.setattr(advance, "build", build_slowly)
    reference.sync()
    assert "wanted" in (reference.change(change).reject_reason or "")
    assert reference.clone.records("clip.json") == {"beta": {"version": "3"}}


def test_two_processes_that_sync_at_once_take_turns(reference: Reference) -> None:
    ids = [reference.create(f"model {number}", {"version": "1"}) for number in range(3)]
    program = "from refsync.cli.main import main; main()"
    command = [sys.executable, "-c", program, "--config", str(reference.config_file), "sync"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as one, subprocess.Popen(command) as other:
        assert (one.wait(), other.wait()) == (0, 0)
    assert reference.statuses(ids) == [APPLIED] * 3
    assert git(reference.clone.path, "log", "--format=%s").split("\n").count("New models") == 1
