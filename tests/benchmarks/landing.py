"""From approved to landed: in the clone alone, to a remote, and by the daemon."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks import floors
from tests.benchmarks.ground import (
    IMAGE_FILE,
    TEXT,
    TEXT_CONFIG,
    Bench,
    Site,
    config_text,
    generated_clone,
    image_clone,
    site,
    text_clone,
)
from tests.benchmarks.measuring import Figure, Times
from tests.support.daemon import Site as DaemonSite
from tests.support.repositories import Clone, dump, git
from tests.support.text_files import DOCUMENT

FLOOR = "git add, git commit, one transaction"
_IDLE_SECONDS = 0.3
_DAEMON_ROUNDS = 40


class ByHand:
    """The floor of a landing: the same file in a clone of its own, and the batch's rows in a store of its own."""

    def __init__(self, folder: Path, clone: Clone, file: str, ours: Site) -> None:
        git(folder, "clone", "-q", str(clone.path), str(folder / "by-hand"))
        self.clone = Clone(folder / "by-hand")
        self.clone.configure()
        self.file, self.records = file, clone.records(file)
        self.store = floors.Store(folder / "by-hand.db")
        self._ours, self._number = ours, 0
        self.clone.commit({file: dump(self.records)})

    def prepare(self, ids: list[int]) -> None:
        """Have a batch of as many updates in the store and in the work tree."""
        rows = floors.rows_of(floors.store_file(self._ours.folder / "state"), ids)
        self._number = self.store.take(rows)
        stamp = str(time.perf_counter_ns())
        for name in list(self.records)[: len(ids)]:
            self.records[name]["description"] = stamp
        self.clone.write(self.file, dump(self.records))

    def land(self) -> None:
        """What is timed."""
        floors.commit(self.clone, self.file)
        self.store.land(self._number)


def image(bench: Bench) -> Iterator[Figure]:
    """Batches of the real image file."""
    goals = {1: 2.0, 10: 2.0, 100: 2.0, 160: 2.0}
    with bench.room() as room:
        yield from _batches(bench, "landing", "stable_diffusion.json", room, image_clone(room / "clone"), goals)


def generated(bench: Bench) -> Iterator[Figure]:
    """Batches of a large made-up file."""
    models = 500 if bench.quick else 5000
    with bench.room() as room:
        clone = generated_clone(room / "clone", models)
        goals = {1: 2.0, 100: 2.0, 1000: 3.0}
        yield from _batches(bench, "landing-generated", f"a file of {models} models", room, clone, goals)


def _batches(bench: Bench, row: str, what: str, room: Path, clone: Clone, goals: dict[int, float]) -> Iterator[Figure]:
    with site(room, clone) as ours:
        floor = ByHand(room, clone, IMAGE_FILE, ours)
        for size in bench.sizes(*goals):
            yield Figure(
                row,
                f"{size} {'update' if size == 1 else 'updates'} of {what}, approved to landed",
                *landing(bench, ours, floor, size),
                FLOOR,
                goals[size],
                series=f"a batch of updates: {what}",
                size=size,
            )
        floor.store.close()


def landing(bench: Bench, ours: Site, floor: ByHand, size: int) -> tuple[Times, Times]:
    """A batch of so many updates, and the same by hand."""
    ids: list[int] = []

    def approve() -> None:
        ids[:] = ours.approve(size)

    return bench.beside(ours.land, floor.land, before=approve, before_floor=lambda: floor.prepare(ids))


def text(bench: Bench) -> Iterator[Figure]:
    """One model of the text reference."""
    with bench.room() as room:
        clone = text_clone(room / "clone")
        with site(room, clone, TEXT, more=TEXT_CONFIG) as ours:
            floor = ByHand(room, clone, DOCUMENT, ours)
            times = landing(bench, ours, floor, 1)
            floor.store.close()
    yield Figure("landing-text", "1 text model (models.csv and db.json)", *times, f"{FLOOR}, of db.json", 3.0)


def push(bench: Bench) -> Iterator[Figure]:
    """To a bare remote by path, and a pass that finds nothing to push."""
    with bench.room() as room:
        clone = image_clone(room / "clone")
        git(room, "clone", "-q", "--bare", str(clone.path), "remote.git")
        git(clone.path, "remote", "remove", "origin", check=False)
        git(clone.path, "remote", "add", "origin", str(room / "remote.git"))
        with site(room, clone, more='publish = "push"\n') as ours:
            floor = _PushByHand(room, clone, ours)
            pushed = bench.beside(ours.land, floor.push, before=lambda: ours.approve(1), before_floor=floor.prepare)
            idle = bench.beside(ours.application.run_pass, lambda: git(clone.path, "fetch", "-q", "origin", "main"))
    yield Figure("push", "1 update by push to a bare remote by path", *pushed, "git commit, git push", 2.0)
    yield Figure("push-idle", "a pass of push with nothing to do", *idle, "git fetch", 1.5)


class _PushByHand:
    """Somebody who commits and pushes the same file to a remote of the same history."""

    def __init__(self, folder: Path, clone: Clone, ours: Site) -> None:
        git(folder, "clone", "-q", "--bare", str(clone.path), str(folder / "by-hand.git"))
        git(folder, "clone", "-q", str(folder / "by-hand.git"), str(folder / "by-hand"))
        self.clone = Clone(folder / "by-hand")
        self.clone.configure()
        self.records = clone.records(IMAGE_FILE)

    def prepare(self) -> None:
        """Edit the file."""
        next(iter(self.records.values()))["description"] = str(time.perf_counter_ns())
        self.clone.write(IMAGE_FILE, dump(self.records))

    def push(self) -> None:
        """What is timed."""
        git(self.clone.path, "-c", "core.fsync=all", "commit", "-q", "-m", "by hand", IMAGE_FILE)
        git(self.clone.path, "push", "-q", "origin", "main")


def idle(bench: Bench) -> Iterator[Figure]:
    """A pass in the clone alone that finds nothing to do."""
    with bench.room() as room:
        clone = image_clone(room / "clone")
        with site(room, clone) as ours:
            times = bench.beside(ours.application.run_pass, _look(clone, room), rounds=30)
    yield Figure("idle", "a local pass with nothing to do", *times, "read the ref, one SQL query", 20.0)


def _look(clone: Clone, room: Path) -> Callable[[], object]:
    ref = clone.path / ".git" / "refs" / "heads" / "main"
    connection = floors.connect(floors.store_file(room / "state"))
    git(clone.path, "update-ref", "refs/heads/main", clone.tip)

    def look() -> object:
        return ref.read_bytes(), connection.execute(
            "SELECT count(*) FROM batches WHERE state IN ('open', 'sealed', 'held')"
        ).fetchone()

    return look


def daemon(bench: Bench) -> Iterator[Figure]:
    """Approved by another process than the daemon, which is idle, to the branch moved."""
    with bench.room() as room:
        clone = image_clone(room / "clone")
        with site(room, clone) as ours:
            floor = ByHand(room, clone, IMAGE_FILE, ours)
            served = DaemonSite(room)
            served.config_file.write_text(config_text(room, {"reference": clone}))
            with served.daemon():
                waiting = _Waiting(ours)

                def prepare_floor() -> None:
                    floor.prepare(waiting.ids)
                    time.sleep(_IDLE_SECONDS)  # a disk that has rested takes longer, and the daemon's has

                times = bench.beside(
                    waiting.approve,
                    floor.land,
                    before=waiting.submit,
                    before_floor=prepare_floor,
                    rounds=_DAEMON_ROUNDS,
                )
            floor.store.close()
    work = "approved by another process to the branch moved, the daemon idle before"
    yield Figure("daemon", work, *times, FLOOR, 2.0, goal_p99=6.0)


class _Waiting:
    """Approves beside the daemon, and looks at the branch until it has moved."""

    def __init__(self, ours: Site) -> None:
        self._ours = ours
        self._ref = ours.clone.path / ".git" / "refs" / "heads" / "main"
        self.ids: list[int] = []

    def submit(self) -> None:
        """A pending change; the daemon has time to fall asleep again."""
        changes = self._ours.application.queue.enqueue_many(self._ours.submissions(1))
        self.ids = [change.change_id for change in changes]
        time.sleep(_IDLE_SECONDS)

    def approve(self) -> None:
        """What is timed: the approving call, and the wait."""
        before = self._tip()
        self._ours.approved(self.ids)
        deadline = time.monotonic() + 30
        while self._tip() == before:
            assert time.monotonic() < deadline, "the daemon does not land it"
            time.sleep(0.0002)

    def _tip(self) -> bytes:
        return self._ref.read_bytes()
