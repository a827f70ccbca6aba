"""Objects are read in process as git has them, however they are stored; what cannot be, git is asked for."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from refsync.clone.object_database import ObjectDatabase, store_durably
from refsync.clone.objects import new_object
from refsync.clone.repository import Repository
from refsync.errors import RefsyncError
from tests.support.costs import counted
from tests.support.repositories import Clone, git

VERSIONS = [b"".join(b"line %d of %d\n" % (line, version) for line in range(200)) for version in range(12)]


@pytest.fixture
def clone(tmp_path: Path, bare_git: None) -> Clone:
    """A file in twelve versions, as loose objects."""
    clone = Clone.create(tmp_path / "clone", {"clip.json": VERSIONS[0]})
    for version in VERSIONS[1:]:
        clone.commit({"clip.json": version})
    return clone


@pytest.fixture
def opened(clone: Clone) -> Iterator[Repository]:
    with Repository(clone.path, "main") as repository:
        yield repository


def blobs(clone: Clone) -> list[str]:
    return git(clone.path, "log", "--reverse", "--format=", "--raw", "--no-abbrev").split()[3::6]


def read_all(opened: Repository, clone: Clone) -> list[bytes]:
    return [opened.read_blob(blob) for blob in blobs(clone)]


def mapped_packs() -> list[str]:
    return [each.path for each in psutil.Process().memory_maps() if each.path.endswith((".pack", ".idx"))]


def test_loose_objects_are_read_without_git(clone: Clone, opened: Repository, tmp_path: Path) -> None:
    wanted = blobs(clone)
    with counted(tmp_path / "costs") as costs:
        assert [opened.read_blob(blob) for blob in wanted] == VERSIONS
        assert opened.file_at(opened.tip(), "clip.json") is not None
    assert costs.git == []


@pytest.mark.parametrize("repack", ["-adfq --depth=2", "-adfq --depth=50", "-adfq --no-write-bitmap-index"])
def test_packed_objects_are_read_with_their_differences(clone: Clone, opened: Repository, repack: str) -> None:
    git(clone.path, "repack", *repack.split())
    assert read_all(opened, clone) == VERSIONS


def test_borrowed_objects_are_read_too(clone: Clone, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--shared", str(clone.path), "borrower")
    git(clone.path, "repack", "-adq")
    with Repository(tmp_path / "borrower", "main") as opened, counted(tmp_path / "costs") as costs:
        assert opened.read_blob(git(clone.path, "rev-parse", "HEAD:clip.json")) == VERSIONS[-1]
        assert costs.git == []


def test_packs_that_are_replaced_meanwhile_break_no_reader(clone: Clone, opened: Repository) -> None:
    for options in ("-dq", "-adfq", "-adfq --depth=1"):
        assert read_all(opened, clone) == VERSIONS
        git(clone.path, "repack", *options.split())
        git(clone.path, "prune-packed")
    clone.commit({"clip.json": b"new"})
    git(clone.path, "repack", "-dq")
    assert opened.read_blob(git(clone.path, "rev-parse", "HEAD:clip.json")) == b"new"
    assert read_all(opened, clone)[:-1] == VERSIONS


def test_a_clone_that_is_closed_holds_neither_child_nor_descriptor_nor_mapping(clone: Clone) -> None:
    git(clone.path, "repack", "-adfq", "--depth=50")
    process = psutil.Process()
    before = process.num_fds(), process.children()
    for _ in range(3):
        with Repository(clone.path, "main") as opened:
            assert read_all(opened, clone) == VERSIONS
            assert mapped_packs()
        assert mapped_packs() == []
    assert (process.num_fds(), process.children()) == before


def test_two_readers_do_not_take_each_others_packs_away(clone: Clone) -> None:
    git(clone.path, "repack", "-adq")
    with Repository(clone.path, "main") as first:
        with Repository(clone.path, "main") as second:
            assert read_all(first, clone) == read_all(second, clone)
        assert read_all(first, clone) == VERSIONS
    assert mapped_packs() == []


@pytest.mark.parametrize(
    "content", [b"", b"x", zlib.compress(b"blob 3\0abc"), zlib.compress(b"blob 9\0abc"), b"\0" * 99]
)
def test_what_does_not_have_its_id_is_not_believed(clone: Clone, opened: Repository, content: bytes) -> None:
    wanted = blobs(clone)[0]
    file = clone.path / ".git/objects" / wanted[:2] / wanted[2:]
    file.chmod(0o644)
    file.write_bytes(content)
    database = ObjectDatabase(clone.path / ".git/objects")
    assert database.read(wanted) is None
    database.close()
    with Repository(clone.path, "main", timeout_seconds=1.0) as opened, pytest.raises(RefsyncError):
        opened.read_blob(wanted)  # of one that is too short git sends the rest never


def test_what_a_partial_clone_lacks_is_asked_of_git(clone: Clone, tmp_path: Path) -> None:
    git(clone.path, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{clone.path}", "partial")
    with Repository(tmp_path / "partial", "main") as opened:
        assert read_all(opened, clone) == VERSIONS


def test_settings_of_the_clone_say_nothing_to_a_reader(clone: Clone, opened: Repository) -> None:
    (clone.path / ".git/config").write_text("[include\nthis is no config")
    wanted = git(clone.path, "hash-object", "--no-filters", "clip.json", check=False) or blob_of(VERSIONS[-1])
    assert opened.read_blob(wanted) == VERSIONS[-1]


def blob_of(content: bytes) -> str:
    return new_object("blob", content).id


def test_written_objects_are_those_of_git(clone: Clone) -> None:
    objects = clone.path / ".git/objects"
    new = [new_object("blob", content) for content in (b"", b"text", b"\0" * 100_000, os.urandom(5000))]
    store_durably(objects, new)
    store_durably(objects, new)
    for each in new:
        assert git(clone.path, "cat-file", "-s", each.id) == str(len(each.content))
    assert git(clone.path, "fsck", "--strict", "--no-dangling") == ""


def test_a_group_keeps_what_it_may_do(clone: Clone) -> None:
    objects = clone.path / ".git/objects"
    objects.chmod(0o2770)
    contents = (new_object("blob", str(number).encode()) for number in range(1000))
    new = next(each for each in contents if not (objects / each.id[:2]).exists())
    store_durably(objects, [new])
    assert (objects / new.id[:2]).stat().st_mode & 0o7777 == 0o2770
    assert (objects / new.id[:2] / new.id[2:]).stat().st_mode & 0o777 == 0o440
