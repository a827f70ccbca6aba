"""Branch, files and index move together or not at all, and a person's work is left alone."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from refsync.clone import journal, landing
from refsync.clone.commits import build_commit
from refsync.clone.edits import local_edits
from refsync.clone.landing import index_locked, land
from refsync.clone.preflight import check_ready
from refsync.clone.repository import Repository
from refsync.durable import flush_folder
from refsync.errors import BranchMovedError, GitBusyError, LocalEditsError
from tests.support.daemon import wait_for
from tests.support.hostile import raw_git
from tests.support.repositories import Clone, blobs_of, git

AUTHOR = "refsync <refsync@localhost>"
NEW = {"clip.json": b'{"new": {}}\n', "deep/blip.json": b'{"new": {}}\n', "fresh/lora.json": b"{}\n"}


@pytest.fixture
def clone(tmp_path: Path, bare_git: None) -> Clone:
    return Clone.create(
        tmp_path / "clone",
        {"clip.json": {"a": {}}, "deep/blip.json": {"b": {}}, "README": b"hi\n", ".gitignore": b"*.tmp\n"},
    )


@pytest.fixture
def opened(clone: Clone) -> Iterator[Repository]:
    with Repository(clone.path, "main") as repository:
        yield repository


def built(opened: Repository, files: Mapping[str, bytes] = NEW) -> str:
    commit = build_commit(opened, opened.tip(), blobs_of(files), message="batch\n", author=AUTHOR)
    assert commit is not None
    return commit


def land_it(opened: Repository, commit: str) -> None:
    with index_locked(opened) as lock:
        land(lock, old=opened.tip(), new=commit, reason="refsync: batch 1")


def left_behind(clone: Clone) -> list[str]:
    return sorted(
        path.name for path in (clone.path / ".git").iterdir() if "refsync" in path.name or "lock" in path.name
    )


def test_branch_files_and_index_move_together(clone: Clone, opened: Repository) -> None:
    commit = built(opened)
    land_it(opened, commit)
    assert clone.tip == commit
    assert {name: clone.read(name) for name in NEW} == NEW
    assert clone.status == ""
    assert left_behind(clone) == []
    assert git(clone.path, "fsck", "--strict") == ""
    assert git(clone.path, "reflog", "-1", "--format=%gs") == "refsync: batch 1"


def edit_without_a_sign(clone: Clone, path: str) -> None:
    """As long, at the same time as far as git looks at it: that the index is no younger alone tells git to read it."""
    file, then = clone.path / path, int(time.time()) - 100
    os.utime(file, (then, then))
    git(clone.path, "add", path)
    os.utime(clone.path / ".git/index", (then, then))
    file.write_bytes(file.read_bytes().replace(b"{", b"[", 1))
    os.utime(file, (then, then))


def edits_as_git_sees_them(clone: Clone) -> str:
    return git(clone.path, "--no-optional-locks", "status", "--porcelain")


@pytest.mark.parametrize("files", [{"clip.json": b"{}\n"}, {"fresh/lora.json": b"{}\n"}], ids=["replaced", "new"])
def test_git_still_sees_an_edit_that_it_knew_by_the_age_of_its_index_alone(
    clone: Clone, opened: Repository, files: dict[str, bytes]
) -> None:
    edit_without_a_sign(clone, "deep/blip.json")
    assert edits_as_git_sees_them(clone) == "M deep/blip.json"
    land_it(opened, built(opened, files))
    assert edits_as_git_sees_them(clone) == "M deep/blip.json"
    with pytest.raises(LocalEditsError, match=r"deep/blip\.json"):
        land_it(opened, built(opened, {"deep/blip.json": b"{}\n"}))


def test_a_conflict_that_a_person_has_left_elsewhere_stays_as_it_is(clone: Clone, opened: Repository) -> None:
    blob = git(clone.path, "rev-parse", "HEAD:README")
    sides = "".join(f"100644 {blob} {stage}\tREADME\n" for stage in (1, 2, 3))
    raw_git(clone.path, "update-index", "--index-info", stdin=f"0 {'0' * 40}\tREADME\n{sides}".encode())
    conflict = git(clone.path, "ls-files", "--unmerged")
    assert conflict
    land_it(opened, built(opened, {"clip.json": b"{}\n"}))
    assert git(clone.path, "ls-files", "--unmerged") == conflict
    assert edits_as_git_sees_them(clone) == "UU README"


def test_git_need_not_look_again_at_what_was_just_looked_at(clone: Clone, opened: Repository) -> None:
    then = int(time.time()) - 100
    os.utime(clone.path / "deep/blip.json", (then, then))
    git(clone.path, "update-index", "--refresh")
    os.utime(clone.path / ".git/index", (then, then))
    wait_for("the file to be old", lambda: time.time() - (clone.path / "deep/blip.json").stat().st_ctime > 0.2)
    assert local_edits(opened, ["deep/blip.json"]) == []
    land_it(opened, built(opened, {"clip.json": b"{}\n"}))
    assert "size: 16\t" in git(clone.path, "ls-files", "--debug", "deep/blip.json")  # what git doubts has none


def test_a_file_is_replaced_by_a_whole_one_with_its_mode(clone: Clone, opened: Repository) -> None:
    (clone.path / "clip.json").chmod(0o664)
    with (clone.path / "clip.json").open("rb") as reader:
        land_it(opened, built(opened))
        assert reader.read() != NEW["clip.json"]  # who reads the old file goes on reading the old one
    assert stat.S_IMODE((clone.path / "clip.json").stat().st_mode) == 0o664


def test_an_executable_file_stays_one(clone: Clone, opened: Repository) -> None:
    (clone.path / "clip.json").chmod(0o755)
    clone.commit({})
    land_it(opened, built(opened))
    assert stat.S_IMODE((clone.path / "clip.json").stat().st_mode) == 0o755
    assert clone.status == ""


def test_a_persons_other_work_stays_as_it_was(clone: Clone, opened: Repository) -> None:
    clone.write("README", b"staged\n")
    git(clone.path, "add", "README")
    clone.write("README", b"edited\n")
    clone.write("notes", b"untracked\n")
    clone.write("staged", b"new\n")
    git(clone.path, "add", "staged")
    before = clone.status
    land_it(opened, built(opened))
    assert clone.status == before
    assert git(clone.path, "diff", "--cached", "--name-only") == "README\nstaged"
    assert clone.read("README") == b"edited\n"


def edit(clone: Clone) -> None:
    clone.write("clip.json", b'{"mine": {}}\n')


def stage(clone: Clone) -> None:
    edit(clone)
    git(clone.path, "add", "clip.json")


def stage_and_put_back(clone: Clone) -> None:
    stage(clone)
    clone.write("clip.json", {"a": {}})


def delete(clone: Clone) -> None:
    (clone.path / "clip.json").unlink()


def delete_staged(clone: Clone) -> None:
    git(clone.path, "rm", "-q", "clip.json")


def replace_by_link(clone: Clone) -> None:
    (clone.path / "clip.json").rename(clone.path / "elsewhere.json")
    (clone.path / "clip.json").symlink_to("elsewhere.json")


def make_executable(clone: Clone) -> None:
    (clone.path / "clip.json").chmod(0o755)


def write_untracked(clone: Clone) -> None:
    clone.write("fresh/lora.json", b"mine\n")


def write_ignored(clone: Clone) -> None:
    (clone.path / ".git/info/exclude").write_text("fresh\n")
    clone.write("fresh/lora.json", b"mine\n")


def put_a_file_where_a_folder_goes(clone: Clone) -> None:
    clone.write("fresh", b"mine\n")


def put_a_link_where_a_folder_goes(clone: Clone) -> None:
    (clone.path.parent / "elsewhere").mkdir()
    (clone.path / "fresh").symlink_to(clone.path.parent / "elsewhere")


EDITS = (
    edit,
    stage,
    stage_and_put_back,
    delete,
    delete_staged,
    replace_by_link,
    make_executable,
    write_untracked,
    write_ignored,
    put_a_file_where_a_folder_goes,
    put_a_link_where_a_folder_goes,
)


@pytest.mark.parametrize("meddle", EDITS, ids=lambda meddle: meddle.__name__)
def test_local_edits_refuse_the_landing_and_nothing_moves(
    clone: Clone, opened: Repository, meddle: Callable[[Clone], None]
) -> None:
    commit, tip = built(opened), clone.tip
    meddle(clone)
    before, index = clone.status, (clone.path / ".git/index").read_bytes()
    with pytest.raises(LocalEditsError, match="local edits"):
        land_it(opened, commit)
    assert clone.tip == tip
    assert (clone.status, (clone.path / ".git/index").read_bytes()) == (before, index)
    assert clone.read("deep/blip.json") != NEW["deep/blip.json"]
    assert left_behind(clone) == []


def test_local_edits_name_only_the_files_asked_for(clone: Clone, opened: Repository) -> None:
    edit(clone)
    clone.write("README", b"mine\n")
    clone.write("with space.json", b"mine\n")
    assert local_edits(opened, ["clip.json", "deep/blip.json", "with space.json"]) == ["clip.json", "with space.json"]
    assert local_edits(opened, []) == []


def test_a_look_at_local_edits_writes_nothing(clone: Clone, opened: Repository) -> None:
    os.utime(clone.path / "clip.json")  # git would like to refresh its index
    index = (clone.path / ".git/index").stat().st_ctime_ns
    assert local_edits(opened, ["clip.json"]) == []
    assert (clone.path / ".git/index").stat().st_ctime_ns == index


def test_a_lock_held_by_a_person_is_waited_for_then_told(
    clone: Clone, opened: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_LOCK_PATIENCE_SECONDS", 0.05)
    commit, tip, lock = built(opened), clone.tip, clone.path / ".git/index.lock"
    lock.write_bytes(b"")
    with pytest.raises(GitBusyError, match=r"index\.lock; if none is running, remove that file"):
        land_it(opened, commit)
    assert clone.tip == tip
    assert left_behind(clone) == ["index.lock"]
    lock.unlink()
    land_it(opened, commit)
    assert clone.tip == commit


def test_a_lock_let_go_in_time_does_not_hold_the_landing_up(clone: Clone, opened: Repository) -> None:
    commit, lock = built(opened), clone.path / ".git/index.lock"
    lock.write_bytes(b"")
    person = threading.Timer(0.1, lock.unlink)
    person.start()
    land_it(opened, commit)
    person.join()
    assert clone.tip == commit


def test_a_person_is_locked_out_while_a_commit_lands(
    clone: Clone, opened: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def commit_in_between(*arguments: object) -> None:
        git(clone.path, "commit", "-q", "-a", "--allow-empty", "-m", "mine", check=False)
        refused.append(git(clone.path, "log", "-1", "--format=%s"))
        flush_folder(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(landing, "flush_folder", commit_in_between)
    land_it(opened, built(opened))
    assert set(refused) == {"batch"}
    assert clone.status == ""


def test_a_branch_that_moved_meanwhile_refuses_the_landing(clone: Clone, opened: Repository) -> None:
    commit, old = built(opened), clone.tip
    theirs = clone.commit({"README": b"quicker\n"})
    with pytest.raises(BranchMovedError, match="meanwhile"), index_locked(opened) as lock:
        land(lock, old=old, new=commit, reason="refsync: batch 1")
    assert clone.tip == theirs
    assert clone.status == ""
    assert left_behind(clone) == []


def test_a_ref_locked_by_a_person_is_told_as_busy(clone: Clone, opened: Repository) -> None:
    commit = built(opened)
    (clone.path / ".git/refs/heads/main.lock").write_bytes(b"")
    with pytest.raises(GitBusyError):
        land_it(opened, commit)
    assert left_behind(clone) == []


@pytest.mark.parametrize("setting", ["core.autocrlf", "attributes"])
def test_a_clone_with_converted_line_ends_stays_clean(clone: Clone, opened: Repository, setting: str) -> None:
    if setting == "core.autocrlf":
        git(clone.path, "config", setting, "true")
    else:
        clone.commit({".gitattributes": b"*.json text eol=crlf\n"})
    for name in ("clip.json", "deep/blip.json"):
        (clone.path / name).unlink()
    git(clone.path, "checkout", "--", ".")
    assert b"\r\n" in clone.read("clip.json")
    land_it(opened, built(opened))
    assert clone.read("clip.json") == b'{"new": {}}\n'  # as it was committed
    assert clone.status == ""
    land_it(opened, built(opened, {"clip.json": b'{"newer": {}}\n'}))
    assert clone.status == ""


def test_a_linked_work_tree_lands_like_any_other(clone: Clone, bare_git: None) -> None:
    git(clone.path, "checkout", "-q", "--detach")
    linked = Clone(clone.path.parent / "linked")
    git(clone.path, "worktree", "add", "-q", str(linked.path), "main")
    with Repository(linked.path, "main") as opened:
        check_ready(opened)
        commit = built(opened)
        land_it(opened, commit)
    assert linked.tip == commit
    assert linked.status == ""
    assert linked.read("clip.json") == NEW["clip.json"]
