"""The two caches are one piece of logic: each format and category stands on its own file, counters and reasons."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from refsync.backends.base import Data
from refsync.backends.format_cache import Staleness
from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.categories import CanonicalFormat, CategoryName
from tests.support.backends import Clock, DictBackend

CLIP, LORA = Category.clip, Category.lora
V2, LEGACY = CanonicalFormat.v2, CanonicalFormat.legacy
NEW, OLD = {"m": {"v": 2}}, {"m": {"v": 1}}
Load = Callable[[], Data]


class Files(DictBackend):
    """A file of its own for each category and format."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(lambda _: OLD, **options)
        self.folder = folder
        self.asked: list[tuple[str, CategoryName]] = []

    def file(self, format: CanonicalFormat, category: CategoryName = CLIP) -> Path:
        return self.folder / f"{category}.{format}"

    def _get_file_path_for_validation(self, category: CategoryName) -> Path | None:
        return self.file(V2, category)

    def _get_legacy_file_path_for_validation(self, category: CategoryName) -> Path | None:
        return self.file(LEGACY, category)

    def _additional_cache_validation(self, category: CategoryName) -> bool:
        self.asked.append(("rule", category))
        return True

    def _mark_stale_impl(self, category: CategoryName) -> None:
        self.asked.append(("stale", category))
        super()._mark_stale_impl(category)


class Side:
    """One of the two caches of a backend, by the same names."""

    def __init__(self, backend: Files, format: CanonicalFormat) -> None:
        self.backend, self.format = backend, format
        v2 = format is V2
        self.valid = backend.is_cache_valid if v2 else backend.is_legacy_cache_valid
        self.mtimes = backend._last_known_mtimes if v2 else backend._legacy_last_known_mtimes
        self.payloads = backend._cache if v2 else backend._legacy_json_cache
        self.mark_fresh = backend._mark_category_fresh if v2 else backend._mark_legacy_category_fresh
        self.invalidate = backend._invalidate_cache if v2 else backend._invalidate_legacy_cache

    @property
    def file(self) -> Path:
        return self.backend.file(self.format)

    def store(self, data: Data) -> None:
        if self.format is V2:
            self.backend._store_in_cache(CLIP, data)
        else:
            self.backend._store_legacy_in_cache(CLIP, data, None if data is None else "text")

    def fetch(self, load: Load, *, force: bool = False) -> Data:
        if self.format is V2:
            return self.backend._fetch_with_cache(CLIP, load, force_refresh=force)
        return self.backend._fetch_legacy_with_cache(CLIP, lambda: (load(), None), redownload=force)[0]

    def statistics(self) -> dict[str, Any]:
        found: dict[str, Any] = self.backend._cache_statistics()[self.format]
        return found

    def staleness(self) -> Staleness | None:
        return self.backend.staleness(CLIP, self.format)


@pytest.fixture
def backend(tmp_path: Path) -> Files:
    made = Files(tmp_path)
    for mtime, (format, category) in enumerate([(V2, CLIP), (LEGACY, CLIP), (V2, LORA), (LEGACY, LORA)], start=100):
        made.file(format, category).write_text("{}")
        os.utime(made.file(format, category), (mtime, mtime))
    return made


@pytest.fixture(params=[V2, LEGACY], ids=str)
def side(request: pytest.FixtureRequest, backend: Files) -> Side:
    return Side(backend, request.param)


@contextmanager
def warnings() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message).rstrip()), format="{message}", level="WARNING")
    try:
        yield lines
    finally:
        logger.remove(sink)


def fails(text: str) -> Load:
    def load() -> Data:
        raise OSError(text)

    return load


def own_mtime(side: Side) -> float:
    return side.file.stat().st_mtime


# Files.


def test_a_stored_entry_stands_on_the_file_of_its_format_and_category(side: Side) -> None:
    side.store(OLD)
    assert side.mtimes == {CLIP: own_mtime(side)}
    for path in side.backend.folder.iterdir():
        if path != side.file:
            path.write_text("changed")
    assert side.valid(CLIP)
    side.file.write_text("changed")
    assert not side.valid(CLIP)


def test_marking_fresh_takes_the_state_of_that_file(side: Side) -> None:
    side.store(OLD)
    side.file.write_text("changed")
    side.mark_fresh(CLIP)
    assert side.mtimes == {CLIP: own_mtime(side)}
    assert side.valid(CLIP)


def test_freshness_alone_is_no_data(side: Side) -> None:
    side.mark_fresh(CLIP)
    assert not side.valid(CLIP)


def test_a_load_takes_the_state_from_before_it_read(side: Side) -> None:
    assert side.fetch(lambda: OLD) == OLD
    assert side.mtimes == {CLIP: own_mtime(side)}
    assert side.valid(CLIP)

    def written_meanwhile() -> Data:
        side.file.write_text("a new version")
        return OLD

    side.fetch(written_meanwhile, force=True)
    assert not side.valid(CLIP)


def test_a_load_is_made_once_and_again_only_when_told(side: Side) -> None:
    loads: list[int] = []

    def load() -> Data:
        loads.append(1)
        return OLD

    side.fetch(load)
    side.fetch(load)
    assert len(loads) == 1
    side.fetch(load, force=True)
    assert len(loads) == 2


def test_the_legacy_cache_answers_unless_told_to_load_anew(backend: Files) -> None:
    assert backend._fetch_legacy_with_cache(CLIP, lambda: (OLD, "text")) == (OLD, "text")
    assert backend._fetch_legacy_with_cache(CLIP, lambda: (NEW, "other")) == (OLD, "text")


def test_only_the_loss_of_the_own_file_clears_good_data(side: Side) -> None:
    side.store(OLD)
    for path in side.backend.folder.iterdir():
        if path != side.file:
            path.unlink()
    assert side.fetch(lambda: None, force=True) is None
    assert side.payloads == {CLIP: OLD}
    side.file.unlink()
    assert side.fetch(lambda: None, force=True) is None
    assert CLIP not in side.payloads


def test_a_file_that_comes_during_a_load_of_nothing_keeps_the_good_data(side: Side) -> None:
    side.store(OLD)
    side.file.unlink()

    def written_meanwhile() -> Data:
        side.file.write_text("half a fi")
        return None

    assert side.fetch(written_meanwhile, force=True) is None
    assert side.payloads == {CLIP: OLD}


def test_a_result_of_nothing_is_stored_and_asked_for_again(side: Side) -> None:
    assert side.fetch(lambda: None) is None
    assert side.payloads == {CLIP: None}
    assert not side.backend.has_cached_data(CLIP)
    assert side.fetch(lambda: OLD) == OLD


def test_an_entry_without_a_file_stays_valid_until_one_comes(side: Side) -> None:
    side.file.unlink()
    side.store(OLD)
    assert side.valid(CLIP)
    side.file.write_text("{}")
    assert not side.valid(CLIP)


def test_no_recorded_mtime_is_the_same_as_zero_for_a_file_of_that_time(side: Side) -> None:
    side.file.unlink()
    side.store(OLD)
    side.file.write_text("{}")
    os.utime(side.file, (0, 0))
    assert side.valid(CLIP)
    os.utime(side.file, (1, 1))
    assert not side.valid(CLIP)


# Questions of the v2 cache.


def test_what_is_to_be_fetched_is_asked_for_each_category(backend: Files) -> None:
    backend._store_in_cache(CLIP, OLD)
    assert [backend.should_fetch_data(category) for category in (CLIP, LORA)] == [False, True]
    assert ("rule", CLIP) in backend.asked
    backend.mark_stale(LORA)
    assert backend.asked[-1] == ("stale", LORA)
    backend._mark_stale_impl(CLIP)
    assert backend._stale_categories == {CLIP, LORA}


def test_an_age_of_nothing_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    for format in (V2, LEGACY):
        side = Side(Files(tmp_path, cache_ttl_seconds=10), format)
        side.store(OLD)
        assert side.valid(CLIP)
        clock.now += 0.5
        assert side.valid(CLIP)


def test_what_was_never_loaded_can_be_invalidated(side: Side) -> None:
    side.invalidate(CLIP)
    side.backend._invalidate_category_timestamp(LORA)
    assert side.staleness() is not None
    assert side.payloads == {}


# Invalidation during a load.


def test_an_invalidation_during_a_load_after_another_is_not_lost(
    backend: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    backend.mark_stale(CLIP)

    def invalidated_meanwhile() -> Data:
        backend.mark_stale(CLIP)
        clock.now += 5
        return OLD

    backend._store_in_cache(CLIP, OLD)
    since = clock.now
    backend._fetch_with_cache(CLIP, invalidated_meanwhile, force_refresh=True)
    assert backend.staleness(CLIP) == Staleness(since, "marked stale")
    assert not backend.is_cache_valid(CLIP)


def test_older_data_does_not_cover_what_came_during_its_load(backend: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    def overtaken() -> Data:
        backend.mark_stale(CLIP)
        backend._store_in_cache(CLIP, NEW)
        clock.now += 5
        return OLD

    backend._fetch_with_cache(CLIP, overtaken, force_refresh=True)
    assert backend.staleness(CLIP) == Staleness(clock.now, "marked stale")


# Failures and absence.


def test_a_failure_is_told_once_for_each_state_of_the_file_and_each_cause(side: Side) -> None:
    side.store(OLD)
    side.invalidate(CLIP)
    told = "clip cannot be loaded, the last good data stays in use: boom"
    with warnings() as lines:
        assert [side.fetch(fails("boom")) for _ in range(3)] == [OLD] * 3
        assert lines == [told]
        side.file.write_text("still broken")
        side.fetch(fails("boom"))
        assert lines == [told] * 2
        side.fetch(fails("bang"))
        assert lines[2:] == [told.replace("boom", "bang")]


def test_known_absence_is_answered_with_the_last_good_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    for format in (V2, LEGACY):
        side = Side(Files(tmp_path, negative_ttl_seconds=10), format)
        side.file.write_text("{}")
        side.store(OLD)
        side.file.write_text("emptied")
        side.invalidate(CLIP)
        assert side.fetch(lambda: None) == OLD
        assert side.fetch(fails("never asked")) == OLD


# Statistics.


def test_the_counters_tell_hits_misses_loads_and_failures(side: Side) -> None:
    assert side.statistics() == {
        "hits": 0,
        "misses": 0,
        "loads": 0,
        "failed_loads": 0,
        "invalidations": {},
        "bytes": 0,
        "categories": {},
    }
    side.fetch(lambda: OLD)
    for _ in range(3):
        side.fetch(lambda: OLD)
    for _ in range(2):
        side.invalidate(CLIP)
        side.fetch(fails("boom"))
    counted = side.statistics()
    assert {name: counted[name] for name in ("hits", "misses", "loads", "failed_loads")} == {
        "hits": 3,
        "misses": 3,
        "loads": 1,
        "failed_loads": 2,
    }
    assert counted["bytes"] == len("{}")


def test_invalidations_are_counted_by_cause_and_told_with_their_reason(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    causes: list[tuple[Callable[[], object], str]] = [
        (lambda: side.invalidate(CLIP), "invalidated"),
        (lambda: side.invalidate(CLIP), "invalidated"),
        (lambda: side.fetch(fails("boom"), force=True), "the refresh failed: boom"),
        (lambda: side.fetch(lambda: None, force=True), "the source has nothing"),
    ]
    for cause, reason in causes:
        side.store(OLD)
        clock.now += 1
        try:
            cause()
        except OSError:
            assert "boom" in reason
        assert side.staleness() == Staleness(clock.now, reason)
    assert side.statistics()["invalidations"] == {"invalidated": 2, "failed_load": 1, "nothing_found": 1}


def test_the_v2_cache_names_what_its_checks_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    backend = Files(tmp_path, cache_ttl_seconds=10)
    file = backend.file(V2)

    def grow_old() -> None:
        clock.now += 11

    causes: list[tuple[Callable[[], object], str]] = [
        (lambda: backend.mark_stale(CLIP), "marked stale"),
        (grow_old, "its time to live is over"),
        (lambda: file.write_text("changed"), "the file has changed"),
        (file.unlink, "the file is gone"),
    ]
    for cause, reason in causes:
        file.write_text("{}")
        backend._store_in_cache(CLIP, OLD)
        cause()
        assert not backend.is_cache_valid(CLIP)
        assert backend.staleness(CLIP) == Staleness(clock.now, reason)
    counted = Side(backend, V2).statistics()["invalidations"]
    assert counted == {"marked": 1, "expired": 1, "changed": 1, "gone": 1}


def test_what_is_outdated_again_is_outdated_since_the_first_time(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    side.store(OLD)
    side.invalidate(CLIP)
    since = clock.now
    clock.now += 7
    side.fetch(fails("boom"))
    assert side.staleness() == Staleness(since, "the refresh failed: boom")
    side.store(NEW)
    assert side.staleness() is None
    side.invalidate(CLIP)
    assert side.staleness() == Staleness(clock.now, "invalidated")


def test_each_loaded_category_is_told_with_age_bytes_and_staleness(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    side.store(OLD)
    clock.now += 0.25
    fresh = {"age_seconds": 0.25, "bytes": 2, "stale_since": None, "stale_reason": None}
    assert side.statistics()["categories"] == {"clip": fresh}
    clock.now -= 5
    assert side.statistics()["categories"]["clip"]["age_seconds"] == 0
    side.invalidate(CLIP)
    stale = {"age_seconds": None, "bytes": 2, "stale_since": clock.now, "stale_reason": "invalidated"}
    assert side.statistics()["categories"] == {"clip": stale}
    side.file.unlink()
    side.store(NEW)
    assert side.statistics()["categories"]["clip"]["bytes"] is None
