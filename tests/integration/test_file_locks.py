"""Locks that are taken and given up: one holder at a time, whatever happens to their file."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from refsync.file_locks import LockFile
from refsync.state_directory import StateDirectory, prepare
from tests.support.daemon import wait_for


def test_one_holds_it_at_a_time(tmp_path: Path) -> None:
    mine, yours = LockFile(tmp_path / "lock"), LockFile(tmp_path / "lock")
    assert mine.acquire(timeout=0)
    assert not yours.acquire(timeout=0.05)
    mine.release()
    with yours:
        assert not mine.acquire(timeout=0)
    assert mine.acquire(timeout=0)
    mine.release()


def test_who_waited_for_a_lock_whose_file_was_deleted_takes_the_one_that_others_meet(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    gone, waiting = LockFile(file), LockFile(file)
    gone.acquire()
    waiter = threading.Thread(target=waiting.acquire)
    waiter.start()
    wait_for("the second one to open it", lambda: opened(file) == 2)
    file.unlink()
    gone.release()
    waiter.join()
    assert not LockFile(file).acquire(timeout=0)
    waiting.release()
    with LockFile(file):
        pass


def opened(file: Path) -> int:
    """How often this process has it open."""
    return sum(each.resolve() == file for each in Path("/proc/self/fd").iterdir())


def test_what_is_gone_before_it_is_looked_at_may_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = prepare(tmp_path / "state")
    monkeypatch.setattr(StateDirectory, "_files", lambda _: iter([str(tmp_path / "queue.db-wal")]))
    state.check_writable()
