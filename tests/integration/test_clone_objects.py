"""An object is read whole or not at all, whatever becomes of the git that gives it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from refsync.clone.cat_file import CatFile
from refsync.clone.objects import TreeEntry, blob_id, new_tree, parse_tree
from refsync.clone.repository import Repository
from refsync.errors import GitCommandError, GitInterruptedError, GitTimeoutError
from tests.support.repositories import Clone, git

CONTENTS = {"clip.json": b"{}\n", "empty": b"", "big": b"x" * 3_000_000, "lines": b"a\n\nb", "zeros": b"\0\n\0"}


@pytest.fixture
def clone(tmp_path: Path, bare_git: None) -> Clone:
    return Clone.create(tmp_path / "clone", CONTENTS)


@pytest.fixture
def opened(clone: Clone) -> Iterator[Repository]:
    with Repository(clone.path, "main") as repository:
        yield repository


def blob(clone: Clone, name: str) -> str:
    return git(clone.path, "rev-parse", f"HEAD:{name}")


def test_every_content_is_read_as_it_is(clone: Clone, opened: Repository) -> None:
    for name, content in CONTENTS.items():
        assert opened.read_blob(blob(clone, name)) == content
        assert blob_id(content) == blob(clone, name)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "printf '%s blob 3000000\\n' $id",
        "printf '%s blob 3000000\\nxxx' $id",
        "printf '%s blob 30' $id",
        "printf '%s blob 3\\nabc' $id",
    ],
)
@pytest.mark.parametrize("end", ["kill -9 $$", "exit 0"])
def test_a_git_that_dies_before_it_has_given_all_is_no_empty_file(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str, end: str
) -> None:
    wanted = blob(clone, "big")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\nread id\n{answer}\n{end}\n")
    (folder / "git").chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        with CatFile(clone.path, 20.0) as reader, pytest.raises(GitInterruptedError, match="cat-file was killed"):
            reader.read(wanted)
    with CatFile(clone.path, 20.0) as reader:
        found = reader.read(wanted)
        assert found is not None
        assert found.content == CONTENTS["big"]


def test_a_reader_goes_on_with_a_new_git_after_the_old_one_was_killed(clone: Clone) -> None:
    wanted = blob(clone, "clip.json")
    with CatFile(clone.path, 20.0) as reader:
        _goes_on(reader, wanted)


def _goes_on(reader: CatFile, wanted: str) -> None:
    assert reader.read(wanted)
    for child in psutil.Process().children():
        if "cat-file" in child.cmdline():
            child.kill()
            child.wait()
    with pytest.raises(GitInterruptedError):
        reader.read(wanted)
    assert reader.read(wanted)


def test_a_git_that_hangs_is_given_up(clone: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text("#!/bin/sh\nsleep 60\n")
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with CatFile(clone.path, 0.1) as reader, pytest.raises(GitTimeoutError, match="did not answer within"):
        reader.read("HEAD")


def test_an_object_that_is_missing_or_damaged_is_told(clone: Clone, opened: Repository) -> None:
    wanted = blob(clone, "big")
    file = clone.path / ".git/objects" / wanted[:2] / wanted[2:]
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(GitCommandError):
        opened.read_blob(wanted)
    file.unlink()
    with pytest.raises(GitCommandError, match=f"cannot read blob {wanted}: it is missing; run: git -C .* fsck"):
        opened.read_blob(wanted)


def test_trees_are_written_as_they_were_read(clone: Clone, opened: Repository) -> None:
    clone.commit({"a/b": b"", "a.b": b"", "a0": b"", "ab/c": b"x"})
    found = CatFile(clone.path, 20.0)
    with found:
        tree = found.read("HEAD^{tree}")
    assert tree is not None
    entries = parse_tree(tree.content)
    assert new_tree(dict(reversed(entries.items()))).content == tree.content
    assert entries["a"] == TreeEntry(0o40000, git(clone.path, "rev-parse", "HEAD:a"))
