"""Faults of the machine under a running daemon: what log and status say of each, and that it goes on by itself."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.daemon import Site, image_clone, wait_for


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    image_clone(site.clone.path)
    return site


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own, of this size."""
    folder.mkdir(parents=True, exist_ok=True)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tiny", str(folder)], capture_output=True
    ).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def told_in_status(site: Site) -> str:
    return " ".join(site.run("status").stdout.split())


# The state directory


@pytest.mark.parametrize("put_back", [False, True])
def test_a_daemon_whose_state_directory_is_deleted_ends_and_says_so(site: Site, put_back: bool) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        site.state.rename(site.folder / "gone")
        if put_back:
            site.run("status")
        assert daemon.process.wait(30) == 1
        [line] = daemon.lines("refsync: ")
        assert f"{site.state}: the state directory was deleted or replaced while the daemon ran" in line
        assert daemon.lines("Traceback") == []
    with site.daemon():
        site.approve("Dreamlike")
        wait_for("the commit", lambda: site.has_model("Dreamlike"))


def test_a_deleted_store_takes_the_daemon_with_it(site: Site) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        shutil.rmtree(site.state)
        assert daemon.process.wait(30) == 1


def test_a_daemon_whose_store_alone_is_deleted_ends_before_anything_is_lost_in_it(site: Site) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        for file in site.state.glob("queue.db*"):
            file.unlink()
        site.approve("Dreamlike")
        assert daemon.process.wait(30) == 1
        [line] = daemon.lines("refsync: ")
        assert f"{site.state}/queue.db was deleted or replaced while it was in use" in line
        assert daemon.lines("Traceback") == []
    with site.daemon():
        wait_for("the commit", lambda: site.has_model("Dreamlike"))


@pytest.mark.slow
def test_status_tells_of_a_full_disk_under_the_state_directory(site: Site) -> None:
    assert "make room" not in told_in_status(site)
    with small_disk(site.state, "80m") as disk:
        assert "make room" not in told_in_status(site)
        (disk / "filler").write_bytes(bytes(40_000_000))
        assert "MiB are free; make room" in told_in_status(site)
        with site.daemon() as daemon:
            with contextlib.suppress(OSError):
                (disk / "filler").write_bytes(bytes(90_000_000))
            daemon.wait_until_idle()
            assert "only 0 MiB are free; make room" in told_in_status(site)
            (disk / "filler").unlink()
            site.approve("Dreamlike")
            wait_for("the commit", lambda: site.has_model("Dreamlike"))


@pytest.mark.slow
def test_status_tells_of_a_disk_that_may_only_be_read_under_the_state_directory(site: Site) -> None:
    with small_disk(site.state, "80m") as disk:
        assert "read only" not in told_in_status(site)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert "is mounted to be read only; mount it for writing" in told_in_status(site)
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        assert "read only" not in told_in_status(site)


# The process


@pytest.mark.slow
def test_a_daemon_that_is_stopped_is_not_shown_as_at_work(site: Site) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        assert json.loads(site.run("status", "--json").stdout)["daemon"]["trouble"] is None
        daemon.send(signal.SIGSTOP)
        mend = f"kill -CONT {daemon.pid}"
        assert f"its process is stopped and does nothing; let it go on: {mend}" in told_in_status(site)
        subprocess.run(mend.split(), check=True)
        assert "its process is stopped" not in told_in_status(site)


@pytest.mark.slow
def test_a_daemon_that_makes_no_pass_is_not_shown_as_at_work(site: Site) -> None:
    site.write_config("[watch]\nrescan_seconds = 2\n")
    with site.daemon() as daemon:
        daemon.wait_until_idle(0.0)
        with (site.state / "pass.lock").open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            wait_for("status to tell", lambda: "it has ended no pass for" in told_in_status(site))
        wait_for("status to be calm", lambda: "it has ended no pass for" not in told_in_status(site))


@pytest.mark.parametrize("spare", [0, 3, *(pytest.param(each, marks=pytest.mark.slow) for each in (1, 2, 4, 5, 6, 8))])
def test_a_daemon_out_of_descriptors_says_what_to_raise_and_goes_on_when_there_are_more(site: Site, spare: int) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        used = 1 + max(int(name) for name in os.listdir(f"/proc/{daemon.pid}/fd"))
        before = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used + spare, before[1]))
        site.approve("Dreamlike")
        if spare < 4:
            daemon.wait_until_logged("LimitNOFILE=")
        time.sleep(1)
        assert daemon.process.poll() is None
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, before)
        wait_for("the commit", lambda: site.has_model("Dreamlike"))
        assert daemon.lines("Errno 24") == []
        assert daemon.lines("a bug") == []
