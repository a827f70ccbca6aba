"""Killed at the calls that last, by ``strace``, a command is given again and leaves what it would have left.

Every seventeenth call with the slow tests; every one::

    pytest -m exhaustive -n 0 -s --timeout 0 tests/acceptance/test_kill_commands.py
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from loguru import logger

from refsync.pending_queue.store import PendingQueueStore
from tests.support.command_line import Desk
from tests.support.old_stores import old_store
from tests.support.repositories import Clone, bare_remote, git
from tests.support.tracing import killed_at_call, needs_strace

pytestmark = needs_strace
EXHAUSTIVE = [pytest.mark.exhaustive, pytest.mark.timeout(0)]
STRIDES = [pytest.param(17, marks=pytest.mark.slow), pytest.param(1, marks=EXHAUSTIVE)]


@pytest.fixture(autouse=True)
def _quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    logger.disable("refsync")


@dataclass(frozen=True)
class Command:
    """What is killed, in its folder ``ground``; and what is there, in any order, when it is given again."""

    ground: Path
    run: Callable[[], object]
    again: Callable[[], object]
    state: Callable[[], object]


def upgrade(folder: Path) -> Command:
    """The upgrade of a store, by whoever comes first."""
    ground = folder / "state"
    ground.mkdir()
    old_store(ground, 1)

    def come() -> None:
        PendingQueueStore(root_path=ground).close()

    def content() -> list[str]:
        with closing(sqlite3.connect(ground / "queue.db")) as connection:
            return [*connection.iterdump(), *connection.execute("PRAGMA integrity_check").fetchone()]

    return Command(ground, come, come, lambda: (content(), sorted(os.listdir(ground))))


def make_store(folder: Path) -> Command:
    """The making of a store."""
    ground = folder / "state"
    ground.mkdir()

    def come() -> None:
        PendingQueueStore(root_path=ground).close()

    return Command(ground, come, come, lambda: sorted(os.listdir(ground)))


def served(folder: Path) -> Desk:
    """A desk with something in queue and history."""
    desk = Desk.at(folder)
    desk.land(desk.add("create", "first", {"name": "first"}))
    desk.land(desk.add("delete", "old"))
    desk.add("create", "waiting", {"name": "waiting"})
    return desk


def state_of(desk: Desk) -> object:
    """What the store holds and what is counted, and which files there are; times of recording are not told."""
    shown = desk("metadata", "show", "--json").done.json["image"]["legacy"]
    told = ("total_creates", "total_deletes", "total_models")
    counted = {category: [metadata[field] for field in told] for category, metadata in shown.items()}
    kept = (path for path in desk.state.rglob("*") if not path.name.endswith(("-wal", "-shm")))
    names = sorted(str(path.relative_to(desk.state)) for path in kept)
    return desk("queue", "export").done.out, counted, desk("metadata", "verify").done.code, names


def rebuild(folder: Path) -> Command:
    """Counting all of the history again."""
    desk = served(folder)
    return Command(
        desk.state,
        lambda: desk("metadata", "rebuild"),
        lambda: desk("metadata", "rebuild").done,
        lambda: state_of(desk),
    )


def restore(folder: Path) -> Command:
    """Taking a backup back; whatever command comes next goes on with it."""
    desk = served(folder)
    file = folder / "backup.tar"
    assert desk("backup", file).done
    return Command(
        desk.state,
        lambda: desk("restore", "--force", file),
        lambda: desk("status").done,
        lambda: state_of(desk),
    )


def backup(folder: Path) -> Command:
    """Making a backup; the next one in the folder clears away what the killed one left."""
    desk = served(folder)
    ground = folder / "backups"
    ground.mkdir()
    file = ground / "backup.tar"

    def again() -> None:
        next_one = ground / "next.tar" if file.exists() else file
        assert desk("backup", next_one).done
        next_one.rename(file)

    return Command(ground, lambda: desk("backup", file), again, lambda: os.listdir(ground))


def init(folder: Path) -> Command:
    """The first clone."""
    source = Clone.create(folder / "source", {"clip.json": {"a": {"name": "a"}}})
    remote = bare_remote(source.path, folder / "models.git")
    ground = folder / "work"
    ground.mkdir()
    desk = Desk(Clone(ground / "image"), ground)

    def make() -> object:
        return desk("init", f"file://{remote}", desk.clone.path, "--state", desk.state)

    def state() -> object:
        clone = desk.clone.path
        return sorted(os.listdir(ground)), desk.config.read_text(), git(clone, "status"), git(clone, "fsck", "--strict")

    return Command(ground, make, lambda: desk.config.exists() or make(), state)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("make", [upgrade, make_store, rebuild, restore, backup, init])
def test_killed_and_given_again(tmp_path: Path, make: Callable[[Path], Command], stride: int) -> None:
    command = make(tmp_path)
    before, nobody = tmp_path / "before", tmp_path / "nobody's"
    shutil.copytree(command.ground, before, symlinks=True)
    command.run()
    whole, number = command.state(), 1
    while True:
        shutil.rmtree(command.ground)
        shutil.copytree(before, command.ground, symlinks=True)
        call = killed_at_call(command.run, number, tmp_path, nobody)
        if call is None:
            break
        print(f"  killed at call {number}: {call}")
        command.again()
        assert command.state() == whole, f"killed at call {number}: {call}"
        number += stride
    assert number > 15
