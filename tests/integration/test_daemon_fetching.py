"""The threads that ask remotes beside the passes: late answers, failures that pass, and an end in good order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from refsync.clone.repository import Repository
from refsync.daemon import fetching
from refsync.daemon.fetching import Fetching
from refsync.errors import RefsyncError, RemoteUnavailableError
from tests.support.daemon import wait_for
from tests.support.postgresql import children_of_ours
from tests.support.published import PublishedReference
from tests.support.transports import part_of_git


class Gate:
    """An upload-pack that waits until its gate is opened, and counts who came."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.open_file, self.asked_file = folder / "open", folder / "asked"
        wait = f"echo x >> {self.asked_file}\nwhile ! test -e {self.open_file}; do sleep 0.02; done\n"
        part_of_git(monkeypatch, folder, "git-upload-pack", wait + 'exec git upload-pack "$@"')

    @property
    def asked(self) -> int:
        return len(self.asked_file.read_text().split()) if self.asked_file.exists() else 0

    def open(self) -> None:
        self.open_file.touch()


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[PublishedReference]:
    published = PublishedReference(tmp_path, "push")
    yield published
    published.close()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gate:
    return Gate(monkeypatch, tmp_path)


class Asker:
    """A thread that asks as a pass does; ``failure`` is what it was told, once it has ended."""

    def __init__(self, fetching: Fetching, reference: PublishedReference, *, within: float = 2.0) -> None:
        self._arguments = (fetching, reference, within)
        self.failure: RefsyncError | None = None
        self.thread = threading.Thread(target=self._ask)
        self.thread.start()

    def _ask(self) -> None:
        fetching, reference, within = self._arguments
        with Repository(reference.clone.path, "main") as clone:
            try:
                fetching.ask(reference.image, reference.application.upstreams["image"], clone, within=within)
            except RefsyncError as failure:
                self.failure = failure

    def told(self) -> RefsyncError | None:
        self.thread.join(30)
        assert not self.thread.is_alive()
        return self.failure


@pytest.fixture
def woken() -> threading.Event:
    return threading.Event()


@pytest.fixture
def asking(reference: PublishedReference, gate: Gate, woken: threading.Event) -> Iterator[Fetching]:
    """The gate is closed, and the first fetch waits at it."""
    fetching = Fetching([reference.image], reference.application.upstreams, woken.set)
    wait_for("the first fetch", lambda: gate.asked)
    yield fetching
    fetching.stop()
    assert [each.name for each in threading.enumerate() if each.name.startswith("fetch ")] == []


def test_who_asks_while_the_first_fetch_is_under_way_has_its_answer(
    reference: PublishedReference, gate: Gate, asking: Fetching
) -> None:
    asker = Asker(asking, reference, within=120.0)
    gate.open()
    assert asker.told() is None
    assert gate.asked == 1


def test_who_wants_a_fresher_answer_than_the_fetch_under_way_gives_has_the_next_one(
    reference: PublishedReference, gate: Gate, asking: Fetching
) -> None:
    asker = Asker(asking, reference, within=0.0)
    gate.open()
    assert asker.told() is None
    assert gate.asked == 2


def test_two_who_ask_share_one_answer(reference: PublishedReference, gate: Gate, asking: Fetching) -> None:
    askers = [Asker(asking, reference, within=120.0) for _ in range(2)]
    gate.open()
    assert [each.told() for each in askers] == [None, None]
    assert gate.asked == 1


def test_a_late_answer_wakes_who_waited_for_it_and_nobody_waits_twice(
    reference: PublishedReference,
    gate: Gate,
    asking: Fetching,
    woken: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetching, "PATIENCE_SECONDS", 0.1)
    assert isinstance(Asker(asking, reference).told(), RemoteUnavailableError)
    assert isinstance(Asker(asking, reference).told(), RemoteUnavailableError)
    assert not woken.is_set()
    gate.open()
    assert woken.wait(30)
    assert Asker(asking, reference, within=120.0).told() is None


def test_a_remote_that_is_back_is_found_by_who_asks_again(
    reference: PublishedReference, gate: Gate, asking: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "PATIENCE_SECONDS", 0.1)
    away = reference.remote.path.rename(reference.remote.path.with_suffix(".away"))
    gate.open()
    wait_for("the failure", lambda: Asker(asking, reference).told())
    away.rename(reference.remote.path)
    wait_for("the recovery", lambda: Asker(asking, reference).told() is None)


def test_it_ends_while_a_remote_hangs_and_leaves_no_child(asking: Fetching) -> None:
    children = children_of_ours()
    asking.stop()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
