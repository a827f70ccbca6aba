"""Wake-ups collapse, timers only wake, and housekeeping is done."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from refsync.daemon.service import Daemon
from refsync.daemon.wakeups import Timers, Wakeups, signals
from refsync.metrics.measures import Measures
from tests.support.daemon import DEADLINE_SECONDS, Site, image_clone, wait_for
from tests.support.repositories import git

SIGNALS = 3000


@pytest.fixture
def wakeups() -> Iterator[Wakeups]:
    with Wakeups() as wakeups:
        yield wakeups


@pytest.fixture
def timers() -> Iterator[Timers]:
    with Timers() as timers:
        yield timers


def test_a_storm_is_one_wake_up_that_knows_everything(wakeups: Wakeups) -> None:
    for number in range(1000):
        wakeups.changed([Path(f"/clone/{number % 10}.json")])
    wakeups.ask_reload()
    seen = wakeups.wait()
    assert len(seen.paths) == 10
    assert seen.reload
    assert not seen.rescan
    wakeups.ask_rescan()
    seen = wakeups.wait()
    assert seen.rescan
    assert not seen.paths


def test_a_wake_up_by_a_signal_is_heard_by_the_thread_that_it_interrupts(wakeups: Wakeups) -> None:
    with signals(wakeups):
        signal.raise_signal(signal.SIGHUP)
        assert wakeups.wait().reload


def test_no_signal_is_lost_however_close_it_comes_to_the_wait(wakeups: Wakeups) -> None:
    """The kernel may deliver one between the last look for signals and the sleep itself."""

    heard = threading.Semaphore()

    def send() -> None:
        for _ in range(SIGNALS):
            if heard.acquire(timeout=DEADLINE_SECONDS):
                os.kill(os.getpid(), signal.SIGUSR1)
            else:
                wakeups.stop()
                return

    sender = threading.Thread(target=send)
    with signals(wakeups):
        sender.start()
        for _ in range(SIGNALS):
            wakeups.wait()
            heard.release()
        sender.join()
    assert not wakeups.stopping


def test_the_signals_are_given_back(wakeups: Wakeups) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with signals(wakeups):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_timer_of_the_same_name_replaces_the_one_before(timers: Timers) -> None:
    fired: list[str] = []
    timers.once("retry", 3600, lambda: fired.append("first"))
    timers.once("retry", 0, lambda: fired.append("second"))
    wait_for("the timer", lambda: fired == ["second"])


def test_a_cancelled_timer_does_not_fire(timers: Timers) -> None:
    fired: list[str] = []
    timers.once("retry", 0.5, lambda: fired.append("cancelled"))
    timers.cancel("retry")
    timers.cancel("none of this name")
    timers.once("later", 0.6, lambda: fired.append("later"))
    wait_for("the later timer", lambda: fired == ["later"])


def test_times_of_day_wake_one_after_another_until_there_is_none(timers: Timers) -> None:
    fired: list[float] = []
    cut_off = 4e-7  # a scheduler's times have no more than microseconds, and so come before these
    times = [round(time.time() + delay, 6) + cut_off for delay in (0.2, 0.4)]
    timers.at(
        "schedule",
        lambda after: next((due for due in times if due > after), float("inf")),
        lambda: fired.append(time.time()),
    )
    wait_for("both times", lambda: len(fired) == len(times))
    assert all(at >= due - cut_off for at, due in zip(fired, times, strict=True))


def test_housekeeping_lets_git_pack_its_objects(tmp_path: Path, wakeups: Wakeups, timers: Timers) -> None:
    site = Site(tmp_path)
    image_clone(site.clone.path)
    git(site.clone.path, "config", "gc.auto", "1")
    for number in range(40):  # git guesses the number of loose objects from one folder of 256
        for name in range(20):
            site.clone.write(f"notes/{number}-{name}", f"{number} {name}".encode())
    site.clone.commit({}, "many objects")

    def stop_when_packed() -> None:
        wait_for("a pack", lambda: list(site.clone.path.glob(".git/objects/pack/*.pack")))
        wakeups.stop()

    watching = threading.Thread(target=stop_when_packed)
    watching.start()
    with site.application() as application:
        daemon = Daemon(site.config_file, None, {}, application, wakeups, timers, Measures())
        wakeups.ask_housekeeping()
        daemon.run()
        daemon.close()
    watching.join()
