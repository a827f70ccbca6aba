"""What is made under a name of its own is nobody else's while its maker lives, and gone once the next one comes."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from refsync.durable import write_durably
from refsync.scratch import scratch_file, scratch_folder, sweep
from tests.support.dying import ended_by
from tests.support.users import NOBODY, become_nobody, let_others_through, only_root


def die_in_a_folder(kind: Path) -> None:
    with scratch_folder(kind) as made:
        (made.path / "deep").mkdir()
        (made.path / "deep" / "file").write_text("x")
        os.kill(os.getpid(), signal.SIGKILL)


def die_in_a_file(kind: Path) -> None:
    with scratch_file(kind) as made:
        made.write(b"x")
        made.flush()
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def kind(tmp_path: Path) -> Path:
    return tmp_path / "what.tmp."


@pytest.mark.parametrize("die", [die_in_a_folder, die_in_a_file])
def test_the_next_one_removes_what_killed_ones_left(kind: Path, die: object) -> None:
    for _ in range(3):
        assert ended_by(lambda: die(kind)) == -signal.SIGKILL  # type: ignore[operator]
    assert len(os.listdir(kind.parent)) == 1  # each saw to the one before
    with scratch_folder(kind) as mine:
        assert os.listdir(kind.parent) == [mine.path.name]
    assert os.listdir(kind.parent) == []


def test_a_write_removes_what_killed_writes_left_beside_its_file(tmp_path: Path) -> None:
    file = tmp_path / "position.json"
    assert ended_by(lambda: die_in_a_file(tmp_path / "position.json.tmp.")) == -signal.SIGKILL
    write_durably(file, "new")
    assert os.listdir(tmp_path) == ["position.json"]
    assert file.read_text() == "new"


def test_what_somebody_makes_stays_as_long_as_any_process_that_inherited_it(kind: Path) -> None:
    with scratch_folder(kind) as mine, scratch_file(kind) as file:
        sweep(kind)
        assert mine.path.is_dir()
        assert Path(file.name).exists()

        def leave_an_orphan() -> None:
            with scratch_folder(kind) as made:
                subprocess.Popen(["cat"], stdin=pipe[0], pass_fds=[made.descriptor])
                os.kill(os.getpid(), signal.SIGKILL)

        pipe = os.pipe()
        ended_by(leave_an_orphan)
        sweep(kind)
        assert len(os.listdir(kind.parent)) == 3
        for end in pipe:
            os.close(end)
        deadline = time.monotonic() + 10
        while len(os.listdir(kind.parent)) == 3 and time.monotonic() < deadline:
            sweep(kind)
        assert len(os.listdir(kind.parent)) == 2


def test_what_is_no_scratch_is_left_alone(kind: Path, tmp_path: Path) -> None:
    random = "0123456789abcdef"
    theirs = tmp_path / "theirs"
    theirs.write_text("mine")
    others = [f"{kind.name}mine", f"{kind.name}{random}.more", f"x{kind.name}{random}", random]
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / f"{kind.name}{random}").symlink_to(theirs)
    with scratch_file(kind):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted([*others, f"{kind.name}{random}", "theirs"])


def test_whoever_comes_at_the_same_time_takes_nothing_from_another(kind: Path) -> None:
    lost: list[str] = []

    def make_often() -> None:
        for _ in range(60):
            with scratch_folder(kind) as made, scratch_file(kind) as file:
                (made.path / "file").write_text("x")
                if not Path(file.name).exists():
                    lost.append(file.name)

    makers = [threading.Thread(target=make_often) for _ in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert lost == []
    assert os.listdir(kind.parent) == []


def test_the_file_may_be_read_and_written_by_those_of_its_folder_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        for mode, expected in [(0o2770, 0o660), (0o755, 0o644), (0o700, 0o600), (0o1777, 0o644)]:
            tmp_path.chmod(mode)
            write_durably(tmp_path / "file", "text")
            assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == expected
    finally:
        os.umask(before)


@only_root
def test_what_another_user_left_is_removed_where_the_folder_is_the_group_s(kind: Path) -> None:
    os.chown(kind.parent, 0, NOBODY)
    kind.parent.chmod(0o2770)
    assert ended_by(lambda: die_in_a_file(kind)) == -signal.SIGKILL
    unreadable = kind.with_name(f"{kind.name}0123456789abcdef")
    unreadable.touch(mode=0o600)  # killed before it could give it its mode

    def sweep_as_nobody() -> None:
        become_nobody()
        real = time.time
        sweep(kind)
        assert unreadable.exists()  # it may have been made just now
        time.time = lambda: real() + 3600
        sweep(kind)

    let_others_through(kind.parent)
    assert ended_by(sweep_as_nobody) == 0
    assert os.listdir(kind.parent) == []
