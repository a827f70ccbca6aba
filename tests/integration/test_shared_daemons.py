"""Real daemons on one queue: they share repositories, and one that is killed or stopped is replaced."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from refsync.pending_queue.models import PendingChangeStatus
from refsync.use_cases.status import status
from tests.support.daemon import IMAGE_FILE, Daemon, wait_for
from tests.support.published import PublishedSite
from tests.support.repositories import git
from tests.support.shared import queue_url

pytestmark = pytest.mark.slow
LEASE_SECONDS = 2.0
_FIRST_PUSH_WAITS = """#!/bin/sh
mkdir "{folder}/first" 2>/dev/null || exit 0
while [ ! -e "{folder}/go on" ]; do sleep 0.05; done
"""


class SharedSite(PublishedSite):
    """A site whose daemon shares the queue beside all sites."""

    def config_text(
        self, more: str = "", *, state: Path | None = None, level: str = "DEBUG", form: str = "text"
    ) -> str:
        shared = f'[queue]\nurl = "{queue_url(self.folder.parent)}"\n'
        shared += f"[daemon]\nlease_seconds = {LEASE_SECONDS}\n"
        return super().config_text(f"{more}\n{shared}", state=state, level=level, form=form)

    def wake(self) -> None:
        with self.application() as application:
            application.state.wake()


@pytest.fixture
def sites(tmp_path: Path) -> Sequence[SharedSite]:
    first = SharedSite(tmp_path / "one", "push")
    others = (SharedSite.beside(first, tmp_path / name) for name in ("two", "three"))
    return [first, *(each for each in others if isinstance(each, SharedSite))]


@contextmanager
def running(sites: Sequence[SharedSite]) -> Iterator[list[Daemon]]:
    with ExitStack() as stack:
        yield [stack.enter_context(site.daemon()) for site in sites]


def approve_and_wake(sites: Sequence[SharedSite], *names: str) -> list[int]:
    ids = sites[0].approve(*names)
    for site in sites[1:]:
        site.wake()
    return ids


def let_the_first_push_wait(site: SharedSite) -> None:
    hook = site.remote.path / "hooks" / "pre-receive"
    hook.write_text(_FIRST_PUSH_WAITS.format(folder=site.remote.path))
    hook.chmod(0o755)


def holder(sites: Sequence[SharedSite], daemons: Sequence[Daemon]) -> int:
    """The place of the daemon that has the repository, once its push is under way."""
    wait_for("a push", (sites[0].remote.path / "first").exists)
    with sites[0].application() as application:
        [pid] = [each.pid for each in application.queue.daemons() if each.holds]
    return [daemon.pid for daemon in daemons].index(pid)


def landed_once(site: SharedSite, ids: Sequence[int], name: str) -> bool:
    with site.application() as application:
        if any(application.queue.show_change(each).status is not PendingChangeStatus.APPLIED for each in ids):
            return False
    assert site.on_remote(name)
    return git(site.remote.path, "log", "--format=%s", "main").split("\n").count("New models") == 1


def all_agree(sites: Sequence[SharedSite]) -> bool:
    if not all(site.in_step() for site in sites):
        return False
    verified = [site.run("metadata", "verify") for site in sites]
    return all(each.returncode == 0 for each in verified)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_falls_silent_in_a_push_is_replaced_and_lands_nothing_more(
    sites: Sequence[SharedSite], how: signal.Signals
) -> None:
    let_the_first_push_wait(sites[0])
    with running(sites) as daemons:
        ids = approve_and_wake(sites, "Fresh")
        silent = holder(sites, daemons)
        pushing = psutil.Process(daemons[silent].pid).children(recursive=True)
        daemons[silent].send(how)
        others = [site for place, site in enumerate(sites) if place != silent]
        wait_for("another one lands it", lambda: landed_once(others[0], ids, "Fresh"), 10 * LEASE_SECONDS)
        (sites[0].remote.path / "go on").touch()
        psutil.wait_procs(pushing, 10)
        if how is signal.SIGSTOP:
            with others[0].application() as application:
                before = application.queue.list_changes()
            daemons[silent].send(signal.SIGCONT)
            wait_for("all of them agree", lambda: all_agree(sites))
            with others[0].application() as application:
                assert application.queue.list_changes() == before
            daemons[silent].wait_until_logged("others go on without it")
        else:
            wait_for("the others agree", lambda: all_agree(others))
            with others[0].application() as application:
                gone = [each for each in status(application).daemons if not each.is_alive]
            assert [each.pid for each in gone] == [daemons[silent].pid]
        assert landed_once(others[0], ids, "Fresh")
        assert not [line for daemon in daemons for line in daemon.lines("bug in refsync")]


def test_each_daemon_follows_and_counts_what_any_of_them_lands_and_tells_of_itself_while_it_runs(
    sites: Sequence[SharedSite],
) -> None:
    with running(sites) as daemons:
        for number in range(6):
            approve_and_wake(sites, f"Model {number}")
        wait_for("all of it", lambda: all(site.on_remote(f"Model {n}") for n in range(6) for site in sites[:1]))
        wait_for("all of them agree", lambda: all_agree(sites))
        told = sites[0].run("status").stdout
        assert told.count("worker, process ") == 3
        assert [daemon.stop() for daemon in daemons] == [0, 0, 0]
        assert "worker, process " not in sites[0].run("status").stdout
    assert git(sites[0].remote.path, "show", f"main:{IMAGE_FILE}").count('"Model ') == 6 * 2
