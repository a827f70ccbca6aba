from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from refsync import file_events
from refsync.errors import WatchError
from refsync.file_events import FolderWatcher, WatchMode

MODES: list[WatchMode] = ["inotify", "polling"]


class Told:
    """What a watcher told, to be waited for."""

    def __init__(self) -> None:
        self.batches: queue.Queue[frozenset[Path]] = queue.Queue()
        self.reasons: queue.Queue[str] = queue.Queue()

    def watcher(self, *folders: Path, mode: WatchMode = "auto", rescan_seconds: float = 300.0) -> FolderWatcher:
        return FolderWatcher(
            folders, self.batches.put, on_rescan=self.reasons.put, mode=mode, rescan_seconds=rescan_seconds
        )

    def wait_for(self, *paths: Path) -> None:
        missing = set(paths)
        while missing:
            missing -= self.batches.get(timeout=10)

    def wait_for_reason(self, text: str) -> None:
        while text not in self.reasons.get(timeout=10):
            pass


@pytest.fixture(autouse=True)
def polls_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_events, "_POLL_SECONDS", 0.1)
    monkeypatch.setattr(file_events, "_MISSING_FOLDER_SECONDS", 0.1)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    yield
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before


def replace(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.rename(path)


@pytest.mark.parametrize("mode", MODES)
def test_a_file_that_is_created_rewritten_replaced_or_deleted_is_told(
    tmp_path: Path, told: Told, mode: WatchMode
) -> None:
    path = tmp_path / "blip.json"
    changes: list[Callable[[], object]] = [
        lambda: path.write_text("one"),
        lambda: path.write_text("second"),
        lambda: replace(path, "the third"),
        path.unlink,
    ]
    with told.watcher(tmp_path, mode=mode) as watcher:
        assert watcher.mode == mode
        for change in changes:
            change()
            told.wait_for(path)


def test_a_read_is_not_told(tmp_path: Path, told: Told) -> None:
    path = tmp_path / "blip.json"
    path.write_text("one")
    with told.watcher(tmp_path):
        path.read_text()
        (tmp_path / "last").touch()
        assert told.batches.get(timeout=10) == {tmp_path / "last"}


def test_a_storm_is_one_batch(tmp_path: Path, told: Told) -> None:
    path = tmp_path / "blip.json"
    with told.watcher(tmp_path):
        for number in range(200):
            replace(path, str(number))
        (tmp_path / "last").touch()
        told.wait_for(tmp_path / "last")
    assert told.batches.qsize() <= 2


def test_subfolders_are_not_watched(tmp_path: Path, told: Told) -> None:
    deep = tmp_path / ".git" / "objects"
    deep.mkdir(parents=True)
    with told.watcher(tmp_path):
        (deep / "object").touch()
        (tmp_path / "last").touch()
        assert told.batches.get(timeout=10) == {tmp_path / "last"}


@pytest.mark.parametrize("mode", MODES)
def test_a_folder_that_is_replaced_is_watched_again(tmp_path: Path, told: Told, mode: WatchMode) -> None:
    folder = tmp_path / "clone"
    folder.mkdir()
    with told.watcher(folder, mode=mode):
        folder.rmdir()
        folder.mkdir()
        (folder / "before").touch()
        if mode == "inotify":
            told.wait_for_reason("was replaced")
        else:
            told.wait_for(folder / "before")
        (folder / "after").touch()
        told.wait_for(folder / "after")


def test_a_folder_that_is_moved_away_is_noticed(tmp_path: Path, told: Told) -> None:
    folder = tmp_path / "clone"
    folder.mkdir()
    with told.watcher(folder):
        folder.rename(tmp_path / "old")
        folder.mkdir()
        told.wait_for_reason("was replaced")
        (tmp_path / "old" / "elsewhere").touch()
        (folder / "here").touch()
        assert told.batches.get(timeout=10) == {folder / "here"}


def test_a_folder_whose_parent_was_swapped_is_noticed_at_the_next_rescan(tmp_path: Path, told: Told) -> None:
    folder = tmp_path / "parent" / "clone"
    folder.mkdir(parents=True)
    with told.watcher(folder, rescan_seconds=0.2):
        (tmp_path / "parent").rename(tmp_path / "old")
        folder.mkdir(parents=True)
        told.wait_for_reason("was replaced")
        (folder / "here").touch()
        told.wait_for(folder / "here")


def test_a_missing_folder_is_watched_as_soon_as_it_appears(tmp_path: Path, told: Told) -> None:
    folder = tmp_path / "legacy"
    with told.watcher(folder):
        folder.mkdir()
        told.wait_for_reason("has appeared")
        (folder / "here").touch()
        told.wait_for(folder / "here")


def test_a_rescan_comes_at_its_interval(tmp_path: Path, told: Told) -> None:
    with told.watcher(tmp_path, rescan_seconds=0.05):
        for _ in range(3):
            told.wait_for_reason("have passed")


def test_a_listener_that_fails_is_called_again(tmp_path: Path) -> None:
    calls: queue.Queue[frozenset[Path]] = queue.Queue()

    def fail(paths: frozenset[Path]) -> None:
        calls.put(paths)
        raise ValueError("boom")

    with FolderWatcher([tmp_path], fail, on_rescan=lambda _: None):
        (tmp_path / "one").touch()
        assert calls.get(timeout=10) == {tmp_path / "one"}
        (tmp_path / "two").touch()
        assert calls.get(timeout=10) == {tmp_path / "two"}


def test_a_stopped_watcher_can_be_started_again(tmp_path: Path, told: Told) -> None:
    watcher = told.watcher(tmp_path)
    watcher.stop()
    for name in ("one", "two"):
        watcher.start().start()
        (tmp_path / name).touch()
        told.wait_for(tmp_path / name)
        watcher.stop()
        watcher.stop()
    (tmp_path / "three").touch()
    assert told.batches.empty()


def test_a_listener_may_stop_its_watcher(tmp_path: Path) -> None:
    stopped = threading.Event()

    def stop(_: frozenset[Path]) -> None:
        watcher.stop()
        stopped.set()

    watcher = FolderWatcher([tmp_path], stop, on_rescan=lambda _: None).start()
    thread = watcher._thread
    assert thread is not None
    (tmp_path / "one").touch()
    assert stopped.wait(10)
    thread.join(10)


# What only a process of its own can show.

WATCHING = """
import sys
from pathlib import Path
from refsync.file_events import FolderWatcher
folders = [Path(name) for name in sys.argv[2:]]
tell = lambda what: print(what, flush=True)
on_change, on_overflow = lambda paths: tell(f"changed {len(paths)}"), lambda: tell("lost some")
with FolderWatcher(folders, on_change, on_rescan=tell, on_overflow=on_overflow, mode=sys.argv[1]) as watcher:
    tell(watcher.mode)
    sys.stdin.readline()
"""


@contextmanager
def watching(mode: WatchMode, *folders: Path, before: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    command = [*before, sys.executable, "-c", WATCHING, mode, *map(str, folders)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_an_overflow_of_the_event_queue_asks_for_a_rescan(tmp_path: Path) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 50_000:
        pytest.skip(f"the kernel queues {most} events: too many to fill")
    folder = tmp_path / "clone"
    folder.mkdir()
    with watching("inotify", folder) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "inotify\n"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        for number in range(most // 2 + 100):  # each is created and closed
            os.close(os.open(folder / str(number), os.O_WRONLY | os.O_CREAT))
        process.send_signal(signal.SIGCONT)
        assert any(line == "lost some\n" for line in iter(process.stdout.readline, ""))
        assert any("overflowed" in line for line in iter(process.stdout.readline, ""))


FEW_WATCHES = ("unshare", "-Ur", "sh", "-c", 'echo 1 > /proc/sys/user/max_inotify_watches && exec "$@"', "sh")
NO_INSTANCES = ("unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"', "sh")


@pytest.fixture
def own_limits() -> None:
    try:
        subprocess.run([*FEW_WATCHES, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no user namespace with inotify limits of its own here")


@pytest.mark.usefixtures("own_limits")
@pytest.mark.parametrize("limit", [FEW_WATCHES, NO_INSTANCES])
def test_a_full_watch_limit_falls_back_to_polling_and_says_so(tmp_path: Path, limit: tuple[str, ...]) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with watching("auto", *folders, before=limit) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "polling\n"
        (folders[1] / "here").touch()
        assert process.stdout.readline() == "changed 1\n"
        _, errors = process.communicate("\n")
    assert "polling every 1.0 s instead of inotify" in errors
    assert "raise fs.inotify.max_user_" in errors


@pytest.mark.usefixtures("own_limits")
def test_asking_for_inotify_where_its_limit_is_full_is_refused_with_advice(tmp_path: Path) -> None:
    with watching("inotify", tmp_path, before=NO_INSTANCES) as process:
        _, errors = process.communicate("")
        assert process.returncode == 1
    assert f"{WatchError.__name__}: cannot watch with inotify: the limit of inotify instances" in errors


def test_each_path_of_a_burst_is_told_at_once_and_again_at_its_end_only_if_it_changed_again(tmp_path: Path) -> None:
    told: queue.Queue[tuple[str, frozenset[Path]]] = queue.Queue()
    once, often, elsewhere = tmp_path / "once", tmp_path / "often", tmp_path / "elsewhere"

    def move_in(path: Path) -> None:
        """One event, which a write is not."""
        (elsewhere / "fresh").touch()
        (elsewhere / "fresh").rename(path)

    with FolderWatcher(
        [tmp_path],
        lambda paths: told.put(("burst", paths)),
        at_once=lambda paths: told.put(("at once", paths)),
        on_rescan=lambda _: None,
        settle_seconds=0.5,
    ):
        elsewhere.mkdir()
        assert told.get(timeout=10) == ("at once", frozenset({elsewhere}))
        for path in (once, often):
            move_in(path)
            assert told.get(timeout=10) == ("at once", frozenset({path}))
        move_in(often)
        assert told.get(timeout=10) == ("at once", frozenset({often}))
        assert told.get(timeout=10) == ("burst", frozenset({elsewhere, once, often}))
    assert told.empty()


def test_who_is_told_at_once_does_not_wait_for_the_end_of_a_burst(tmp_path: Path) -> None:
    told = threading.Event()
    with FolderWatcher([tmp_path], at_once=lambda _: told.set(), on_rescan=lambda _: None, settle_seconds=3600):
        (tmp_path / "file").touch()
        assert told.wait(10)
