"""What a failure advises works as it is printed, with a blank in the path, too; and it accuses who is at fault."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from refsync.clone.durability import durable
from refsync.clone.process import run_git
from refsync.errors import GitCommandError
from tests.support.command_line import Desk
from tests.support.hostile import raw_git, write_bytes
from tests.support.repositories import PERSON, Clone, clean_environment, git

ROOT_ALONE = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a clone to somebody else")
MOUNTS = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None, reason="only root can mount a small or read-only disk"
)
BEGINNING = r"(?:run|with|it|by): "


class Place:
    """A desk in a folder with a blank, whose clone has a remote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a folder"
        self.folder.mkdir()
        self.desk = Desk.at(self.folder)
        self.clone = self.desk.clone
        self.bare = self.folder / "remote.git"
        git(self.folder, "clone", "-q", "--bare", str(self.clone.path), str(self.bare))
        git(self.clone.path, "remote", "add", "origin", str(self.bare))
        git(self.clone.path, "fetch", "-q")
        self.publish("push")

    def publish(self, how: str, branch: str = "main") -> None:
        self.desk.configure(f'publish = "{how}"\nbranch = "{branch}"\n')

    def problem(self) -> str:
        """The one line by which a pass tells what is wrong."""
        ended = self.desk("sync")
        assert ended.code == 1, ended
        (line,) = ended.err.splitlines()
        return line

    def obey(self, advice: str) -> None:
        """Run what is advised, in another folder."""
        environment = clean_environment() | PERSON
        done = subprocess.run(["bash", "-c", advice], cwd="/", env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (advice, done.stderr)

    def is_well(self) -> bool:
        return self.desk("sync").code == 0 and not self.clone.status

    def push_from_elsewhere(self, name: bytes, content: bytes) -> None:
        person = self.folder / "person"
        git(self.folder, "clone", "-q", str(self.bare), str(person))
        write_bytes(person, name, content)
        git(person, "add", "-A")
        git(person, "commit", "-qm", "by hand")
        git(person, "push", "-q")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def advised(line: str, before: str = BEGINNING) -> str:
    """The command behind the last of these words."""
    return re.split(before, line)[-1]


def test_a_detached_head_is_led_back(place: Place) -> None:
    git(place.clone.path, "checkout", "-q", "--detach")
    place.obey(advised(place.problem()))
    assert place.is_well()


def test_another_branch_is_led_back(place: Place) -> None:
    git(place.clone.path, "checkout", "-q", "-b", "main-2")
    place.obey(advised(place.problem()))
    assert place.is_well()


@pytest.mark.parametrize("single", [True, False])
def test_a_branch_that_the_clone_does_not_know_is_fetched_first(place: Place, single: bool) -> None:
    git(place.bare, "branch", "trunk", "main")
    shutil.rmtree(place.clone.path)
    options = ["--single-branch"] if single else []
    git(place.folder, "clone", "-q", *options, "--branch=main", f"file://{place.bare}", str(place.clone.path))
    place.publish("push", "trunk")
    place.obey(advised(place.problem()))
    assert place.is_well()


def test_a_default_branch_that_was_renamed_is_named_with_the_commands_that_follow_it(place: Place) -> None:
    git(place.bare, "branch", "-m", "main", "trunk")
    line = place.problem()
    assert "it has no branch main" in line
    assert "its main branch is trunk: if it was renamed, set `branch` to that" in line
    place.publish("push", "trunk")
    place.obey(advised(line))
    assert place.is_well()


def test_a_shallow_clone_is_completed(place: Place) -> None:
    place.clone.commit({}, "second")
    git(place.clone.path, "push", "-q", "origin", "main")
    shutil.rmtree(place.clone.path)
    git(place.folder, "clone", "-q", "--depth=1", f"file://{place.bare}", str(place.clone.path))
    place.publish("local")
    place.obey(advised(place.problem()))
    assert place.is_well()


@pytest.mark.parametrize("name", [b"some notes.txt", b"it's.txt", b"caf\xe9.txt", b"two\nlines.txt", b"$HOME `id`.txt"])
def test_a_local_edit_in_a_file_of_any_name_is_undone(place: Place, name: bytes) -> None:
    write_bytes(place.clone.path, name, b"1\n")
    git(place.clone.path, "add", "-A")
    git(place.clone.path, "commit", "-qm", "notes")
    git(place.clone.path, "push", "-q", "origin", "main")
    place.push_from_elsewhere(name, b"2\n")
    write_bytes(place.clone.path, name, b"mine\n")
    place.obey(advised(place.problem(), "undo them with: "))
    assert place.is_well()


@pytest.mark.parametrize("choice", [0, 1])
def test_commits_that_the_remote_lacks_are_pushed_or_put_aside(place: Place, choice: int) -> None:
    place.clone.commit({"notes": b"mine\n"})
    pushing, aside = re.split(r", or put them aside with: ", advised(place.problem(), "push them with: "))
    place.obey((pushing, aside)[choice])
    assert place.is_well()


def test_an_empty_ref_is_put_back_to_what_it_held(place: Place) -> None:
    place.publish("local")
    tip = place.clone.tip
    (place.clone.path / ".git" / "refs" / "heads" / "main").write_bytes(b"")
    line = place.problem()
    assert "the file of branch 'main' is empty" in line
    place.obey(advised(line, "what it held last: "))
    assert place.is_well()
    assert place.clone.tip == tip


def test_an_empty_tracking_ref_is_the_clones_own_fault(place: Place) -> None:
    (place.clone.path / ".git" / "refs" / "remotes" / "origin" / "main").write_bytes(b"")
    line = place.problem()
    assert "its own ref refs/remotes/origin/main is broken" in line
    assert "by itself" not in line
    place.obey(advised(line, "remove it: "))
    assert place.is_well()


def test_a_stale_tracking_ref_in_the_way_needs_a_person(place: Place) -> None:
    place.publish("branch")
    git(place.bare, "branch", "refsync/batch-1", "main")
    git(place.clone.path, "update-ref", "refs/remotes/origin/refsync", "main")
    line = place.problem()
    assert "its own ref refs/remotes/origin/refsync is in the way of refs/remotes/origin/refsync/batch-1" in line
    assert "by itself" not in line
    place.obey(advised(line, "delete it: "))
    assert place.is_well()


def test_a_branch_of_the_remote_in_the_way_of_proposals_needs_a_person(place: Place) -> None:
    place.publish("branch")
    git(place.bare, "branch", "refsync", "main")
    change = place.desk.add("create", "new", {"name": "new"})
    assert place.desk("queue", "approve", change, "--title", "Batch").done
    line = place.problem()
    assert "its branch refsync is in the way" in line
    assert "delete or rename it there, or set another `prefix`" in line
    assert "by itself" not in line
    git(place.bare, "branch", "-m", "refsync", "other")
    assert place.desk(*advised(line, "; then: refsync ").split()).done
    assert "proposed" in place.desk("sync").done.out


@ROOT_ALONE
def test_a_clone_of_another_user_is_trusted_as_advised(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = place.folder / "gitconfig"
    settings.touch()
    subprocess.run(["chown", "-R", "12345", str(place.clone.path)], check=True)
    place.publish("local")
    line = place.desk("sync", GIT_CONFIG_GLOBAL=str(settings)).err
    environment = clean_environment() | {"GIT_CONFIG_GLOBAL": str(settings)}
    advice = advised(line.strip(), "let git trust it: ")
    subprocess.run(["bash", "-c", advice], env=environment, check=True)
    assert place.desk("sync", GIT_CONFIG_GLOBAL=str(settings)).done


# Who is at fault


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@MOUNTS
def test_a_full_disk_is_not_the_remotes_fault(place: Place, small_disk: Path) -> None:
    clone = small_disk / "clone"
    git(place.folder, "-c", "init.templateDir=", "clone", "-q", f"file://{place.bare}", str(clone))
    place.push_from_elsewhere(b"noise", os.urandom(3_000_000))
    (place.folder / "moved.toml").write_text(place.desk.config.read_text().replace(str(place.clone.path), str(clone)))
    place.desk.config.write_text((place.folder / "moved.toml").read_text())
    line = place.problem()
    assert "the disk is full" in line
    assert "remote 'origin'" not in line


# What is shown of git's words


def test_git_is_told_to_flush_by_the_key_that_its_version_knows(place: Place) -> None:
    for write in ("update-ref", "hash-object"):
        words = (write, "refs/heads/x", "main") if write == "update-ref" else (write, "-w", "--stdin")
        assert run_git(place.clone.path, *durable(), *words).error == ""


def test_a_warning_of_git_is_never_the_reason(place: Place) -> None:
    git(place.clone.path, "config", "core.fsyncObjectFiles", "true")  # a person's own, which git warns of
    with pytest.raises(GitCommandError) as raised:
        run_git(place.clone.path, "update-ref", "refs/heads/main", "0123456789012345678901234567890123456789")
    assert "deprecated" not in str(raised.value)
    assert "trying to write ref" in str(raised.value)


def test_the_hint_of_git_is_kept(place: Place) -> None:
    place.push_from_elsewhere(b"notes", b"theirs")
    place.clone.commit({"notes": b"ours"})
    with pytest.raises(GitCommandError) as raised:
        run_git(place.clone.path, "push", "origin", "main")
    assert "(fetch first)" in str(raised.value)
    assert "Updates were rejected because the remote contains work that you do not have locally" in str(raised.value)


def test_what_fails_while_cloning_names_no_folder_that_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    source = Clone.create(folder / "source", {"clip.json": {}})
    raw_git(source.path, "config", "uploadpack.hideRefs", "refs/heads")
    desk = Desk(Clone(folder / "clone"), folder)
    ended = desk("init", f"file://{source.path}", str(folder / "clone"))
    assert ended.code == 1
    assert ".refsync-" not in ended.err
