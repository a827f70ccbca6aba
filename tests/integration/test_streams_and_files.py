"""Streams that are closed, and files and repositories that are not as they should be: one line each."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command_line import Desk
from tests.support.daemon import Site, image_clone
from tests.support.repositories import Clone, clean_environment, git

MOUNTS = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None, reason="only root can mount something to be read only"
)


@pytest.fixture
def desk(tmp_path: Path, bare_git: None) -> Desk:
    return Desk.at(tmp_path)


def shell(desk: Desk, command: str, streams: str) -> subprocess.CompletedProcess[str]:
    """Run a command line of refsync as a shell does, with these streams."""
    program = shlex.join([sys.executable, "-m", "refsync.cli.main", "--config", str(desk.config)])
    return subprocess.run(
        ["bash", "-c", f"{program} {command} {streams}"],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


# Streams


@pytest.mark.parametrize("streams", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("command", "code"), [("sync", 0), ("queue show 99", 1)])
def test_a_closed_stream_leads_nowhere(desk: Desk, command: str, code: int, streams: str) -> None:
    done = shell(desk, command, streams)
    assert done.returncode == code
    assert "Traceback" not in done.stdout + done.stderr


def test_nothing_is_written_into_the_file_that_would_take_the_place_of_a_closed_stream(desk: Desk) -> None:
    assert desk("queue", "list").done
    before = (desk.state / "queue.db").read_bytes()
    assert shell(desk, "queue show 99", "2>&- >&-").returncode == 1
    assert (desk.state / "queue.db").read_bytes() == before


@pytest.mark.parametrize("streams", [">/dev/full", "2>&1 >/dev/full", "| true", "2>&1 | true"])
def test_an_output_that_takes_nothing_is_no_bug(desk: Desk, streams: str) -> None:
    done = shell(desk, "status", streams)
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stdout + done.stderr
    assert "Exception ignored" not in done.stderr


def test_the_daemon_serves_without_its_streams(desk: Desk) -> None:
    change = desk.add("create", "new", {"name": "new"})
    assert desk("queue", "approve", change, "--title", "Batch").done
    shell(desk, "run", "<&- >&- 2>&- & for i in $(seq 300); do "
          f"grep -q '\"new\"' {shlex.quote(str(desk.clone.path / 'clip.json'))} && break; sleep 0.1; done; "
          "kill -TERM $!; wait $!")  # fmt: skip
    assert "new" in desk.clone.records("clip.json")


# A state directory that may only be read


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    mounted = subprocess.run(["mount", "--bind", str(place), str(place)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


READS: tuple[tuple[str | int, ...], ...] = (
    ("status",),
    ("queue", "list"),
    ("queue", "show", 1),
    ("queue", "diff", 1),
    ("queue", "export"),
    ("batch", "list"),
    ("metadata", "show"),
    ("metadata", "verify"),
    ("model", "history", "clip", "old"),
)
WRITES: tuple[tuple[str | int, ...], ...] = (
    ("sync",),
    ("run",),
    ("metadata", "rebuild"),
    ("queue", "approve", 1, "--title", "Batch"),
    ("queue", "add", "delete", "clip", "old"),
)


@MOUNTS
def test_what_reads_reads_a_state_directory_that_is_mounted_to_be_read_only(desk: Desk) -> None:
    assert desk("sync").done
    assert desk.add("create", "new", {"name": "new"}) == 1
    with read_only(desk.state):
        for command in READS:
            assert desk(*command).done
        for command in WRITES:
            assert str(desk.state) in desk(*command).refusal


@MOUNTS
@pytest.mark.parametrize("file", ["queue.db", "pass.lock", "image/meta/position.json"])
def test_a_file_of_the_state_that_may_not_be_written_is_named_by_run_at_once(tmp_path: Path, file: str) -> None:
    site = Site(tmp_path)
    image_clone(site.clone.path)
    assert site.run("sync").returncode == 0
    with read_only(site.state / file):
        assert site.run("status").returncode == 0
        done = site.run("run")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert str(site.state / file) in line


# Disks that lack what others have


LACKING = {
    "hard links": "int link(const char *a, const char *b) { errno = EPERM; return -1; }"
    "int linkat(int a, const char *b, int c, const char *d, int e) { errno = EPERM; return -1; }",
    "file locks": "int flock(int a, int b) { errno = ENOLCK; return -1; }",
}


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to make such a disk with")
@pytest.mark.parametrize("what", LACKING)
@pytest.mark.parametrize("command", ["sync", "run"])
def test_a_disk_that_lacks_something_is_named_with_what_it_lacks(desk: Desk, what: str, command: str) -> None:
    """As some network mounts are; a library makes the process find it so."""
    source, library = desk.folder / "lacking.c", desk.folder / "lacking.so"
    source.write_text(f"#include <errno.h>\n{LACKING[what]}\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "refsync.cli.main", "--config", str(desk.config), command],
        env=clean_environment() | {"LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert f"{desk.state}: its disk knows no {what}" in line


# Repositories that refsync does not read


def with_sha256(clone: Clone) -> str:
    shutil.rmtree(clone.path)
    clone.path.mkdir()
    git(clone.path, "init", "-q", "-b", "main", "--object-format=sha256")
    clone.configure()
    clone.commit({"clip.json": {}})
    return "its objects have names by SHA256, which refsync cannot read"


def with_reftable(clone: Clone) -> str:
    git(clone.path, "config", "core.repositoryFormatVersion", "1")
    git(clone.path, "config", "extensions.refStorage", "reftable")
    return "its refs are kept as 'reftable', which refsync cannot read; change that: git -C "


def without_what_it_borrows(clone: Clone) -> str:
    source = clone.path.with_name("source")
    clone.path.rename(source)
    git(source.parent, "clone", "-q", "--shared", str(source), str(clone.path))
    source.rename(source.with_name("moved"))
    return f"it borrows the objects of {source}/.git/objects, which is gone; bring that back, or correct the path in "


def with_a_folder_as_config(clone: Clone) -> str:
    (clone.path / ".git" / "config").unlink()
    (clone.path / ".git" / "config").mkdir()
    return ""


@pytest.mark.parametrize("make", [with_sha256, with_reftable, without_what_it_borrows, with_a_folder_as_config])
def test_a_repository_of_another_kind_is_refused_in_one_line(desk: Desk, make: Callable[[Clone], str]) -> None:
    words = make(desk.clone)
    line = desk("sync")
    assert line.code == 1
    assert words in line.err
    assert len(line.err.splitlines()) == 1
    assert words in desk("status").out
    assert words in Desk(desk.clone, desk.folder / "no")("init", desk.clone.path).refusal


# A folder that is gone


@pytest.mark.parametrize("command", ["init {clone}", "check", "diff"])
def test_in_a_folder_that_is_gone_a_command_says_so(desk: Desk, command: str) -> None:
    gone = desk.folder / "gone"
    gone.mkdir()
    program = shlex.join([sys.executable, "-m", "refsync.cli.main"])
    words = command.format(clone=shlex.quote(str(desk.clone.path)))
    done = subprocess.run(
        ["bash", "-c", f"rmdir {shlex.quote(str(gone))}; {program} {words}"],
        cwd=gone,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("refsync: "))
    assert "the current folder is gone" in line


def test_conditional_includes_in_the_clones_config_are_no_news(desk: Desk) -> None:
    (desk.clone.path / "more").write_text("[user]\n\tname = Eve\n")
    for key in ("include.path", f"includeIf.gitdir:{desk.clone.path}/.path", "includeIf.onbranch:main.path"):
        git(desk.clone.path, "config", "--add", key, "../more")
    git(desk.clone.path, "config", "includeIf.hasconfig:remote.*.url:https://x/**.path", "../none")
    assert desk("sync").done.err == ""
    git(desk.clone.path, "checkout", "-q", "--detach")
    assert len(desk("sync").err.splitlines()) == 1
