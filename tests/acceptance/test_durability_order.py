"""What must outlast a power cut is on the disk, with its name, before anything relies on it; by tracing the calls."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from loguru import logger

from tests.support.command_line import Desk
from tests.support.durability import Disk
from tests.support.repositories import Clone, bare_remote
from tests.support.sweep import Mode, Phase, Stage
from tests.support.tracing import Call, calls_of, needs_strace

pytestmark = [pytest.mark.slow, needs_strace]

NOT_RELIED_ON = ("/logs/", "/wake/", "/FETCH_HEAD", "/ORIG_HEAD", "/remotes/", "/COMMIT_EDITMSG", "lock", "-shm")
"""Git's logs, what is fetched again, and what says nothing by its content."""
GOES_BACK = {"position.json"}
"""What may be the one before: with counters that are newer it is what a kill between the two leaves."""
NAMED_FIRST = ("index.lock", "refsync-")
"""The journal becomes git's lock, git makes the new index and a new clone, before they are written to the disk."""


@pytest.fixture(autouse=True)
def _quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    logger.disable("refsync")


def relied_on(path: str) -> bool:
    return not any(each in path for each in NOT_RELIED_ON)


def assert_lasts(calls: list[Call], ground: Path) -> None:
    """All is forced to disk in its order, and nothing that counts is left for later."""
    disk = Disk(ground)
    assert [each for each in disk.faults(calls) if not any(name in each for name in NAMED_FIRST)] == []
    assert [each for each in disk.dirty if relied_on(each)] == []
    left = {folder: set(names) - GOES_BACK for folder, names in disk.names.items() if relied_on(f"{folder}/")}
    assert {folder: names for folder, names in left.items() if names} == {}


def before(calls: list[Call], end: str) -> list[Call]:
    """What was done until something got a name that ends so."""
    names = (n for n, call in enumerate(calls) if call.name.startswith("rename") and call.paths[-1].endswith(end))
    return calls[: next(names)]


@pytest.mark.parametrize(
    ("mode", "phase"), [("local", "publish"), ("push", "publish"), ("branch", "publish"), ("branch", "follow")]
)
def test_a_pass(tmp_path: Path, mode: Mode, phase: Phase) -> None:
    stage = Stage(tmp_path, mode, "split", phase)
    calls = calls_of(stage.run)
    assert_lasts(calls, stage.work / "image")
    assert_lasts(calls, stage.work / "state")
    stage.close()


def test_all_that_a_landing_is_made_of_is_on_the_disk_before_the_branch_moves(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "local", "one", "publish")
    until_then = before(calls_of(stage.run), "refs/heads/main")
    assert any(call.name == "rename" and "/objects/" in call.paths[-1] for call in until_then)
    assert_lasts(until_then, stage.work / "image/.git/objects")
    disk = Disk(stage.work / "image")
    assert [*disk.faults(until_then)]  # the two that are named first
    assert [path for path in disk.dirty if path.endswith((".json", "refsync-landing"))] == []
    stage.close()


def test_a_change_that_is_handed_in(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path)
    calls = calls_of(lambda: desk.add("create", "new", {"name": "new"}))
    assert any("queue.db-wal" in call.file for call in calls)
    assert_lasts(calls, desk.state)


def init(folder: Path) -> tuple[Path, Callable[[], object]]:
    remote = bare_remote(
        Clone.create(folder / "source", {"clip.json": {"a": {"name": "a"}}}).path, folder / "models.git"
    )
    work = folder / "work"
    work.mkdir()
    desk = Desk(Clone(work / "image"), work)
    return work, lambda: desk("init", f"file://{remote}", desk.clone.path, "--state", desk.state)


def backup(folder: Path) -> tuple[Path, Callable[[], object]]:
    desk = Desk.at(folder)
    desk.land(desk.add("create", "first", {"name": "first"}))
    (folder / "backups").mkdir()
    return folder / "backups", lambda: desk("backup", folder / "backups" / "backup.tar")


def restore(folder: Path) -> tuple[Path, Callable[[], object]]:
    desk = Desk.at(folder)
    desk.land(desk.add("create", "first", {"name": "first"}))
    assert desk("backup", folder / "backup.tar").done
    return desk.state, lambda: desk("restore", "--force", folder / "backup.tar")


def rebuild(folder: Path) -> tuple[Path, Callable[[], object]]:
    desk = Desk.at(folder)
    desk.land(desk.add("create", "first", {"name": "first"}))
    return desk.state, lambda: desk("metadata", "rebuild")


@pytest.mark.parametrize("work", [init, backup, restore, rebuild])
def test_a_command(tmp_path: Path, work: Callable[[Path], tuple[Path, Callable[[], object]]]) -> None:
    ground, command = work(tmp_path)
    calls = calls_of(command)
    assert any(call.name in ("rename", "link") and str(ground) in call.paths[-1] for call in calls)
    assert_lasts(calls, ground)
