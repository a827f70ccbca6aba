"""Building a batch's commit: nothing but objects, flushed, and nothing but the files named."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from refsync.clone.branch_move import move_at_once
from refsync.clone.commits import build_commit
from refsync.clone.repository import Repository
from refsync.errors import DocumentError
from tests.support.costs import counted
from tests.support.repositories import Clone, blobs_of, git

AUTHOR = "refsync <refsync@localhost>"


@pytest.fixture
def clone(tmp_path: Path, bare_git: None) -> Clone:
    return Clone.create(tmp_path / "clone", {"clip.json": {"a": {}}, "deep/er/blip.json": {"b": {}}, "README": b"hi\n"})


@pytest.fixture
def opened(clone: Clone) -> Iterator[Repository]:
    with Repository(clone.path, "main") as repository:
        yield repository


def build(opened: Repository, files: dict[str, bytes], message: str = "batch\n") -> str:
    commit = build_commit(opened, opened.tip(), blobs_of(files), message=message, author=AUTHOR)
    assert commit is not None
    return commit


def test_a_commit_is_built_without_touching_branch_index_or_files(clone: Clone, opened: Repository) -> None:
    index, tip, file = (clone.path / ".git/index").read_bytes(), clone.tip, (clone.path / "clip.json").stat()
    commit = build(opened, {"clip.json": b"{}\n"})
    assert (clone.path / ".git/index").read_bytes() == index
    assert (clone.path / "clip.json").stat().st_ctime_ns == file.st_ctime_ns
    assert clone.tip == tip
    assert git(clone.path, "rev-parse", f"{commit}^") == tip
    assert git(clone.path, "diff-tree", "--name-only", "-r", tip, commit) == "clip.json"


def test_author_committer_and_message_are_as_given(clone: Clone, opened: Repository) -> None:
    commit = build(opened, {"clip.json": b"{}\n"}, "Größe 漢\n\nbody\n")
    assert git(clone.path, "show", "-s", "--format=%an <%ae>|%cn <%ce>|%B", commit) == (
        f"{AUTHOR}|{AUTHOR}|Größe 漢\n\nbody"
    )


def test_nothing_is_built_where_nothing_would_change(clone: Clone, opened: Repository) -> None:
    files = {"clip.json": clone.read("clip.json"), "deep/er/blip.json": clone.read("deep/er/blip.json")}
    assert build_commit(opened, opened.tip(), blobs_of(files), message="batch", author=AUTHOR) is None


def test_files_in_folders_new_and_old_are_written(clone: Clone, opened: Repository) -> None:
    files = {"deep/er/blip.json": b"1", "deep/new.json": b"2", "quite/new/folder.json": b"3", "deep.json": b"4"}
    commit = build(opened, files)
    assert git(clone.path, "diff-tree", "--name-status", "-r", clone.tip, commit).split("\n") == [
        "A\tdeep.json",
        "M\tdeep/er/blip.json",
        "A\tdeep/new.json",
        "A\tquite/new/folder.json",
    ]
    assert git(clone.path, "show", f"{commit}:quite/new/folder.json") == "3"
    assert git(clone.path, "fsck", "--strict") == f"dangling commit {commit}"


def test_modes_are_kept(clone: Clone, opened: Repository) -> None:
    (clone.path / "clip.json").chmod(0o755)
    (clone.path / "link").symlink_to("clip.json")
    clone.commit({})
    commit = build(opened, {"clip.json": b"{}\n", "new.json": b"{}\n"})
    modes = {line.split("\t")[1]: line[:6] for line in git(clone.path, "ls-tree", commit).split("\n")}
    assert (modes["clip.json"], modes["link"], modes["new.json"]) == ("100755", "120000", "100644")


def test_a_commit_that_was_built_before_is_taken_where_only_its_time_differs(clone: Clone, opened: Repository) -> None:
    tip, files = opened.tip(), {"clip.json": b"{}\n"}

    def again(earlier: str, message: str = "batch", author: str = AUTHOR, content: bytes = b"{}\n") -> str | None:
        files = {"clip.json": content}
        return build_commit(opened, tip, blobs_of(files), message=message, author=author, earlier=earlier)

    environment = {"GIT_AUTHOR_DATE": "1000000000 +0000", "GIT_COMMITTER_DATE": "1000000000 +0000"}
    now = build_commit(opened, tip, blobs_of(files), message="batch", author=AUTHOR)
    assert now is not None
    name, mail = AUTHOR.removesuffix(">").split(" <")
    persons = {
        f"GIT_{who}_{what}": v for who in ("AUTHOR", "COMMITTER") for what, v in (("NAME", name), ("EMAIL", mail))
    }
    old = opened.run("commit-tree", f"{now}^{{tree}}", "-p", tip, "-m", "batch", environment=environment | persons)
    earlier = old.output.decode().strip()
    assert earlier != now
    assert again(earlier) == earlier
    for other in (again(earlier, message="other"), again(earlier, author="A <a@b>"), again(earlier, content=b"[]\n")):
        assert other != earlier
    for bad in ("0" * 40, tip):
        assert again(bad) not in (None, bad)


def test_neighbours_with_odd_names_stay(clone: Clone, opened: Repository) -> None:
    for name in (b"sp ace", b"tab\there", b"new\nline", "ünï漢🙂".encode(), b"latin-\xe9\xff", b'quo"te'):
        Path(os.fsdecode(bytes(clone.path) + b"/" + name)).write_bytes(b"x")
    clone.commit({})
    commit = build(opened, {"clip.json": b"{}\n"})
    assert git(clone.path, "diff-tree", "--name-only", "-r", clone.tip, commit) == "clip.json"
    assert git(clone.path, "fsck", "--strict") == f"dangling commit {commit}"


def test_a_submodule_stays(clone: Clone, opened: Repository) -> None:
    git(clone.path, "update-index", "--add", "--cacheinfo", f"160000,{clone.tip},module")
    git(clone.path, "commit", "-q", "-m", "module")
    commit = build(opened, {"clip.json": b"{}\n"})
    assert git(clone.path, "diff-tree", "--name-only", "-r", clone.tip, commit) == "clip.json"


def test_every_object_is_flushed_to_the_disk(opened: Repository, tmp_path: Path) -> None:
    with counted(tmp_path / "costs") as costs:
        commit = build(opened, {"deep/er/blip.json": b"{}\n"})
    folders = {
        id[:2] for id in git(opened.path, "rev-list", "--objects", f"{commit}", "^main").split() if len(id) == 40
    }
    assert costs.flushes == 5 + len(folders) + 1  # a blob, three trees, a commit; the folders of their names
    assert costs.git == []


def test_the_move_of_the_branch_is_flushed_to_the_disk(opened: Repository, tmp_path: Path) -> None:
    commit = build(opened, {"clip.json": b"{}\n"})
    with counted(tmp_path / "costs") as costs:
        move_at_once(opened, old=opened.tip(), new=commit, reason="refsync: batch 1")
    assert costs.flushes or pytest.skip("this git does not count its flushes")


def test_objects_are_as_git_itself_would_write_them(clone: Clone, opened: Repository) -> None:
    commit = build(opened, {"deep/er/blip.json": b"{}\n"})
    for id in git(clone.path, "rev-list", "--objects", "--no-object-names", commit, "^main").split():
        file = clone.path / ".git/objects" / id[:2] / id[2:]
        assert stat.S_IMODE(file.stat().st_mode) == 0o444
    assert not list((clone.path / ".git/objects").rglob("tmp_obj_*"))


def test_what_is_there_already_is_kept_from_being_cleared_away_as_old(clone: Clone, opened: Repository) -> None:
    commit = build(opened, {"clip.json": b"{}\n"})
    file = clone.path / ".git/objects" / commit[:2] / commit[2:]
    os.utime(file, (1, 1))
    stored = opened._objects.read(commit)
    assert stored is not None
    opened.store([stored])
    assert file.stat().st_mtime > 1


def test_what_should_be_a_folder_and_is_none_is_told(clone: Clone, opened: Repository) -> None:
    (clone.path / "linked").symlink_to("deep")
    clone.commit({"plain": b"x"})
    for path in ("linked/clip.json", "plain/clip.json", "plain/a/b.json"):
        with pytest.raises(DocumentError, match="not a folder"):
            opened.file_at(clone.tip, path)
    assert opened.file_at(clone.tip, "deep/none/clip.json") is None
    assert opened.file_at(clone.tip, "deep/er/blip.json") is not None
