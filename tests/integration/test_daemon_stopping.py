"""SIGTERM and SIGINT end the daemon in good order, whatever it is doing."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from tests.support.daemon import IMAGE_FILE, Site, command_line, image_clone, record, wait_for
from tests.support.repositories import clean_environment, git

LONG_HISTORY = 1000


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    image_clone(site.clone.path)
    return site


def lengthen_history(site: Site) -> None:
    """Thousands of commits, each with a larger file, as only a fold over history minds."""
    blobs = [
        json.dumps({f"model {model}": record(str(number)) for model in range(200)}) for number in range(LONG_HISTORY)
    ]
    stream = "".join(
        f"commit refs/heads/main\ncommitter Ada <ada@example.org> {1_700_000_000 + number} +0000\ndata 1\nx\n"
        + ("from refs/heads/main^0\n" if number == 0 else "")
        + f"M 100644 inline {IMAGE_FILE}\ndata {len(blob)}\n{blob}\n"
        for number, blob in enumerate(blobs)
    )
    subprocess.run(
        ["git", "-C", str(site.clone.path), "fast-import", "--quiet"],
        input=stream.encode(),
        env=clean_environment(),
        check=True,
    )
    git(site.clone.path, "reset", "-q", "--hard")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_daemon_in_good_order(site: Site, number: signal.Signals) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        assert daemon.stop(number) == 0
        assert daemon.lines("refsync stops")
        assert daemon.lines("Traceback") == []


def test_a_stop_during_a_long_first_fold_is_obeyed_and_loses_nothing(site: Site) -> None:
    lengthen_history(site)
    with site.daemon() as daemon:
        wait_for("the fold", lambda: daemon.passes == 1)
        assert daemon.stop() == 0
        assert daemon.lines("recorded") == []
    with site.daemon() as daemon:
        daemon.wait_until_logged(f"recorded up to {site.clone.tip[:12]}, commits: {LONG_HISTORY + 1}")


def test_a_stop_while_another_process_holds_the_pass_lock_is_obeyed(site: Site) -> None:
    site.state.mkdir()
    with FileLock(site.state / "pass.lock"), site.daemon() as daemon:
        wait_for("the wait for the lock", lambda: daemon.passes == 1)
        assert daemon.stop() == 0


def test_a_stop_while_another_process_holds_the_store_is_obeyed(site: Site) -> None:
    with site.daemon() as daemon:
        before = daemon.wait_until_idle()
        with site.application() as application, application.store.writing():
            daemon.send(signal.SIGUSR1)
            wait_for("the pass", lambda: daemon.passes > before)
            assert daemon.stop() == 0


def test_a_stop_ends_a_git_command_that_hangs_with_its_children(site: Site, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    hanging = tools / "git"
    hanging.write_text('#!/bin/sh\nif [ "$1" = log ]; then sleep 300; fi\nexec /usr/bin/env -i git "$@"\n')
    hanging.chmod(0o755)
    with site.daemon(PATH=f"{tools}:{clean_environment()['PATH']}") as daemon:
        process = psutil.Process(daemon.pid)
        wait_for("the hanging git", lambda: any("sleep" in command_line(each) for each in process.children(True)))
        children = process.children(recursive=True)
        assert daemon.stop() == 0
        assert daemon.lines("given up")
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


def test_no_child_is_left_behind(site: Site) -> None:
    with site.daemon() as daemon:
        site.approve("Dreamlike")
        daemon.wait_until_logged("landed")
        daemon.wait_until_idle()
        assert psutil.Process(daemon.pid).children(recursive=True) == []
