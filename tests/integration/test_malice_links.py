"""A link, a pipe or a device where a file should be leads nobody elsewhere, and keeps nobody waiting."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from refsync.backends.clone_reader import CloneReader
from refsync.categories import MODEL_REFERENCE_CATEGORY, CanonicalFormat
from refsync.errors import CloneError, DocumentError, StateDirectoryError
from refsync.regular_files import LARGEST_FILE_BYTES, read_regular, read_up_to
from refsync.state_directory import prepare
from tests.support.command_line import Desk
from tests.support.repositories import git

CLIP = MODEL_REFERENCE_CATEGORY.clip
FOREIGN = '{"secret": {"name": "of somebody else"}}'


def link(place: Path, foreign: Path) -> None:
    place.symlink_to(foreign)


def dangling(place: Path, foreign: Path) -> None:
    place.symlink_to(foreign.with_name("not there yet"))


def second_name(place: Path, foreign: Path) -> None:
    os.link(foreign, place)


def pipe(place: Path, foreign: Path) -> None:
    os.mkfifo(place)


def zeroes(place: Path, foreign: Path) -> None:
    place.symlink_to("/dev/zero")


def folder(place: Path, foreign: Path) -> None:
    place.mkdir()


Trap = Callable[[Path, Path], None]
TRAPS: list[Trap] = [link, dangling, second_name, pipe, zeroes, folder]


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Somebody's file, with a mode of its own."""
    file = tmp_path / "foreign"
    file.write_text(FOREIGN)
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("name", ["daemon.lock", "wake/wake", "pass.lock"])
def test_a_trap_in_the_state_directory_changes_no_file_elsewhere(
    tmp_path: Path, foreign: Path, name: str, trap: Trap
) -> None:
    state = prepare(tmp_path / "state")
    trap(state.path / name, foreign)
    if name == "wake/wake":
        state.wake()  # a wake-up that fails is no loss
    elif name == "pass.lock":
        with pytest.raises(StateDirectoryError):
            state.pass_lock().acquire(timeout=0)
    else:
        with pytest.raises(StateDirectoryError), state.serve():
            pass
        if trap is not second_name:
            with pytest.raises(StateDirectoryError):
                state.daemon()
    assert (foreign.read_text(), foreign.stat().st_mode & 0o777) == (FOREIGN, 0o600)
    assert not foreign.with_name("not there yet").exists()


def test_a_linked_folder_of_the_state_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    state = prepare(tmp_path / "state")
    shutil.rmtree(state.path / "wake")
    (state.path / "wake").symlink_to(tmp_path / "elsewhere")
    (state.path / "image").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateDirectoryError, match="symbolic link"):
        prepare(tmp_path / "state")
    with pytest.raises(StateDirectoryError, match="symbolic link"):
        state.repository_folder("image")
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("trap", [link, pipe, zeroes, folder])
def test_readers_and_reviewers_take_a_category_file_for_a_file_only(
    tmp_path: Path, foreign: Path, trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk.at(tmp_path)
    monkeypatch.chdir(desk.clone.path)
    (desk.clone.path / "clip.json").unlink()
    trap(desk.clone.path / "clip.json", foreign)
    reader = CloneReader(desk.clone.path, {CLIP: {CanonicalFormat.legacy: "clip.json"}})
    assert reader.fetch_category(CLIP) is None
    with pytest.raises((CloneError, DocumentError)):
        reader.fetch_category(CLIP, force_refresh=True)
    for words in (("diff", "HEAD"), ("check",), ("check", "--fix"), ("status",), ("model", "show", "clip", "secret")):
        ended = desk(*words)
        assert ended.code in (0, 1)
        assert "of somebody else" not in ended.out + ended.err
    assert foreign.read_text() == FOREIGN


def test_no_folder_on_the_way_is_a_link(tmp_path: Path, foreign: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(foreign, tmp_path / "elsewhere/clip.json")
    desk = Desk.at(tmp_path)
    (desk.clone.path / "legacy").symlink_to(tmp_path / "elsewhere")
    reader = CloneReader(desk.clone.path, {CLIP: {CanonicalFormat.legacy: "legacy/clip.json"}})
    assert reader.fetch_category(CLIP) is None
    with pytest.raises((CloneError, DocumentError)):
        reader.fetch_category(CLIP, force_refresh=True)


def test_a_clone_behind_a_link_is_read(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path)
    (tmp_path / "linked").symlink_to(desk.clone.path)
    reader = CloneReader(tmp_path / "linked", {CLIP: {CanonicalFormat.legacy: "clip.json"}})
    assert reader.fetch_category(CLIP, force_refresh=True)


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.touch()
    os.truncate(file, LARGEST_FILE_BYTES)
    assert len(read_regular(file)) == LARGEST_FILE_BYTES
    os.truncate(file, LARGEST_FILE_BYTES + 1)
    with pytest.raises(OSError, match="larger than 64 MiB"):
        read_regular(file)


@pytest.mark.parametrize("most", [2, 4, 9, 90])
def test_a_file_that_grows_while_it_is_read_is_read_up_to_the_limit(tmp_path: Path, most: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"now")
    with file.open("rb") as opened, file.open("rb+") as small:
        opened.peek()
        small.truncate(1)
        assert read_up_to(opened, most) == b"now"[:most]  # which says of itself that it has one byte


def test_a_mend_goes_through_no_name_that_can_be_guessed(
    tmp_path: Path, foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk.at(tmp_path)
    monkeypatch.chdir(desk.clone.path)
    desk.clone.write("clip.json", b'{"a": {"x": 1}, "a": {"x": 2}}\n')
    git(desk.clone.path, "commit", "-qam", "twice")
    (desk.clone.path / ".clip.json.refsync").symlink_to(foreign)
    desk("check", "--fix")
    assert desk.clone.read("clip.json") == b'{"a": {"x": 2}}\n'
    assert foreign.read_text() == FOREIGN


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[" * 3000,
        b"{}",
        b'{"pid": "../self", "user": "ada", "since": 1}',
        b'{"pid": 1, "user": ["ada"], "since": 1}',
        b'{"pid": 1, "user": "ada", "since": 1e400}',
        b'{"pid": true, "user": "ada", "since": NaN}',
        b'{"pid": -1, "user": "ada", "since": 0}',
        b'{"pid": 1, "user": "\\u001b[31mred", "since": 0}',
        b"\xff\xfe",
    ],
)
def test_what_a_daemon_lock_says_harms_nobody_who_reads_it(tmp_path: Path, text: bytes) -> None:
    desk = Desk.at(tmp_path)
    state = prepare(desk.state)
    with state.serve():
        (desk.state / "daemon.lock").write_bytes(text)
        told = desk("status").done.out
    assert "daemon    process" in told
    assert told.replace("\n", "").isprintable()
