from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from refsync.backends.base import Data
from refsync.backends.single_flight import SingleFlight
from refsync.categories import CategoryName
from tests.support.backends import CATEGORY, DictBackend, FileBackend

DATA: Data = {"Deliberate": {}}


class Gate:
    """A source that answers when it is opened."""

    def __init__(self, *answers: Data | BaseException) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Semaphore(0)
        self.calls = 0
        self._answers = iter(answers)

    def __call__(self, _: CategoryName) -> Data:
        self.calls += 1
        answer = next(self._answers)
        self.entered.release()
        assert self.opened.acquire(timeout=10)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def open_after(self, readers: int, backend: DictBackend) -> None:
        """Open when that many readers have found nothing in the cache."""
        assert self.entered.acquire(timeout=10)
        while backend._v2.counts["misses"] < readers:
            threading.Event().wait(0.001)
        self.opened.release()


def read_in_threads(backend: DictBackend, count: int, pool: ThreadPoolExecutor) -> list[Future[Data]]:
    return [pool.submit(backend.fetch_category, CATEGORY) for _ in range(count)]


def test_threads_that_read_a_cold_category_share_one_load() -> None:
    gate = Gate(DATA)
    backend = DictBackend(gate)
    with ThreadPoolExecutor(8) as pool:
        reads = read_in_threads(backend, 8, pool)
        gate.open_after(8, backend)
        assert [read.result() for read in reads] == [DATA] * 8
    assert gate.calls == 1


def test_those_who_wait_for_a_load_share_its_failure() -> None:
    flights: SingleFlight[CategoryName] = SingleFlight()
    flight, leads = flights.board(CATEGORY, 0, alone=False)
    with ThreadPoolExecutor(1) as pool:
        joined, also_leads = pool.submit(flights.board, CATEGORY, 0, alone=False).result()
        waiting = pool.submit(joined.result)
        flights.land(CATEGORY, flight)
        flight.fail(OSError("down"))
        assert isinstance(waiting.exception(), OSError)
    assert (leads, also_leads, joined) == (True, False, flight)
    assert flights.board(CATEGORY, 0, alone=False)[1]


def test_a_waiting_reader_gets_the_last_good_data_for_a_failed_refresh() -> None:
    gate = Gate(DATA, *[OSError("down")] * 4)  # one who comes late may load again
    backend = DictBackend(gate)
    gate.opened.release()
    backend.fetch_category(CATEGORY)
    assert gate.entered.acquire(timeout=10)
    backend.mark_stale(CATEGORY)
    with ThreadPoolExecutor(4) as pool:
        reads = read_in_threads(backend, 4, pool)
        gate.open_after(5, backend)
        gate.opened.release(3)
        assert [read.result() for read in reads] == [DATA] * 4


def test_a_reader_who_knows_of_a_later_invalidation_loads_anew() -> None:
    gate = Gate({"old": {}}, {"new": {}})
    backend = DictBackend(gate)
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(backend.fetch_category, CATEGORY)
        assert gate.entered.acquire(timeout=10)
        backend.mark_stale(CATEGORY)
        late = pool.submit(backend.fetch_category, CATEGORY)
        assert gate.entered.acquire(timeout=10)
        gate.opened.release(2)
        assert (early.result(), late.result()) == ({"old": {}}, {"new": {}})


def test_a_forced_refresh_joins_no_load_that_began_before() -> None:
    gate = Gate({"old": {}}, {"new": {}})
    backend = DictBackend(gate)
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(backend.fetch_category, CATEGORY)
        assert gate.entered.acquire(timeout=10)
        forced = pool.submit(backend.fetch_category, CATEGORY, force_refresh=True)
        assert gate.entered.acquire(timeout=10)
        gate.opened.release(2)
        assert (early.result(), forced.result()) == ({"old": {}}, {"new": {}})


def test_a_load_that_reads_its_own_category_does_not_wait_for_itself() -> None:
    backend: DictBackend
    depth = 0

    def source(category: CategoryName) -> Data:
        nonlocal depth
        depth += 1
        return DATA if depth == 2 else backend.fetch_category(category)

    backend = DictBackend(source)
    assert backend.fetch_category(CATEGORY) == DATA


def test_coroutines_of_several_loops_and_threads_share_one_load() -> None:
    gate = Gate(DATA)
    backend = DictBackend(gate)

    async def read_twice() -> list[Data]:
        return await asyncio.gather(*(backend.fetch_category_async(CATEGORY) for _ in range(2)))

    with ThreadPoolExecutor(4) as pool:
        loops = [pool.submit(asyncio.run, read_twice()) for _ in range(2)]
        thread = pool.submit(backend.fetch_category, CATEGORY)
        gate.open_after(5, backend)
        assert [loop.result() for loop in loops] == [[DATA, DATA]] * 2
        assert thread.result() == DATA
    assert gate.calls == 1


def test_a_cancelled_reader_leaves_the_load_to_the_others() -> None:
    gate = Gate(DATA)
    backend = DictBackend(gate)

    async def main() -> Data:
        first, waiting = (asyncio.create_task(backend.fetch_category_async(CATEGORY)) for _ in range(2))
        while backend._v2.counts["misses"] < 2 or not gate.calls:
            await asyncio.sleep(0.001)
        first.cancel()
        gate.opened.release()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await waiting

    assert asyncio.run(main()) == DATA
    assert gate.calls == 1


def test_an_interrupted_load_is_done_again_by_one_who_waits() -> None:
    gate = Gate(KeyboardInterrupt(), DATA)
    backend = DictBackend(gate)
    with ThreadPoolExecutor(2) as pool:
        interrupted = pool.submit(backend.fetch_category, CATEGORY)
        assert gate.entered.acquire(timeout=10)
        waiting = pool.submit(backend.fetch_category, CATEGORY)
        while backend._v2.counts["misses"] < 2:
            threading.Event().wait(0.001)
        gate.opened.release(2)
        assert waiting.result() == DATA
        assert isinstance(interrupted.exception(), KeyboardInterrupt)


def number(data: Data) -> int:
    assert data is not None
    found: int = data["version"]["number"]
    return found


def test_no_reader_gets_data_older_than_what_another_one_had_got_before(tmp_path: Path) -> None:
    file = tmp_path / "category.json"
    file.write_text("0")
    backend = FileBackend(file, lambda _: {"version": {"number": int(file.read_text())}})
    seen = [0]
    done = threading.Event()

    def read() -> bool:
        while not done.is_set():
            before = seen[0]
            if number(backend.fetch_category(CATEGORY)) < before:
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        for version in range(1, 60):
            fresh = tmp_path / "fresh"
            fresh.write_text(str(version) + " " * version)  # each of another size: the clock is too coarse
            fresh.replace(file)
            if version % 3 == 0:
                backend.mark_stale(CATEGORY)
            if number(backend.fetch_category(CATEGORY)) == version:
                seen[0] = version
        done.set()
        assert all(reader.result() for reader in readers)
    assert seen[0] > 0


def test_async_reads_share_the_cache_with_sync_ones() -> None:
    backend = DictBackend(lambda _: {"m": {}})
    assert asyncio.run(backend.fetch_category_async(CATEGORY)) is backend.fetch_category(CATEGORY)
