"""Killed at any step, a landing goes on or is undone by the next pass; nothing is left lying about."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from loguru import logger

from refsync.clone import landing, recovery
from refsync.clone.git_locks import REFS_LOCKS, clear_left_behind, writing
from refsync.clone.journal import JOURNAL
from refsync.clone.landing import index_locked, land
from refsync.clone.processes import holders_of
from refsync.clone.recovery import finish_interrupted_landing
from refsync.clone.refs import set_ref
from refsync.clone.repository import Repository
from refsync.errors import GitBusyError, GitInterruptedError
from tests.support.daemon import wait_for
from tests.support.dying import die_at, ended_by, killed, killed_at_durable_step
from tests.support.repositories import Clone, git
from tests.support.transports import script
from tests.support.users import NOBODY, become_nobody, let_others_through, only_root

FILES: dict[str, bytes | Mapping[str, Any]] = {
    "clip.json": {"a": {}},
    "deep/blip.json": {"b": {}},
    "old/only.json": {},
    "README": b"hi\n",
}
NEW: dict[str, bytes | None] = {
    "clip.json": b'{"new": {}}\r\n',
    "deep/blip.json": b'{"new": {}}\n',
    "fresh/lora.json": b"{}\n",
    "old/only.json": None,
}
MOVED = "after:1:move the branch"


@pytest.fixture
def clone(tmp_path: Path, bare_git: None) -> Clone:
    return Clone.create(tmp_path / "clone", FILES)


def commit_of(clone: Clone, files: Mapping[str, bytes | None] = NEW) -> str:
    """A commit on the tip that no branch has: a person's, put aside."""
    tip = clone.tip
    commit = clone.commit(files)
    git(clone.path, "reset", "-q", "--hard", tip)
    return commit


def land_it(clone: Clone, commit: str) -> None:
    with Repository(clone.path, "main") as opened, index_locked(opened) as lock:
        land(lock, old=clone.tip, new=commit, reason="refsync: batch 1")


def recover(clone: Clone) -> str | None:
    with Repository(clone.path, "main") as opened:
        clear_left_behind(opened)
        return finish_interrupted_landing(opened)


def assert_at(clone: Clone, commit: str) -> None:
    """Branch, index and files are all at the commit, and nothing else is there."""
    assert clone.tip == commit
    assert git(clone.path, "status", "--porcelain", "--ignored") == ""
    assert git(clone.path, "diff", "--cached", commit) == ""
    assert left_behind(clone) == []


def left_behind(clone: Clone) -> list[str]:
    found = (path.relative_to(clone.path) for path in clone.path.rglob("*"))
    return sorted(str(path) for path in found if "refsync" in path.name or path.name.endswith(".lock"))


@contextlib.contextmanager
def logged() -> Iterator[list[str]]:
    """What is written to the log meanwhile."""
    lines: list[str] = []
    sink = logger.add(lines.append)
    yield lines
    logger.remove(sink)


def test_killed_before_any_step_it_is_whole_or_has_not_happened(clone: Clone) -> None:
    old, commit = clone.tip, commit_of(clone)
    landed, number = [], 1
    while killed_at_durable_step(lambda: land_it(clone, commit), number):
        landed.append(recover(clone) == commit or clone.tip == commit)
        assert_at(clone, commit if landed[-1] else old)
        assert git(clone.path, "fsck", "--strict") == ""
        git(clone.path, "reset", "-q", "--hard", old)
        number += 1
    assert_at(clone, commit)
    assert landed == sorted(landed)  # once it would have landed, it lands from any later step, too
    assert {*landed} == {False, True}
    assert len(landed) > 30


def test_a_recovery_that_is_killed_itself_is_brought_to_its_end_by_the_next(clone: Clone) -> None:
    old, commit = clone.tip, commit_of(clone)
    number = 1
    while True:
        killed(lambda: land_it(clone, commit), MOVED)
        again = killed_at_durable_step(lambda: recover(clone), number)
        recover(clone)
        assert_at(clone, commit)
        if not again:
            break
        git(clone.path, "reset", "-q", "--hard", old)
        number += 2
    assert number > 15


def test_a_file_that_a_person_edited_after_the_crash_stays(clone: Clone) -> None:
    commit = commit_of(clone)
    killed(lambda: land_it(clone, commit), MOVED)
    clone.write("clip.json", b'{"mine": {}}\n')
    assert recover(clone) == commit
    assert clone.read("clip.json") == b'{"mine": {}}\n'
    assert clone.status == "M clip.json"  # the first blank is stripped
    assert clone.read("deep/blip.json") == NEW["deep/blip.json"]


def test_a_lock_that_a_person_removed_after_the_crash_is_taken_again(clone: Clone) -> None:
    commit = commit_of(clone)
    killed(lambda: land_it(clone, commit), MOVED)
    (clone.path / ".git/index.lock").unlink()
    clone.write("README", b"mine\n")
    git(clone.path, "add", "README")
    assert recover(clone) == commit
    assert clone.status == "M  README"
    assert left_behind(clone) == []


def test_a_person_who_went_on_after_the_crash_is_left_alone(clone: Clone) -> None:
    killed(lambda: land_it(clone, commit_of(clone)), MOVED)
    (clone.path / ".git/index.lock").unlink()
    git(clone.path, "reset", "-q", "--hard")
    clone.write("README", b"mine\n")
    git(clone.path, "commit", "-q", "-am", "theirs")
    theirs = clone.tip
    assert recover(clone) is None
    assert_at(clone, theirs)


def test_what_a_person_tidied_away_after_the_crash_is_written_again(clone: Clone) -> None:
    commit = commit_of(clone)
    killed(lambda: land_it(clone, commit), MOVED)
    git(clone.path, "clean", "-fdxq")
    assert recover(clone) == commit
    assert_at(clone, commit)


@pytest.mark.parametrize(
    "journal",
    [b"", b"{", b"[]", b"null", b'{"holder": 1, "landing": {}}', b"[" * 100_000, b'{"landing": {"old": "x"}}', b"\xff"],
)
def test_a_journal_that_says_nothing_is_forgotten(clone: Clone, journal: bytes) -> None:
    (clone.path / ".git" / JOURNAL).write_bytes(journal)
    os.link(clone.path / ".git" / JOURNAL, clone.path / ".git/index.lock")
    assert recover(clone) is None
    assert left_behind(clone) == []


def test_a_journal_that_names_files_elsewhere_is_not_followed(clone: Clone, tmp_path: Path) -> None:
    commit = commit_of(clone)
    killed(lambda: land_it(clone, commit), MOVED)
    journal, theirs = clone.path / ".git" / JOURNAL, tmp_path / "theirs.json"
    theirs.write_bytes(b"theirs")
    journal.write_bytes(journal.read_bytes().replace(b'"clip.json"', b'"../theirs.json"'))
    recover(clone)
    assert theirs.read_bytes() == b"theirs"
    assert not (clone.path / ".git/index.lock").exists()


@only_root
def test_a_landing_of_an_operator_with_a_strict_umask_is_finished_by_the_service(clone: Clone) -> None:
    commit = commit_of(clone)
    for path in [clone.path, *clone.path.rglob("*")]:
        os.chown(path, 0, NOBODY)
        path.chmod(path.stat().st_mode | (0o2070 if path.is_dir() else 0o060))
    git(clone.path, "config", "core.sharedRepository", "group")

    def land_strictly() -> None:
        os.umask(0o077)
        land_it(clone, commit)

    def recover_as_service() -> None:
        os.environ |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        become_nobody()
        recover(clone)

    let_others_through(clone.path)
    killed(land_strictly, MOVED)
    assert stat.S_IMODE((clone.path / ".git" / JOURNAL).stat().st_mode) == 0o664
    assert ended_by(recover_as_service) == 0
    assert_at(clone, commit)
    assert stat.S_IMODE((clone.path / "fresh/lora.json").stat().st_mode) == 0o664


# Git itself is killed, or lives on


def git_that(monkeypatch: pytest.MonkeyPatch, folder: Path, verb: str, text: str) -> None:
    """Let a Python script stand for git where it is run for this command; it knows the real one as ``REAL``."""
    real = shutil.which("git")
    (folder / "stand_in.py").write_text(f"import os, subprocess, sys, time\nREAL = {real!r}\n{text}")
    instead = f'exec {sys.executable} -S {folder}/stand_in.py "$@"'
    script(folder / "bin" / "git", f'case " $* " in *" {verb} "*) {instead};; esac\nexec {real} "$@"')
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")


KILLED_WITH_LOCKS = """
sys.stdin.buffer.readline()  # it takes no lock before it is told to
git = subprocess.Popen([REAL, "update-ref", "--stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
git.stdin.write(b"start\\nupdate {ref} {commit}\\nprepare\\n")
git.stdin.flush()
while b"prepare" not in git.stdout.readline():
    pass
git.kill()
git.wait()
"""
KILL_PARENT, KILL_SELF = "os.kill(os.getppid(), 9)\n", "os.kill(os.getpid(), 9)\n"


@pytest.mark.parametrize("parent", ["dies", "lives"])
def test_the_locks_of_a_killed_git_are_taken_away_and_named(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parent: str
) -> None:
    old, commit = clone.tip, commit_of(clone)
    dying = KILLED_WITH_LOCKS.format(ref="refs/heads/main", commit=commit)
    with monkeypatch.context() as patched:
        if parent == "dies":
            git_that(patched, tmp_path, "update-ref", dying + KILL_PARENT + KILL_SELF)
            assert ended_by(lambda: land_it(clone, commit)) == -signal.SIGKILL
            assert {".git/HEAD.lock", ".git/refs/heads/main.lock", ".git/index.lock"} <= {*left_behind(clone)}
        else:
            git_that(patched, tmp_path, "update-ref", dying + KILL_SELF)
            with pytest.raises(GitInterruptedError, match="git update-ref was killed"):
                land_it(clone, commit)
    with logged() as lines:
        recover(clone)
    assert parent == "lives" or f"removed {clone.path}/.git/refs/heads/main.lock" in "".join(lines)
    assert_at(clone, old)
    land_it(clone, commit)
    assert_at(clone, commit)


def test_a_lock_of_a_ref_that_a_killed_fetch_left_behind_is_taken_away(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking = "refs/remotes/origin/main"
    git_that(
        monkeypatch,
        tmp_path,
        "update-ref",
        KILLED_WITH_LOCKS.format(ref=tracking, commit=clone.tip) + KILL_PARENT + KILL_SELF,
    )
    with Repository(clone.path, "main") as opened:
        assert ended_by(lambda: set_ref(opened, tracking, clone.tip)) == -signal.SIGKILL
    assert ".git/refs/remotes/origin/main.lock" in left_behind(clone)
    recover(clone)
    assert left_behind(clone) == []


def test_a_lock_that_somebody_holds_or_that_no_git_of_ours_can_have_left_stays(clone: Clone) -> None:
    theirs, held = clone.path / ".git/refs/heads/main.lock", clone.path / ".git/packed-refs.lock"
    theirs.touch()

    def die_with_locks() -> None:
        with Repository(clone.path, "main") as opened, writing(opened, REFS_LOCKS):
            held.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    ended_by(die_with_locks)
    with held.open("rb"), subprocess.Popen(["tail", "-f", str(held)], stdout=subprocess.DEVNULL) as holder:
        wait_for("the holder", lambda: holders_of(held) == [holder.pid])
        recover(clone)
        holder.kill()
        assert held.exists()
    assert theirs.exists()


SLOW_MOVE = """
told = sys.stdin.buffer.read()
os.kill(os.getppid(), 9)
time.sleep({seconds})
subprocess.run([REAL, *sys.argv[1:]], input=told, capture_output=True)
"""


def test_a_git_that_outlives_its_refsync_is_waited_for(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = commit_of(clone)
    with monkeypatch.context() as patched:
        git_that(patched, tmp_path, "update-ref", SLOW_MOVE.format(seconds=0.5))
        assert ended_by(lambda: land_it(clone, commit)) == -signal.SIGKILL
    assert clone.tip != commit
    assert recover(clone) == commit
    assert_at(clone, commit)


def test_a_git_that_holds_the_branchs_lock_lets_go_of_it_when_its_refsync_is_killed(clone: Clone) -> None:
    locks, old, commit = (".git/HEAD.lock", ".git/refs/heads/main.lock"), clone.tip, commit_of(clone)
    is_locked = (clone.path / locks[1]).exists

    def die_locked() -> None:
        with mock.patch.object(landing, "stage", side_effect=lambda *_: wait_for("the lock", is_locked)):
            die_at("before:1:move the branch")
            land_it(clone, commit)

    assert ended_by(die_locked) == -signal.SIGKILL
    wait_for("the locks to be gone", lambda: not {*locks} & {*left_behind(clone)})
    with logged() as lines:
        assert recover(clone) is None
    assert lines == []
    assert_at(clone, old)


def test_a_git_that_outlives_its_refsync_for_too_long_is_ended(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_ORPHAN_PATIENCE_SECONDS", 0.2)
    old, commit = clone.tip, commit_of(clone)
    with monkeypatch.context() as patched:
        git_that(patched, tmp_path, "update-ref", SLOW_MOVE.format(seconds=600))
        assert ended_by(lambda: land_it(clone, commit)) == -signal.SIGKILL
    assert recover(clone) is None
    assert_at(clone, old)


def test_the_landing_of_a_living_refsync_is_left_alone(clone: Clone) -> None:
    with Repository(clone.path, "main") as opened, index_locked(opened):
        with pytest.raises(GitBusyError, match="another refsync is landing"):
            recover(clone)
        assert (clone.path / ".git/index.lock").exists()
    assert left_behind(clone) == []
