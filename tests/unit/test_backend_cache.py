from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from refsync.backends.base import Data
from refsync.categories import CanonicalFormat, CategoryName
from tests.support.backends import CATEGORY, Clock, DictBackend, FileBackend, Heard

DATA = {"Deliberate": {"nsfw": False}}


def plain(**options: Any) -> DictBackend:
    return DictBackend(lambda _: DATA, **options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "category.json"
    path.write_text("one")
    return path


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def unreadable(file: Path) -> None:
    """A name that leads to itself: stat raises for everybody, root too."""
    file.unlink()
    file.symlink_to(file)


def loaded(backend: DictBackend) -> DictBackend:
    backend.fetch_category(CATEGORY)
    backend.get_legacy_json(CATEGORY)
    return backend


def answers(backend: DictBackend) -> tuple[bool, bool, bool]:
    """Valid, needs refresh, legacy valid; each on a category in the same state."""
    legacy = backend.is_legacy_cache_valid(CATEGORY)
    return backend.is_cache_valid(CATEGORY), backend.needs_refresh(CATEGORY), legacy


# The tables, row by row.


def test_a_marked_category_is_invalid_and_needs_refresh() -> None:
    backend = loaded(plain())
    backend.mark_stale(CATEGORY)
    backend._stale_legacy_categories.add(CATEGORY)
    assert answers(backend) == (False, True, False)


def test_a_category_marked_before_it_was_loaded_needs_refresh() -> None:
    backend = plain()
    backend.mark_stale(CATEGORY)
    assert answers(backend) == (False, True, False)
    assert not backend.has_cached_data(CATEGORY)


def test_nothing_stored_is_invalid_and_needs_no_refresh() -> None:
    backend = plain()
    assert answers(backend) == (False, False, False)
    assert backend.should_fetch_data(CATEGORY)


def test_an_entry_is_asked_for_before_its_age(clock: Clock) -> None:
    backend = plain(cache_ttl_seconds=10)
    heard = Heard(backend)
    backend._category_timestamps[CATEGORY] = clock.now - 11
    assert not backend.is_cache_valid(CATEGORY)
    assert heard.categories == []
    assert backend.needs_refresh(CATEGORY)
    assert heard.categories == [CATEGORY]


def test_without_a_time_of_loading_nothing_is_valid_and_nothing_needs_refresh() -> None:
    backend = loaded(plain())
    backend._invalidate_category_timestamp(CATEGORY)
    del backend._legacy_cache_timestamps[CATEGORY]
    assert answers(backend) == (False, False, False)


def test_an_age_equal_to_the_ttl_is_fine(clock: Clock) -> None:
    backend = loaded(plain(cache_ttl_seconds=60))
    clock.now += 60
    assert answers(backend) == (True, False, True)


@pytest.mark.parametrize("question", ["is_cache_valid", "needs_refresh"])
@pytest.mark.parametrize("seconds", [61, -1])
def test_an_age_over_the_ttl_or_below_zero_marks_stale(clock: Clock, question: str, seconds: int) -> None:
    backend = loaded(plain(cache_ttl_seconds=60))
    heard = Heard(backend)
    clock.now += seconds
    assert not backend.is_legacy_cache_valid(CATEGORY)
    assert heard.categories == []
    assert getattr(backend, question)(CATEGORY) is (question == "needs_refresh")
    assert heard.categories == [CATEGORY]
    assert CATEGORY in backend._stale_categories
    assert CATEGORY not in backend._stale_legacy_categories
    assert backend.has_cached_data(CATEGORY)


@pytest.mark.parametrize("question", ["is_cache_valid", "needs_refresh"])
@pytest.mark.parametrize("shift", [5, -5])
def test_any_other_mtime_marks_stale(file: Path, question: str, shift: int) -> None:
    backend = loaded(FileBackend(file, lambda _: DATA))
    heard = Heard(backend)
    assert answers(backend) == (True, False, True)
    os.utime(file, (file.stat().st_atime, file.stat().st_mtime + shift))
    assert not backend.is_legacy_cache_valid(CATEGORY)
    assert getattr(backend, question)(CATEGORY) is (question == "needs_refresh")
    assert heard.categories == [CATEGORY]


def test_no_recorded_mtime_counts_as_zero(file: Path) -> None:
    backend = loaded(FileBackend(file, lambda _: DATA))
    assert backend._last_known_mtimes[CATEGORY] == backend._legacy_last_known_mtimes[CATEGORY] == file.stat().st_mtime
    backend._last_known_mtimes.clear()
    backend._legacy_last_known_mtimes.clear()
    assert answers(backend) == (False, True, False)


def test_a_failing_stat_is_invalid_but_marks_nothing(file: Path) -> None:
    backend = loaded(FileBackend(file, lambda _: DATA))
    heard = Heard(backend)
    unreadable(file)
    assert answers(backend) == (False, True, False)
    assert heard.categories == []
    assert backend._stale_categories == set()


def test_a_file_whose_state_cannot_be_told_is_recorded_as_zero(file: Path) -> None:
    unreadable(file)
    backend = loaded(FileBackend(file, lambda _: DATA))
    assert backend._last_known_mtimes[CATEGORY] == 0.0


def test_the_own_rule_is_asked_last_and_by_one_question_only() -> None:
    class Strict(DictBackend):
        asked = 0

        def _additional_cache_validation(self, category: CategoryName) -> bool:
            self.asked += 1
            return False

    backend = Strict(lambda _: DATA)
    backend._store_in_cache(CATEGORY, DATA)
    backend._store_legacy_in_cache(CATEGORY, DATA, None)
    heard = Heard(backend)
    assert answers(backend) == (False, False, True)
    assert backend.asked == 1
    assert heard.categories == []


# What is better than a float of seconds.


def test_a_rewrite_that_keeps_the_mtime_is_noticed(file: Path) -> None:
    backend = loaded(FileBackend(file, lambda _: DATA))
    before = file.stat()
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert answers(backend) == (False, True, False)


def test_a_replacement_that_keeps_the_mtime_is_noticed(file: Path) -> None:
    backend = loaded(FileBackend(file, lambda _: DATA))
    other = file.with_suffix(".new")
    other.write_text("two")
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.rename(file)
    assert answers(backend) == (False, True, False)


def test_a_file_that_vanished_makes_stale_and_a_load_of_nothing_then_clears(file: Path) -> None:
    backend = FileBackend(file, lambda _: DATA if file.exists() else None)
    heard = Heard(backend)
    loaded(backend)
    file.unlink()
    assert answers(backend) == (False, True, False)
    assert backend.has_cached_data(CATEGORY)
    assert backend.fetch_category(CATEGORY) is None
    assert not backend.has_cached_data(CATEGORY)
    assert answers(backend) == (False, False, False)
    assert heard.categories == [CATEGORY]


def test_a_write_during_the_load_is_noticed_afterwards(file: Path) -> None:
    def read_then_overtaken(_: CategoryName) -> Data:
        file.write_text("newer")
        return DATA

    backend = FileBackend(file, read_then_overtaken)
    backend.fetch_category(CATEGORY)
    assert not backend.is_cache_valid(CATEGORY)


def test_the_state_from_before_the_read_can_be_handed_to_the_store(file: Path) -> None:
    backend = loaded(FileBackend(file, lambda _: DATA))
    before = backend._v2.file_states[CATEGORY]
    file.write_text("newer")
    backend._store_in_cache(CATEGORY, DATA, file_state=before)
    assert not backend.is_cache_valid(CATEGORY)
    backend._store_in_cache(CATEGORY, DATA)
    assert backend.is_cache_valid(CATEGORY)


def test_an_invalidation_during_the_load_is_not_lost() -> None:
    backend: DictBackend

    def read_then_invalidated(_: CategoryName) -> Data:
        backend.mark_stale(CATEGORY)
        return DATA

    backend = DictBackend(read_then_invalidated)
    assert backend.fetch_category(CATEGORY) == DATA
    assert not backend.is_cache_valid(CATEGORY)
    assert backend.staleness(CATEGORY) is not None


# Storing and invalidating.


def test_a_read_is_served_from_the_cache_until_forced() -> None:
    reads: list[CategoryName] = []

    def source(category: CategoryName) -> Data:
        reads.append(category)
        return {"number": {"n": len(reads)}}

    backend = DictBackend(source)
    assert backend.fetch_category(CATEGORY) is backend.fetch_category(CATEGORY)
    assert backend.fetch_category(CATEGORY, force_refresh=True) == {"number": {"n": 2}}
    assert backend.get_legacy_json(CATEGORY) == backend.get_legacy_json(CATEGORY) == {"number": {"n": 3}}
    assert backend.get_legacy_json(CATEGORY, redownload=True) == {"number": {"n": 4}}
    assert backend._get_legacy_from_cache(CATEGORY) == ({"number": {"n": 4}}, "the text")


def test_storing_makes_fresh_and_storing_nothing_does_not(clock: Clock) -> None:
    backend = plain()
    backend._store_in_cache(CATEGORY, None)
    backend._store_legacy_in_cache(CATEGORY, None, None)
    assert answers(backend) == (False, False, False)
    assert (backend._category_timestamps, backend._legacy_cache_timestamps) == ({}, {})
    backend.mark_stale(CATEGORY)
    backend._store_in_cache(CATEGORY, DATA)
    backend._store_legacy_in_cache(CATEGORY, None, "text only")
    assert answers(backend) == (True, False, True)
    assert backend._category_timestamps[CATEGORY] == clock.now
    assert backend._get_from_cache(CATEGORY) is DATA
    assert backend._get_legacy_from_cache(CATEGORY) == (None, "text only")


def test_invalidating_drops_the_time_keeps_the_data_and_tells_nobody() -> None:
    backend = loaded(plain())
    heard = Heard(backend)
    backend._invalidate_cache(CATEGORY)
    backend._invalidate_legacy_cache(CATEGORY)
    assert answers(backend) == (False, True, False)
    assert (CATEGORY in backend._category_timestamps, CATEGORY in backend._legacy_cache_timestamps) == (False, False)
    assert backend._cache[CATEGORY] == backend._legacy_json_cache[CATEGORY] == DATA
    assert backend._legacy_json_string_cache[CATEGORY] == "the text"
    assert (backend._get_from_cache(CATEGORY), backend._get_legacy_from_cache(CATEGORY)) == (None, (None, None))
    assert heard.categories == []


def test_marking_fresh_takes_the_mark_off() -> None:
    backend = loaded(plain())
    backend._invalidate_cache(CATEGORY)
    backend._invalidate_legacy_cache(CATEGORY)
    backend._mark_category_fresh(CATEGORY)
    backend._mark_legacy_category_fresh(CATEGORY)
    assert answers(backend) == (True, False, True)


def test_mark_stale_concerns_the_v2_cache_alone() -> None:
    backend = loaded(plain())
    backend.mark_stale(CATEGORY)
    assert not backend.is_cache_valid(CATEGORY)
    assert backend.is_legacy_cache_valid(CATEGORY)


def test_a_new_ttl_holds_at_once_for_both_caches(clock: Clock) -> None:
    backend = loaded(plain())
    clock.now += 100
    assert (backend.cache_ttl_seconds, *answers(backend)) == (None, True, False, True)
    backend._set_cache_ttl_seconds(50)
    assert (backend.cache_ttl_seconds, *answers(backend)) == (50, False, True, False)


# Failures.


class Flaky:
    """A source that fails when told to."""

    def __init__(self) -> None:
        self.answer: Data | Exception = DATA
        self.asked = 0

    def __call__(self, _: CategoryName) -> Data:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("failure", [None, OSError("the source is down")])
def test_a_failed_refresh_keeps_the_last_good_data_in_service_visibly_stale(failure: Exception | None) -> None:
    source = Flaky()
    backend = loaded(DictBackend(source))
    heard = Heard(backend)
    backend.mark_stale(CATEGORY)
    source.answer = failure
    assert backend.fetch_category(CATEGORY) == DATA
    assert answers(backend) == (False, True, True)
    staleness = backend.staleness(CATEGORY)
    assert staleness is not None
    assert ("source has nothing" if failure is None else "the source is down") in staleness.reason
    source.answer = {"new": {}}
    assert backend.fetch_category(CATEGORY) == {"new": {}}
    assert (backend.staleness(CATEGORY), *answers(backend)) == (None, True, False, True)
    assert heard.categories == [CATEGORY]


@pytest.mark.parametrize("failure", [None, OSError("the source is down")])
def test_a_forced_refresh_shows_its_failure_and_makes_good_data_stale(failure: Exception | None) -> None:
    source = Flaky()
    backend = loaded(DictBackend(source))
    heard = Heard(backend)
    source.answer = failure
    if failure is None:
        assert backend.fetch_category(CATEGORY, force_refresh=True) is None
    else:
        with pytest.raises(OSError, match="the source is down"):
            backend.fetch_category(CATEGORY, force_refresh=True)
    assert heard.categories == [CATEGORY]
    assert not backend.is_cache_valid(CATEGORY)
    assert backend.fetch_category(CATEGORY) == DATA


def test_a_failure_with_nothing_cached_reaches_the_caller_and_stores_nothing() -> None:
    source = Flaky()
    source.answer = OSError("the source is down")
    backend = DictBackend(source)
    with pytest.raises(OSError, match="the source is down"):
        backend.fetch_category(CATEGORY)
    assert (backend._cache, answers(backend)) == ({}, (False, False, False))


def test_a_failed_legacy_refresh_keeps_the_last_good_data_too() -> None:
    source = Flaky()
    backend = loaded(DictBackend(source))
    backend._invalidate_legacy_cache(CATEGORY)
    source.answer = OSError("the source is down")
    assert backend.get_legacy_json(CATEGORY) == DATA
    assert not backend.is_legacy_cache_valid(CATEGORY)
    assert backend.staleness(CATEGORY, CanonicalFormat.legacy) is not None
    with pytest.raises(OSError, match="the source is down"):
        backend.get_legacy_json(CATEGORY, redownload=True)


def test_what_is_missing_is_asked_for_again_unless_a_negative_ttl_says_otherwise(clock: Clock) -> None:
    source = Flaky()
    source.answer = None
    eager, patient = DictBackend(source), DictBackend(source, negative_ttl_seconds=5)
    assert [eager.fetch_category(CATEGORY) for _ in range(2)] == [None, None]
    assert source.asked == 2
    assert [patient.fetch_category(CATEGORY) for _ in range(2)] == [None, None]
    assert source.asked == 3
    assert not patient.is_cache_valid(CATEGORY)
    clock.now += 5
    patient.fetch_category(CATEGORY)
    assert source.asked == 4
    patient.mark_stale(CATEGORY)
    patient.fetch_category(CATEGORY)
    assert source.asked == 5


# Callbacks, copies, locks.


def test_callbacks_run_once_for_each_change_from_fresh_to_stale(clock: Clock) -> None:
    backend = loaded(plain(cache_ttl_seconds=10))
    heard = Heard(backend)
    clock.now += 11
    for _ in range(3):
        backend.is_cache_valid(CATEGORY)
        backend.needs_refresh(CATEGORY)
        backend.mark_stale(CATEGORY)
    assert heard.categories == [CATEGORY]
    backend.fetch_category(CATEGORY)
    backend.mark_stale(CATEGORY)
    assert heard.categories == [CATEGORY, CATEGORY]


def test_callbacks_run_outside_the_lock_whatever_triggered_them(clock: Clock, file: Path) -> None:
    source = Flaky()
    backend = FileBackend(file, source, cache_ttl_seconds=10)
    heard = Heard(backend)
    asks = (
        lambda: backend.mark_stale(CATEGORY),
        lambda: backend.is_cache_valid(CATEGORY),
        lambda: backend.needs_refresh(CATEGORY),
        lambda: backend._get_from_cache(CATEGORY),
        lambda: backend.fetch_category(CATEGORY),
        lambda: backend._store_in_cache(CATEGORY, None),
    )
    for ask in asks:
        backend._store_in_cache(CATEGORY, DATA)
        clock.now += 11
        ask()
    assert len(heard.categories) == len(asks)
    assert all(heard.lock_was_free)


def test_a_copy_belongs_to_the_caller() -> None:
    backend = DictBackend(lambda _: {"m": {"files": [1]}})
    record = backend.get_record(CATEGORY, "m")
    assert record == {"files": [1]}
    record["files"].append(2)
    whole = backend._fetch_with_cache(CATEGORY, lambda: None, copy=True)
    assert whole == {"m": {"files": [1]}}
    whole.clear()
    assert backend.fetch_category(CATEGORY) == {"m": {"files": [1]}}
    assert backend.get_record(CATEGORY, "no such model") is None


def test_the_async_lock_serves_several_loops() -> None:
    backend = plain()

    async def contend() -> object:
        lock = backend.async_lock
        assert lock is not None
        assert lock is backend.async_lock

        async def hold() -> None:
            async with lock:
                await asyncio.sleep(0)

        await asyncio.gather(hold(), hold())
        return lock

    assert asyncio.run(contend()) is not asyncio.run(contend())
    assert isinstance(backend.async_lock, asyncio.Lock)
