from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from refsync.backends.base import Category, Data
from refsync.backends.single_flight import SingleFlight
from tests.support.backends import CATEGORY, DictBackend

DATA: Data = {"Deliberate": {}}


class Gate:
    """A source that answers when it is opened."""

    def __init__(self, *answers: Data | Exception) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Semaphore(0)
        self.calls = 0
        self._answers = iter(answers)

    def __call__(self, _: Category) -> Data:
        self.calls += 1
        answer = next(self._answers)
        self.entered.release()
        assert self.opened.acquire(timeout=10)
        if isinstance(answer, Exception):
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
    flights: SingleFlight[Category] = SingleFlight()
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

    def source(category: Category) -> Data:
        nonlocal depth
        depth += 1
        return DATA if depth == 2 else backend.fetch_category(category)

    backend = DictBackend(source)
    assert backend.fetch_category(CATEGORY) == DATA


def test_coroutines_of_several_loops_and_threads_share_one_load() -> None:
    gate = Gate(DATA)
    backend = DictBackend(gate)

    async def source() -> Data:
        return await asyncio.to_thread(gate, CATEGORY)

    async def read_twice() -> list[Data]:
        return await asyncio.gather(*(backend._fetch_with_cache_async(CATEGORY, source) for _ in range(2)))

    with ThreadPoolExecutor(4) as pool:
        loops = [pool.submit(asyncio.run, read_twice()) for _ in range(2)]
        thread = pool.submit(backend.fetch_category, CATEGORY)
        gate.open_after(5, backend)
        assert [loop.result() for loop in loops] == [[DATA, DATA]] * 2
        assert thread.result() == DATA
    assert gate.calls == 1


def test_the_event_loop_is_free_while_a_category_loads() -> None:
    gate = Gate(DATA)
    backend = DictBackend(gate)

    async def source() -> Data:
        return await asyncio.to_thread(gate, CATEGORY)

    async def main() -> Data:
        read = asyncio.create_task(backend._fetch_with_cache_async(CATEGORY, source))
        while not gate.calls:
            await asyncio.sleep(0)
        gate.opened.release()
        return await read

    assert asyncio.run(main()) == DATA


def test_a_cancelled_load_is_done_again_by_one_who_waits() -> None:
    backend = DictBackend(lambda _: DATA)

    async def main() -> Data:
        started = asyncio.Event()

        async def never() -> Data:
            started.set()
            await asyncio.Event().wait()
            raise AssertionError

        async def source() -> Data:
            return DATA

        first = asyncio.create_task(backend._fetch_with_cache_async(CATEGORY, never))
        await started.wait()
        waiting = asyncio.create_task(backend._fetch_with_cache_async(CATEGORY, source))
        while backend._v2.counts["misses"] < 2:
            await asyncio.sleep(0.001)
        first.cancel()
        result = await waiting
        with pytest.raises(asyncio.CancelledError):
            await first
        return result

    assert asyncio.run(main()) == DATA


def test_a_cancelled_waiter_leaves_the_load_to_the_others() -> None:
    gate = Gate(DATA)
    backend = DictBackend(gate)

    async def source() -> Data:
        return await asyncio.to_thread(gate, CATEGORY)

    async def main() -> Data:
        first = asyncio.create_task(backend._fetch_with_cache_async(CATEGORY, source))
        waiting = asyncio.create_task(backend._fetch_with_cache_async(CATEGORY, source))
        while backend._v2.counts["misses"] < 2 or not gate.calls:
            await asyncio.sleep(0.001)
        waiting.cancel()
        gate.opened.release()
        return await first

    assert asyncio.run(main()) == DATA
    assert gate.calls == 1


def test_a_sync_read_on_the_loop_does_not_wait_for_the_loops_own_load() -> None:
    backend = DictBackend(lambda _: {"sync": {}})

    async def main() -> tuple[Data, Data]:
        started, go_on = asyncio.Event(), asyncio.Event()

        async def source() -> Data:
            started.set()
            await go_on.wait()
            return DATA

        load = asyncio.create_task(backend._fetch_with_cache_async(CATEGORY, source))
        await started.wait()
        read = backend.fetch_category(CATEGORY)
        go_on.set()
        return read, await load

    assert asyncio.run(main()) == ({"sync": {}}, DATA)


def test_async_reads_share_the_cache_with_sync_ones() -> None:
    backend = DictBackend(lambda _: {"m": {}})
    assert asyncio.run(backend.fetch_category_async(CATEGORY)) is backend.fetch_category(CATEGORY)
