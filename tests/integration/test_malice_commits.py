"""No commit, whatever is in it, keeps a clone from following what comes after it."""

from __future__ import annotations

import hashlib
import resource
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from refsync.clone.process import MOST_MEMORY_BYTES, end_git, start_git
from refsync.clone.remotes import Remote, fetch
from refsync.clone.repository import Repository
from refsync.clone.tree_walk import changed_entries
from refsync.errors import CloneError, RemoteRefusedError
from refsync.regular_files import LARGEST_FILE_BYTES
from tests.support.published import PublishedReference
from tests.support.repositories import clean_environment, git

GOOD = {"alpha": {"version": "9"}, "beta": {"version": "1"}}

pytestmark = pytest.mark.usefixtures("bare_git")


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[PublishedReference]:
    made = PublishedReference(tmp_path, "push")
    made.sync()
    yield made
    made.close()


def written(folder: Path, kind: str, content: bytes) -> str:
    """An object as git would not make it."""
    whole = b"%s %d\0%s" % (kind.encode(), len(content), content)
    name = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
    place = folder / ".git/objects" / name[:2] / name[2:]
    place.parent.mkdir(exist_ok=True)
    if not place.exists():
        place.write_bytes(zlib.compress(whole))
    return name


def tree(folder: Path, *entries: tuple[str, str, str]) -> str:
    packed = (f"{mode} {name}".encode() + b"\0" + bytes.fromhex(id) for mode, name, id in entries)
    return written(folder, "tree", b"".join(packed))


def pushed(reference: PublishedReference, root: str) -> str:
    """A commit of a tree on what the remote has, pushed there."""
    here = reference.person.path
    git(here, "fetch", "-q", "origin")
    parent = git(here, "rev-parse", "origin/main")
    commit = git(here, "commit-tree", root, "-p", parent, "-m", "malice")
    git(here, "push", "-q", "origin", f"{commit}:refs/heads/main")
    git(here, "update-ref", "refs/heads/main", commit)
    return commit


def with_entry(reference: PublishedReference, mode: str, name: str, id: str) -> str:
    """The person's newest tree, with one entry more or another one."""
    listed = git(reference.person.path, "ls-tree", "HEAD").splitlines()
    entries = [(line.split()[0], line.partition("\t")[2], line.split()[2]) for line in listed]
    kept = [(m.lstrip("0"), n, i) for m, n, i in entries if n != name]
    return tree(reference.person.path, *sorted([*kept, (mode, name, id)], key=lambda entry: entry[1].encode()))


def mended(reference: PublishedReference) -> None:
    """Somebody puts it right again, and the clone follows."""
    here = reference.person.path
    root = git(here, "rev-parse", "main~1^{tree}")
    blob = written(here, "blob", b'{"alpha": {"version": "9"}, "beta": {"version": "1"}}\n')
    git(here, "read-tree", root)
    git(here, "update-index", "--add", "--cacheinfo", f"100644,{blob},clip.json")
    pushed(reference, git(here, "write-tree"))
    report = reference.sync_image()
    assert report.problem is None, report.problem
    assert reference.clone.tip == reference.remote.tip
    assert reference.clone.records("clip.json") == GOOD
    change = reference.update("beta", {"version": "10"})
    reference.sync()
    assert reference.change(change).status == "applied"
    reference.assert_counted()


def as_submodule(reference: PublishedReference) -> str:
    return with_entry(reference, "160000", "clip.json", "1" * 40)


def as_folder(reference: PublishedReference) -> str:
    here = reference.person.path
    return with_entry(reference, "40000", "clip.json", tree(here, ("100644", "x", written(here, "blob", b"x"))))


def as_link(reference: PublishedReference) -> str:
    return with_entry(reference, "120000", "clip.json", written(reference.person.path, "blob", b"/etc/passwd"))


def too_large(reference: PublishedReference) -> str:
    blob = written(reference.person.path, "blob", b" " * (LARGEST_FILE_BYTES + 1))
    return with_entry(reference, "100644", "clip.json", blob)


def too_long_a_name(reference: PublishedReference) -> str:
    return with_entry(reference, "100644", "n" * 300, written(reference.person.path, "blob", b"x"))


def a_bomb(reference: PublishedReference) -> str:
    """A few small trees that stand for ten million files."""
    here = reference.person.path
    blob = written(here, "blob", b"x")
    inner = tree(here, *(("100644", f"f{n}", blob) for n in range(10)))
    for _ in range(6):
        inner = tree(here, *(("40000", f"d{n}", inner) for n in range(10)))
    return with_entry(reference, "40000", "bomb", inner)


def too_deep(reference: PublishedReference) -> str:
    here = reference.person.path
    inner = tree(here, ("100644", "f", written(here, "blob", b"x")))
    for _ in range(1500):
        inner = tree(here, ("40000", "d", inner))
    return with_entry(reference, "40000", "deep", inner)


@pytest.mark.parametrize("harm", [as_submodule, as_folder, as_link, too_large, too_long_a_name, a_bomb, too_deep])
def test_newer_tips_go_on_after(reference: PublishedReference, harm: Callable[[PublishedReference], str]) -> None:
    pushed(reference, harm(reference))
    reference.sync_image()  # taken, or told: never a bug
    reference.sync_image()
    mended(reference)


@pytest.mark.parametrize(
    ("name", "fault"),
    [(".git", "hasDotgit"), (".g\u200cit", "hasDotgit"), ("..", "hasDotdot"), ("a/b", "fullPathname")],
)
def test_a_malformed_tree_is_not_taken_and_told(reference: PublishedReference, name: str, fault: str) -> None:
    here = reference.person.path
    root = with_entry(reference, "40000", name, tree(here, ("100644", "x", written(here, "blob", b"x"))))
    commit = git(here, "commit-tree", root, "-p", "HEAD", "-m", "malice")
    git(here, "push", "-q", "origin", f"{commit}:refs/heads/main")
    with Repository(reference.clone.path, "main") as clone, pytest.raises(RemoteRefusedError) as refused:
        fetch(clone, Remote(), ["+refs/heads/main:refs/remotes/origin/main"])
    assert f"it holds a malformed object, which is not taken: {root} ({fault}: " in str(refused.value)
    git(reference.remote.path, "update-ref", "refs/heads/main", f"{commit}^")
    assert reference.sync_image().problem is None


def test_a_walk_at_some_paths_ends_where_a_bomb_begins(reference: PublishedReference) -> None:
    here, before = reference.person.path, git(reference.person.path, "rev-parse", "HEAD^{tree}")
    bomb = a_bomb(reference)
    with Repository(here, "main") as clone:
        assert list(changed_entries(clone, before, bomb, ["clip.json", "legacy/x.json"])) == []
        with pytest.raises(CloneError, match="more than 100000 files"):
            list(changed_entries(clone, before, bomb))


def test_git_gets_so_much_memory_and_no_more(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    process = start_git(tmp_path, "cat-file", "--batch", environment=clean_environment())
    try:
        assert resource.prlimit(process.pid, resource.RLIMIT_AS)[0] == MOST_MEMORY_BYTES
    finally:
        end_git(process)
