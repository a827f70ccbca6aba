"""What cannot be written refuses the landing: nothing has moved, no lock is left, and what mends it is taken."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from refsync.clone.git_locks import clear_left_behind
from refsync.clone.landing import index_locked, land
from refsync.clone.recovery import finish_interrupted_landing
from refsync.clone.repository import Repository
from refsync.errors import CloneError, GitCommandError, LandingRefusedError, RefsyncError
from refsync.pending_queue.models import PendingChangeStatus
from tests.support.dying import ended_by, failing_at_durable_step
from tests.support.published import PublishedReference
from tests.support.reference import Reference
from tests.support.repositories import Clone, git

TOO_LONG = "n" * 256


@pytest.fixture
def clone(tmp_path: Path, bare_git: None) -> Clone:
    return Clone.create(tmp_path / "clone", {"clip.json": {"a": {}}, "deep/blip.json": {"b": {}}, "old/x.json": {}})


def commit_of(clone: Clone, *entries: tuple[str, str, bytes]) -> str:
    """A commit on the tip with these modes, paths and contents, whatever a file system would say to them."""
    index = {"GIT_INDEX_FILE": str(clone.path / ".git/other")}
    git(clone.path, "read-tree", clone.tip, check=True, **index)
    for mode, path, content in entries:
        blob = clone.path.parent / "blob"
        blob.write_bytes(content)
        name = clone.tip if mode == "160000" else git(clone.path, "hash-object", "-w", "--no-filters", str(blob))
        git(
            clone.path,
            "update-index",
            "--add",
            "--replace",
            "--cacheinfo",
            f"{mode},{name},{path}",
            check=True,
            **index,
        )
    tree = git(clone.path, "write-tree", check=True, **index)
    (clone.path / ".git/other").unlink()
    return git(clone.path, "commit-tree", tree, "-p", clone.tip, "-m", "theirs")


def land_it(clone: Clone, commit: str) -> None:
    with Repository(clone.path, "main") as opened, index_locked(opened) as lock:
        land(lock, old=clone.tip, new=commit, reason="refsync: follow")


def refused(clone: Clone, commit: str) -> str:
    """Why the commit cannot land; nothing has moved and nothing is left."""
    tip, index = clone.tip, (clone.path / ".git/index").read_bytes()
    with pytest.raises(LandingRefusedError) as raised:
        land_it(clone, commit)
    assert (clone.tip, (clone.path / ".git/index").read_bytes()) == (tip, index)
    assert left_behind(clone) == []
    assert "\n" not in str(raised.value)
    return str(raised.value)


def left_behind(clone: Clone) -> list[str]:
    found = (path.relative_to(clone.path) for path in clone.path.rglob("*"))
    return sorted(str(path) for path in found if "refsync" in path.name or path.name.endswith(".lock"))


@pytest.mark.parametrize("path", [TOO_LONG, f"deep/{TOO_LONG}", "/".join(["d" * 200] * 30)])
def test_a_name_that_the_file_system_does_not_take(clone: Clone, path: str) -> None:
    said = refused(clone, commit_of(clone, ("100644", "clip.json", b"{}\n"), ("100644", path, b"x")))
    assert "cannot be written: File name too long" in said
    assert path[:100] in said
    assert clone.status == ""
    mended = commit_of(clone, ("100644", "clip.json", b'{"mended": {}}\n'))
    land_it(clone, mended)
    assert (clone.tip, clone.status) == (mended, "")


def test_a_folder_that_holds_a_persons_files_where_a_file_should_go(clone: Clone) -> None:
    (clone.path / "folder").mkdir()
    clone.write("folder/mine", b"mine\n")
    (clone.path / ".git/info/exclude").write_text("mine\n")
    with pytest.raises(CloneError, match="folder"):
        land_it(clone, commit_of(clone, ("100644", "folder", b"x")))
    assert clone.read("folder/mine") == b"mine\n"
    assert left_behind(clone) == []


def test_a_submodule_that_a_person_has_filled_where_a_file_should_go(clone: Clone) -> None:
    land_it(clone, commit_of(clone, ("160000", "module", b"")))
    clone.write("module/inner", b"inner\n")
    said = refused(clone, commit_of(clone, ("100644", "module", b"x")))
    assert "module comes where a folder stands that holds module/inner; move that away" in said
    (clone.path / "module/inner").unlink()
    land_it(clone, commit_of(clone, ("100644", "module", b"x")))
    assert clone.read("module") == b"x"
    land_it(clone, commit_of(clone, ("160000", "module", b"")))
    assert (clone.path / "module").is_dir()
    assert left_behind(clone) == []


def test_a_path_that_git_takes_for_none(clone: Clone) -> None:
    tip = clone.tip
    blob = git(clone.path, "rev-parse", "HEAD:clip.json")
    tree = (
        subprocess.run(
            ["git", "-C", str(clone.path), "hash-object", "-w", "-t", "tree", "--literally", "--stdin"],
            input=b"100644 ../evil\0" + bytes.fromhex(blob),
            capture_output=True,
            check=True,
        )
        .stdout.decode()
        .strip()
    )
    commit = git(clone.path, "commit-tree", tree, "-p", tip, "-m", "evil")
    with pytest.raises((GitCommandError, LandingRefusedError)):
        land_it(clone, commit)
    assert (clone.tip, clone.status, left_behind(clone)) == (tip, "", [])
    assert not (clone.path.parent / "evil").exists()


def test_a_folder_that_may_not_be_written(clone: Clone) -> None:
    commit = commit_of(clone, ("100644", "deep/blip.json", b"{}\n"))
    (clone.path / "deep").chmod(0o555)

    def as_somebody() -> None:
        assert "deep/blip.json cannot be written: Permission denied" in refused(clone, commit)

    if os.geteuid() == 0:
        as_user(clone, as_somebody)
    else:
        as_somebody()
    (clone.path / "deep").chmod(0o755)
    assert (clone.status, left_behind(clone)) == ("", [])


def as_user(clone: Clone, work: object) -> None:
    """Do it as a user who owns the clone and is not root."""
    for path in (clone.path, *clone.path.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    for folder in clone.path.parents:
        if len(folder.parts) > 2:
            folder.chmod(0o755)

    def working() -> None:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        work()  # type: ignore[operator]

    code = ended_by(working)
    for path in (clone.path, *clone.path.rglob("*")):
        os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)
    assert code == 0


@pytest.fixture
def tiny(tmp_path: Path, bare_git: None) -> Iterator[Clone]:
    """A clone on a disk of its own, with little room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tiny", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield Clone.create(folder / "clone", {"clip.json": {"a": {}}})
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(tiny: Clone) -> None:
    commit = commit_of(tiny, ("100644", "clip.json", b"{}\n" * 10), ("100644", "big.bin", os.urandom(300_000)))
    filler = tiny.path.parent / "filler"
    room = os.statvfs(tiny.path).f_bavail * os.statvfs(tiny.path).f_frsize
    filler.write_bytes(b"x" * (room - 100_000))
    said = refused(tiny, commit)
    assert "big.bin cannot be written: No space left on device" in said
    filler.unlink()
    land_it(tiny, commit)
    assert (tiny.tip, tiny.status, left_behind(tiny)) == (commit, "", [])


@pytest.mark.parametrize("number", [errno.ENOSPC, pytest.param(errno.EPERM, marks=pytest.mark.slow)])
def test_any_step_may_fail_and_the_next_pass_finds_it_whole_or_not_begun(clone: Clone, number: int) -> None:
    old = clone.tip
    commit = commit_of(
        clone, ("100644", "clip.json", b"{}\n"), ("100644", "deep/blip.json", b"{}\n"), ("100755", "new/tool", b"#!\n")
    )
    step, ends = 1, []
    while True:

        def work() -> None:
            try:
                land_it(clone, commit)
            except (RefsyncError, OSError):
                os._exit(0)

        came = failing_at_durable_step(work, step, number)
        with Repository(clone.path, "main") as opened:
            clear_left_behind(opened)
            finish_interrupted_landing(opened)
        assert clone.tip in (old, commit)
        assert git(clone.path, "status", "--porcelain", "--ignored") == ""
        assert left_behind(clone) == []
        ends.append(clone.tip)
        if not came:
            break
        git(clone.path, "reset", "-q", "--hard", old)
        step += 1
    assert {*ends} == {old, commit}
    assert ends[-1] == commit


# In a pass


def test_a_batch_that_cannot_be_written_is_held_and_lands_when_it_can(tmp_path: Path, bare_git: None) -> None:
    reference = Reference(tmp_path)
    change = reference.create("new", {"version": "1"})
    clip = reference.clone.path / "clip.json"
    shown = subprocess.run(["chattr", "+i", str(clip)], capture_output=True)
    if shown.returncode:
        pytest.skip("no file can be made immutable here")
    try:
        report = reference.sync_image()
        assert report.problem is None
        (held,) = report.held
        assert f"{clip} cannot be written: Operation not permitted" in held.reason
        assert not (reference.clone.path / ".git/index.lock").exists()
        assert reference.clone.status == ""
    finally:
        subprocess.run(["chattr", "-i", str(clip)], check=True)
    assert reference.sync_image().held == []
    assert reference.change(change).status == PendingChangeStatus.APPLIED
    assert reference.clone.status == ""
    reference.close()


def test_a_batch_that_stays_refused_makes_nothing_more_and_is_told_once(tmp_path: Path, bare_git: None) -> None:
    reference = Reference(tmp_path)
    reference.create("new", {"version": "1"})
    clip = reference.clone.path / "clip.json"
    if subprocess.run(["chattr", "+i", str(clip)], capture_output=True).returncode:
        pytest.skip("no file can be made immutable here")
    told: list[str] = []
    sink = logger.add(lambda message: told.append(str(message)), format="{message}", level="WARNING")
    try:
        assert reference.sync().may_pass
        before = objects_in(reference.clone)
        for _ in range(3):
            assert reference.sync().may_pass
        assert objects_in(reference.clone) == before
        assert len([line for line in told if "batch 1: held: " in line]) == 1
    finally:
        logger.remove(sink)
        subprocess.run(["chattr", "-i", str(clip)], check=True)
    assert not reference.sync().may_pass
    reference.close()


def objects_in(clone: Clone) -> str:
    return git(clone.path, "count-objects")


def test_a_commit_that_cannot_be_followed_is_told_and_one_that_mends_it_is_taken(
    tmp_path: Path, bare_git: None
) -> None:
    published = PublishedReference(tmp_path, "push")
    person = Clone(published.person.path)
    bad = commit_of(person, ("100644", TOO_LONG, b"x"))
    git(person.path, "push", "-q", "origin", f"{bad}:main")
    before = published.clone.tip
    for _ in range(2):
        report = published.sync_image()
        assert report.problem is not None
        assert "File name too long" in report.problem
        assert (published.clone.tip, published.clone.status, left_behind(published.clone)) == (before, "", [])
    git(person.path, "push", "-q", "--force", "origin", "main")
    published.person.push({"clip.json": {"mended": {"version": "1"}}})
    change = published.create("new", {"version": "1"})
    assert published.sync_image().problem is None
    assert published.change(change).status == PendingChangeStatus.APPLIED
    assert published.in_step()
    published.close()
