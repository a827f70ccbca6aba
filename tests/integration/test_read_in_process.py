"""What is read in process is what git itself would have said."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refsync.clone import kept_settings, repository
from refsync.clone.commit_objects import parse_commit
from refsync.clone.edits import local_edits
from refsync.clone.history import LandedCommit
from refsync.clone.index_entries import IndexFile
from refsync.clone.index_file import Blob, read_entries, with_blobs
from refsync.clone.objects import blob_id
from refsync.clone.process import GitResult, run_git
from refsync.clone.recent_history import recent_history
from refsync.clone.ref_files import delete_ref, read_ref, refs_under, write_ref
from refsync.clone.repository import Repository
from refsync.clone.tree_walk import changed_entries
from tests.support.costs import counted
from tests.support.daemon import wait_for
from tests.support.hostile import commit_raw, raw_git
from tests.support.repositories import Clone, git


@pytest.fixture
def clone(tmp_path: Path, bare_git: None) -> Clone:
    return Clone.create(tmp_path / "clone", {"clip.json": b"{}\n", "deep/er/blip.json": b"1", "crlf": b"a\r\n"})


@pytest.fixture
def opened(clone: Clone) -> Iterator[Repository]:
    with Repository(clone.path, "main") as repository:
        yield repository


# The history


def as_git_tells(clone: Clone, after: str, until: str) -> list[LandedCommit]:
    """The whole history is always asked of git."""
    with Repository(clone.path, "main") as opened:
        commits = opened.first_parent_history(None, until)
    return commits[[each.sha for each in commits].index(after) + 1 :]


PEOPLE = [
    b"Ada <ada@example.org>",
    b"A <>",
    b" <a@b>",
    b"A  <a@b>",
    b"A < a>",
    b"A <b> <c>",
    b"\xff\xe9 <x@y>",
    b"A",
    b"A <a\tb>",
]
DATES = [
    b"1700000000 +0000",
    b"0 -1200",
    b"-5 +0000",
    b"99999999999999999999 +0000",
    b"253402300800 +0000",
    b"x",
    b"1 +99999",
]
MESSAGES = [
    b"",
    b"\n",
    b"x",
    b"a\n\n",
    b"\n\na\nb\n",
    "Größe 漢\n".encode(),
    b"\xff\xfe\n",
    b"a\0b\n",
    b"a\r\nb\r\n",
    b" lead\n  \n",
]
HEADERS = [b"", b"encoding latin-1\n", b"encoding UTF-8\n", b"encoding nonsense\n", b"gpgsig -----\n x\n", b"extra 1\n"]


@pytest.mark.parametrize("position", range(max(map(len, (PEOPLE, DATES, MESSAGES, HEADERS)))))
def test_commits_are_told_as_git_tells_them(clone: Clone, opened: Repository, position: int) -> None:
    before = clone.tip
    for kind, values in enumerate((PEOPLE, DATES, MESSAGES, HEADERS)):
        value = values[position % len(values)]
        person, date, message, headers = (
            value if kind == at else known[0] for at, known in enumerate((PEOPLE, DATES, [b"by hand\n"], HEADERS))
        )
        commit_raw(
            clone.path, committer=person + b" " + date, author=person + b" " + date, message=message, headers=headers
        )
    expected = as_git_tells(clone, before, clone.tip)
    assert opened.first_parent_history(before, clone.tip) == expected
    for commit in expected:
        assert opened.first_parent_history(commit.parent, commit.sha) == [commit]


@settings(max_examples=200)
@given(st.binary(max_size=80))
@example(b"\x00\t0A")  # of which GitPython asserts something
def test_what_is_no_commit_is_none(content: bytes) -> None:
    parse_commit(content)


def test_merges_and_folders_are_told_as_git_tells_them(clone: Clone, opened: Repository) -> None:
    before = clone.tip
    git(clone.path, "checkout", "-q", "-b", "side")
    clone.commit({"side": b"x", "deep/er/blip.json": b"2"})
    git(clone.path, "checkout", "-q", "main")
    git(clone.path, "rm", "-q", "-r", "deep")
    (clone.path / "clip.json").chmod(0o755)
    clone.commit({"deep": b"a file now", "link": b""})
    git(clone.path, "merge", "-q", "-s", "ours", "side")
    expected = as_git_tells(clone, before, clone.tip)
    assert len(expected) == 2
    assert recent_history(opened, before, clone.tip) == expected
    assert opened.relation(before, clone.tip) == "ahead"
    assert opened.relation(git(clone.path, "rev-parse", "side"), clone.tip) == "aside"
    assert opened.relation(clone.tip, before) == "rewritten"


def test_a_long_history_is_asked_of_git(clone: Clone, opened: Repository) -> None:
    before = clone.tip
    for number in range(12):
        clone.commit({"clip.json": str(number).encode()})
    assert recent_history(opened, before, clone.tip) is None
    assert opened.first_parent_history(before, clone.tip) == as_git_tells(clone, before, clone.tip)


# Trees


FILES = st.dictionaries(
    st.lists(st.sampled_from(["a", "a.b", "a0", "b", "ü"]), min_size=1, max_size=3).map("/".join),
    st.sampled_from([b"1", b"2"]),
    max_size=6,
)


def tree_of(clone: Clone, files: dict[str, bytes]) -> str:
    git_there = partial(git, clone.path, GIT_INDEX_FILE=str(clone.path / ".git/other-index"))
    git_there("read-tree", "--empty")
    for path, content in files.items():
        (clone.path / "content").write_bytes(content)
        blob = git(clone.path, "hash-object", "-w", str(clone.path / "content"))
        git_there("update-index", "--add", "--replace", "--cacheinfo", f"100644,{blob},{path}")
    return git_there("write-tree")


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(old=FILES, new=FILES)
def test_two_trees_differ_in_what_git_says_law(
    tmp_path_factory: pytest.TempPathFactory, old: dict[str, bytes], new: dict[str, bytes]
) -> None:
    check_trees(Clone.create(tmp_path_factory.mktemp("law") / "clone", {"x": b""}), old, new)


def check_trees(clone: Clone, old: dict[str, bytes], new: dict[str, bytes]) -> None:
    trees = [tree_of(clone, files) for files in (old, new)]
    with Repository(clone.path, "main") as opened:
        told = {
            each.path: (each.old and each.old.id, each.new and each.new.id) for each in changed_entries(opened, *trees)
        }
    lines = git(
        clone.path, "-c", "core.quotePath=false", "diff-tree", "-r", "--no-renames", "--no-abbrev", *trees
    ).splitlines()
    expected = {}
    for line in lines:
        about, path = line.split("\t")
        _, _, before, after, _ = about.split(" ")
        expected[path] = (before if int(before, 16) else None, after if int(after, 16) else None)
    assert told == expected


def test_two_trees_differ_in_what_git_says(clone: Clone) -> None:
    check_trees(clone, {"a": b"1", "b/a": b"1", "b/c": b"1", "d": b"1"}, {"a/b/c": b"1", "b": b"2", "d": b"1"})
    check_trees(clone, {}, {"a/b": b"1", "ü/a": b"2"})


# The work tree


def edit_nothing(clone: Clone) -> None:
    os.utime(clone.path / "clip.json")


def edit_file(clone: Clone) -> None:
    (clone.path / "clip.json").write_bytes(b"{ }\n")


def edit_index(clone: Clone) -> None:
    edit_file(clone)
    git(clone.path, "add", "clip.json")
    (clone.path / "clip.json").write_bytes(b"{}\n")


def remove_file(clone: Clone) -> None:
    (clone.path / "clip.json").unlink()


def link_file(clone: Clone) -> None:
    remove_file(clone)
    (clone.path / "same").write_bytes(b"{}\n")
    (clone.path / "clip.json").symlink_to("same")


def make_executable(clone: Clone) -> None:
    (clone.path / "clip.json").chmod(0o755)


def add_untracked(clone: Clone) -> None:
    (clone.path / "new").write_bytes(b"")


def ignore_untracked(clone: Clone) -> None:
    add_untracked(clone)
    (clone.path / ".git/info/exclude").write_text("new\n")


def leave_conflict(clone: Clone) -> None:
    blob = git(clone.path, "rev-parse", "HEAD:clip.json")
    lines = "".join(f"100644 {blob} {stage}\tnew\n" for stage in (1, 2, 3))
    raw_git(clone.path, "update-index", "--index-info", stdin=lines.encode())


@pytest.mark.parametrize(
    ("edit", "edited"),
    [
        (edit_nothing, []),
        (edit_file, ["clip.json"]),
        (edit_index, ["clip.json"]),
        (remove_file, ["clip.json"]),
        (link_file, ["clip.json"]),
        (make_executable, ["clip.json"]),
        (add_untracked, ["new"]),
        (ignore_untracked, ["new"]),
        (leave_conflict, ["new"]),
    ],
)
@pytest.mark.parametrize("version", ["2", "4"])
def test_local_edits_are_seen(
    clone: Clone, opened: Repository, edit: Callable[[Clone], None], edited: list[str], version: str
) -> None:
    git(clone.path, "update-index", "--index-version", version)
    edit(clone)
    assert local_edits(opened, ["clip.json", "deep/er/blip.json", "crlf", "new"]) == edited


def test_no_git_is_asked_of_what_is_as_committed(clone: Clone, opened: Repository, tmp_path: Path) -> None:
    with counted(tmp_path / "costs") as costs:
        assert local_edits(opened, ["clip.json", "deep/er/blip.json", "crlf", "new"]) == []
    assert costs.git == []


def test_a_file_that_the_index_knows_again_is_not_read(clone: Clone, opened: Repository) -> None:
    age_index(clone)
    with mock.patch.object(opened.work_files, "blob_of", side_effect=AssertionError("it is read")):
        assert local_edits(opened, ["clip.json", "deep/er/blip.json", "crlf"]) == []


def age_index(clone: Clone) -> None:
    """As if it had been written long behind the files; what changes from now on has another time."""
    ahead = time.time_ns() + 10**10
    os.utime(clone.path / ".git/index", ns=(ahead, ahead))
    probe, now = clone.path / ".git/probe", time.time_ns()

    def has_come() -> bool:
        probe.touch()
        return probe.stat().st_mtime_ns > now

    wait_for("the clock of files", has_come)


def write_as_long_at_the_same_time(clone: Clone) -> None:
    file = clone.path / "clip.json"
    before = file.stat()
    file.write_bytes(b"[]\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def write_as_committed(clone: Clone) -> None:
    (clone.path / "clip.json").write_bytes(b"{}\n")


def replace_by_another(clone: Clone) -> None:
    (clone.path / ".git/other").write_bytes(b"[]\n")
    shutil.copystat(clone.path / "clip.json", clone.path / ".git/other")
    (clone.path / ".git/other").replace(clone.path / "clip.json")


def stage_it(clone: Clone) -> None:
    git(clone.path, "add", "clip.json")


def refresh(clone: Clone) -> None:
    git(clone.path, "update-index", "-q", "--refresh", check=False)


def keep_mode(clone: Clone) -> None:
    (clone.path / "clip.json").chmod(0o644)


DONE = [
    edit_file,
    edit_nothing,
    write_as_long_at_the_same_time,
    write_as_committed,
    replace_by_another,
    stage_it,
    refresh,
    make_executable,
    keep_mode,
]


def clone_in_which(folder: Path, done: list[Callable[[Clone], None]]) -> Clone:
    clone = Clone.create(folder / "clone", {"clip.json": b"{}\n"})
    for each in done:
        each(clone)
    return clone


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(DONE), max_size=8))
def test_an_edit_is_seen_whatever_was_done_to_file_and_index_law(
    tmp_path_factory: pytest.TempPathFactory, done: list[Callable[[Clone], None]]
) -> None:
    clone = clone_in_which(tmp_path_factory.mktemp("law"), done)
    file, blob = clone.path / "clip.json", git(clone.path, "rev-parse", "HEAD:clip.json")
    is_staged = git(clone.path, "ls-files", "--stage", "clip.json") != f"100644 {blob} 0\tclip.json"
    is_edited = is_staged or file.read_bytes() != b"{}\n" or bool(file.stat().st_mode & 0o100)
    with Repository(clone.path, "main") as opened:
        assert local_edits(opened, ["clip.json"]) == (["clip.json"] if is_edited else [])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([age_index, *DONE]), max_size=8))
def test_a_file_that_the_index_knows_again_is_the_blob_that_it_says_law(
    tmp_path_factory: pytest.TempPathFactory, done: list[Callable[[Clone], None]]
) -> None:
    clone = clone_in_which(tmp_path_factory.mktemp("law"), done)
    file = clone.path / "clip.json"
    index = IndexFile(clone.path / ".git/index").read()
    assert index is not None
    assert not index.knows("clip.json", file.lstat()) or blob_id(file.read_bytes()) == index.entries["clip.json"].blob


@pytest.mark.parametrize("version", ["2", "4"])
def test_an_index_is_read_as_git_reads_it(clone: Clone, version: str) -> None:
    git(clone.path, "update-index", "--index-version", version)
    git(clone.path, "update-index", "--skip-worktree", "crlf")
    clone.write("ünïcode/" + "x" * 200, b"1")
    git(clone.path, "add", "--intent-to-add", "ünïcode")
    entries = read_entries((clone.path / ".git/index").read_bytes())
    assert entries is not None
    told = git(clone.path, "-c", "core.quotePath=false", "ls-files", "-t", "--stage", "--debug")
    for line in told.replace("\n  ", " ").splitlines():
        about, _, more = line.partition("\t")
        tag, mode, blob, _ = about.split(" ")
        path, _, stat = more.partition(" ctime:")
        entry = entries.pop(path)
        assert (entry.mode, entry.blob, entry.skip_worktree) == (int(mode, 8), blob, tag == "S")
        numbers = [int(number) for number in re.findall(r"(?<=[:\t ])\d+", stat)]
        assert entry.told == (*numbers[:-1],)
    assert entries == {}


def sparse_with_folders(clone: Clone) -> None:
    git(clone.path, "sparse-checkout", "set", "--cone", "--sparse-index", "other")


@pytest.mark.parametrize(
    "change",
    [
        leave_conflict,
        sparse_with_folders,
        lambda clone: git(clone.path, "update-index", "--split-index"),
        lambda clone: (clone.path / ".git/index").write_bytes((clone.path / ".git/index").read_bytes()[:50]),
        lambda clone: (clone.path / ".git/index").write_bytes(b""),
        lambda clone: (clone.path / ".git/index").write_bytes(b"DIRC\0\0\0\7\0\0\0\0" + b"x" * 20),
    ],
    ids=["conflict", "folders", "split", "cut off", "empty", "of another version"],
)
def test_another_index_is_asked_of_git(clone: Clone, opened: Repository, change: Callable[[Clone], object]) -> None:
    change(clone)
    assert opened.index.read() is None


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 400))
def test_what_is_no_index_is_none(content: bytes, count: int) -> None:
    for version in (2, 3, 4):
        read_entries(b"DIRC" + version.to_bytes(4) + count.to_bytes(4) + content)
    read_entries(content)


@pytest.mark.parametrize("version", ["2", "4"])
def test_entries_of_an_index_are_changed_as_git_does(clone: Clone, version: str) -> None:
    git(clone.path, "update-index", "--index-version", version)
    index, blob = clone.path / ".git/index", git(clone.path, "rev-parse", "main:clip.json")
    wanted = {"deep/er/blip.json": (0o100755, blob), "crlf": (0o100644, blob)}
    changed = with_blobs(index.read_bytes(), {path.encode(): Blob(*each) for path, each in wanted.items()})
    lines = "".join(f"{mode:o} {id}\t{path}\n" for path, (mode, id) in wanted.items())
    raw_git(clone.path, "update-index", "--index-info", stdin=lines.encode())
    told_by_git = git(clone.path, "ls-files", "--stage", "--debug")
    assert changed
    index.write_bytes(changed)
    assert git(clone.path, "ls-files", "--stage", "--debug") == told_by_git
    git(clone.path, "-c", "index.skipHash=false", "fsck", "--strict")
    assert "crlf" in git(clone.path, "diff", "--cached", "--name-only")


@pytest.mark.parametrize(
    ("options", "path"),
    [
        (["--split-index"], "crlf"),
        (["--force-untracked-cache"], "crlf"),
        (["--assume-unchanged", "crlf"], "crlf"),
        (["--skip-worktree", "crlf"], "crlf"),
        (["--refresh"], "new"),
    ],
)
def test_another_index_is_left_to_git(clone: Clone, options: list[str], path: str) -> None:
    git(clone.path, "update-index", *options)
    index = (clone.path / ".git/index").read_bytes()
    blob = Blob(0o100644, "1" * 40)
    assert with_blobs(index, {path.encode(): blob}) is None
    assert with_blobs(index[:50], {b"crlf": blob}) is with_blobs(index[:-1] + b"x", {b"crlf": blob}) is None


# Settings


def test_settings_are_asked_again_once_their_files_have_changed(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_settings, "is_young", lambda identity: False)
    machine, asked = tmp_path / "gitconfig", 0
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(machine))

    def seen(key: str) -> str | None:
        with Repository(clone.path, "main") as opened:
            return opened.setting(key)

    def ask(*arguments: object, **more: object) -> GitResult:
        nonlocal asked
        asked += 1
        return run_git(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(repository, "run_git", ask)
    assert (seen("x.y"), seen("x.y"), asked) == (None, None, 1)
    git(clone.path, "config", "x.y", "1")
    assert (seen("x.y"), seen("x.y"), asked) == ("1", "1", 2)
    machine.write_text("[x]\n\tz = 2\n")
    assert (seen("x.z"), seen("x.z"), asked) == ("2", "2", 3)
    machine.write_text("[x]\n\tz = 3\n")
    assert (seen("x.z"), seen("x.z"), asked) == ("3", "3", 4)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    assert (seen("x.z"), seen("x.z"), asked) == (None, None, 5)
    git(clone.path, "config", "include.path", str(machine))
    assert (seen("x.z"), seen("x.z"), asked) == ("3", "3", 7)


# Refs


def test_refs_are_read_and_written_as_git_does(clone: Clone) -> None:
    folder, ref = clone.path / ".git", "refs/refsync/built/1"
    assert read_ref(folder, "refs/heads/main") == clone.tip
    write_ref(folder, ref, clone.tip)
    assert git(clone.path, "rev-parse", ref) == clone.tip
    git(clone.path, "pack-refs", "--all")
    assert not (folder / ref).exists()
    assert read_ref(folder, ref) == read_ref(folder, "refs/heads/main") == clone.tip
    assert refs_under(folder, "refs/refsync/") == [ref]
    assert not delete_ref(folder, ref)
    git(clone.path, "update-ref", "-d", ref)
    write_ref(folder, ref, clone.tip)
    assert delete_ref(folder, ref)
    assert git(clone.path, "for-each-ref", "refs/refsync") == ""
    assert not list(folder.rglob("*.lock"))


@pytest.mark.parametrize("packed", [False, True])
def test_refs_are_found_whatever_they_are_called(clone: Clone, packed: bool) -> None:
    folder, names = clone.path / ".git", ["of/main", "of/main2", "of/a\u2028b", "of/deep/er", "off"]
    for name in names:
        git(clone.path, "update-ref", f"refs/odd/{name}", clone.tip)
    if packed:
        git(clone.path, "pack-refs", "--all")
    (folder / "refs/odd/of").mkdir(parents=True, exist_ok=True)
    (folder / "refs/odd/of/main.lock").touch()
    assert refs_under(folder, "refs/odd/of/") == sorted(f"refs/odd/{name}" for name in names[:-1])
    assert {read_ref(folder, f"refs/odd/{name}") for name in names} == {clone.tip}
    assert read_ref(folder, "refs/odd/of/mai") is None


def test_a_ref_that_git_is_writing_is_left_alone(clone: Clone) -> None:
    folder, ref = clone.path / ".git", "refs/refsync/built/1"
    write_ref(folder, ref, clone.tip)
    (folder / f"{ref}.lock").touch()
    for change in (lambda: write_ref(folder, ref, clone.tip), lambda: delete_ref(folder, ref)):
        with pytest.raises(FileExistsError):
            change()
    assert read_ref(folder, ref) == clone.tip
    assert (folder / f"{ref}.lock").exists()
