"""What stops the start, with one line and exit code 1; and what systemd is told."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

import pytest
from sqlalchemy import text

from refsync.daemon import systemd
from tests.support.daemon import Daemon, Site, image_clone, wait_for
from tests.support.repositories import clean_environment

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    image_clone(site.clone.path)
    return site


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one line with which a start was refused."""
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("refsync: ")
    return line


def test_a_second_daemon_is_told_who_serves_the_state_directory(site: Site) -> None:
    with site.daemon() as daemon:
        line = refusal(site.run("run"))
        assert str(site.state) in line
        assert f"process {daemon.pid}" in line


def test_the_daemon_names_itself_to_status_and_is_gone_after_a_kill(site: Site) -> None:
    with site.daemon() as daemon:
        assert json.loads(site.run("status", "--json").stdout)["daemon"]["pid"] == daemon.pid
    assert json.loads(site.run("status", "--json").stdout)["daemon"] is None


def test_a_mistake_in_the_config_stops_the_start(site: Site) -> None:
    site.write_config('[apply]\nwhen = "sometimes"\n')
    assert "apply.when" in refusal(site.run("run"))


def test_a_mistake_in_one_clone_does_not_stop_the_start(site: Site) -> None:
    site.clone.path.rename(site.folder / "gone")
    with site.daemon() as daemon:
        daemon.wait_until_logged("image: held:")


def test_a_state_directory_that_cannot_be_made_stops_the_start(site: Site) -> None:
    (site.folder / "file").touch()
    site.write_config(state=site.folder / "file" / "state")
    assert "Not a directory" in refusal(site.run("run"))


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_an_unwritable_state_directory_stops_the_start(site: Site) -> None:
    site.state.mkdir(mode=0o500)
    assert "may not write" in refusal(site.run("run"))


def test_a_full_state_directory_stops_the_start(site: Site) -> None:
    # A limit of no bytes for any file is a full disk without one.
    line = ["bash", "-c", 'ulimit -f 0; exec "$@"', "full", *site.command_line("run")]
    done = subprocess.run(
        line, env=clean_environment(), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert str(site.state) in refusal(done)


def test_a_store_of_a_newer_version_stops_the_start(site: Site) -> None:
    with site.application() as application, application.store._database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    assert "upgrade refsync" in refusal(site.run("run"))


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    """What systemd listens with."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address.replace("@", "\0", 1))
        receiver.settimeout(30)
        yield receiver


def told(receiver: socket.socket, field: str) -> dict[str, str]:
    """Wait for the next message that has this field; for any where that is empty."""
    while True:
        fields = dict(line.split("=", 1) for line in receiver.recv(4096).decode().split("\n"))
        if not field or field in fields:
            return fields


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_of_ready_reload_and_stop(site: Site, abstract: bool) -> None:
    address = f"@refsync-test-{os.getpid()}" if abstract else str(site.folder / "notify")
    with listening(address) as receiver, site.daemon(NOTIFY_SOCKET=address) as daemon:
        assert str(site.clone.path) in told(receiver, "READY")["STATUS"]
        daemon.send(signal.SIGHUP)
        assert int(told(receiver, "RELOADING")["MONOTONIC_USEC"]) > 0
        assert told(receiver, "READY")["READY"] == "1"
        daemon.send(signal.SIGTERM)
        assert told(receiver, "STOPPING")["STOPPING"] == "1"
        assert daemon.process.wait(5) == 0


def test_systemd_is_told_what_is_held(site: Site) -> None:
    address = str(site.folder / "notify")
    site.clone.path.rename(site.folder / "gone")
    with listening(address) as receiver, site.daemon(NOTIFY_SOCKET=address):
        while "there is no such folder" not in told(receiver, "STATUS")["STATUS"]:
            pass


def test_a_daemon_that_sleeps_feeds_the_watchdog_without_a_pass(site: Site) -> None:
    address = str(site.folder / "notify")
    limit = {"WATCHDOG_USEC": "300000"}
    with listening(address) as receiver, site.daemon(NOTIFY_SOCKET=address, **limit) as daemon:
        assert (
            told(receiver, "WATCHDOG_USEC")["WATCHDOG_USEC"] == "120000000"
        )  # for a git command it has to wait longer
        passes = daemon.wait_until_idle()
        for _ in range(3):
            assert told(receiver, "WATCHDOG")["WATCHDOG"] == "1"
        assert daemon.passes == passes


def test_a_daemon_whose_pass_hangs_does_not_feed_the_watchdog(site: Site) -> None:
    address, reached, gate = (site.folder / name for name in ("notify", "reached", "gate"))
    os.mkfifo(gate)
    git = site.folder / "bin" / "git"
    git.parent.mkdir()
    hang = f'case "$*" in *update-ref*) touch {reached}; read _ < {gate};; esac'
    git.write_text(f'#!/bin/sh\n{hang}\nexec {shutil.which("git")} "$@"\n')
    git.chmod(0o755)
    limit = {"WATCHDOG_USEC": "300000", "PATH": f"{git.parent}:{os.environ['PATH']}"}
    with listening(str(address)) as receiver, site.daemon(NOTIFY_SOCKET=str(address), **limit):
        told(receiver, "WATCHDOG")
        site.approve("new")
        wait_for("the pass to hang", reached.exists)
        with pytest.raises(TimeoutError):
            told_hanging(receiver)
        gate.write_text("\n")
        wait_for("the change to land", lambda: site.has_model("new"))
        told(receiver, "WATCHDOG")


def told_hanging(receiver: socket.socket) -> None:
    """Read what was told before the hang, and wait for more."""
    receiver.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            receiver.recv(4096)
    receiver.settimeout(1)  # more than three times as long as the watchdog waits
    told(receiver, "WATCHDOG")


def test_a_watchdog_of_another_process_is_not_fed(site: Site) -> None:
    address = str(site.folder / "notify")
    limit = {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}
    with listening(address) as receiver, site.daemon(NOTIFY_SOCKET=address, **limit) as daemon:
        daemon.wait_until_idle()
        daemon.send(signal.SIGTERM)
        while "STOPPING" not in (fields := told(receiver, "")):
            assert not any(field.startswith("WATCHDOG") for field in fields)


def test_in_a_long_fold_the_watchdog_is_fed_and_time_limits_move(site: Site) -> None:
    address = str(site.folder / "notify")
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "300000"}
    with listening(address) as receiver, mock.patch.dict(os.environ, environ):
        watchdog = systemd.Watchdog(os.environ)
        watchdog.feed()
        watchdog.feed()  # just now fed
        systemd.extend_timeout(300)
        assert told(receiver, "WATCHDOG") == {"WATCHDOG": "1"}
        assert told(receiver, "EXTEND_TIMEOUT_USEC") == {"EXTEND_TIMEOUT_USEC": "300000000"}
    assert watchdog.pause == pytest.approx(0.1)


def test_nothing_is_told_before_the_start_is_good(site: Site) -> None:
    address = str(site.folder / "notify")
    site.write_config('[apply]\nwhen = "sometimes"\n')
    with listening(address) as receiver:
        site.run("run", NOTIFY_SOCKET=address)
        receiver.setblocking(False)
        with pytest.raises(BlockingIOError):
            receiver.recv(4096)


def test_a_service_manager_that_does_not_read_hangs_nothing(site: Site) -> None:
    address = str(site.folder / "notify")
    with listening(address), site.daemon(NOTIFY_SOCKET=address) as daemon:
        for number in range(1, 8):  # more than the socket has room for
            daemon.send(signal.SIGHUP)
            daemon.wait_until_logged("the config was read again", times=number)
        assert daemon.stop() == 0


def test_a_stop_before_the_start_is_complete_leaves_no_traceback(site: Site) -> None:
    daemon = Daemon(site)
    try:
        daemon.send(signal.SIGINT)
        daemon.process.wait(30)
        assert "bug in refsync" not in daemon.log
    finally:
        daemon.kill()
