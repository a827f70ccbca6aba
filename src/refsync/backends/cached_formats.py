"""One logic for the caches of both formats: judging an entry, marking it stale, and loading it.

One load serves all who ask at once, and good data stays in service while a source fails.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path

from loguru import logger

from refsync.backends.base import Data, ModelReferenceBackend, ReplicateMode
from refsync.backends.file_state import Observed, observe
from refsync.backends.format_cache import FormatCache, Loaded, Row, Verdict, has_data
from refsync.backends.single_flight import Abandoned, Flight
from refsync.categories import SPECIFIED, CanonicalFormat, Catalogue, CategoryName


class CachedFormats(ModelReferenceBackend):
    """A v2 and a legacy cache, safe for many threads; which file an entry follows is for the subclass to say."""

    _catalogue: Catalogue = SPECIFIED
    """Which categories there are."""

    def __init__(self, mode: ReplicateMode, cache_ttl_seconds: int | None, negative_ttl_seconds: float) -> None:
        super().__init__(mode)
        self._cache_ttl_seconds = cache_ttl_seconds
        self._negative_ttl_seconds = negative_ttl_seconds
        self._lock = threading.RLock()
        self._cache: dict[CategoryName, Data] = {}
        self._v2 = FormatCache(self._get_file_path_for_validation, self._cache)
        self._legacy_json_cache: dict[CategoryName, Data] = {}
        self._legacy_json_string_cache: dict[CategoryName, str | None] = {}
        self._legacy = FormatCache(
            self._get_legacy_file_path_for_validation, self._legacy_json_cache, self._legacy_json_string_cache
        )

    @abstractmethod
    def _now(self) -> float:
        """The clock, in Unix seconds."""

    # Hooks for subclasses.

    def _get_file_path_for_validation(self, category: CategoryName) -> Path | None:
        """The file whose change makes the v2 entry outdated; ``None``: there is none."""
        return None

    def _get_legacy_file_path_for_validation(self, category: CategoryName) -> Path | None:
        """The file whose change makes the legacy entry outdated; ``None``: there is none."""
        return None

    def _additional_cache_validation(self, category: CategoryName) -> bool:
        """A rule of the subclass's own, asked last and only by ``is_cache_valid``."""
        return True

    # Judging and marking.

    def _cache_of(self, format: CanonicalFormat) -> FormatCache:
        return self._v2 if format is CanonicalFormat.v2 else self._legacy

    def _observe(self, cache: FormatCache, category: CategoryName) -> Observed:
        """The validation file's state, ``None`` without a file, or why it cannot be told."""
        path = cache.path_of(category)
        return None if path is None else observe(path)

    def _loaded(self, cache: FormatCache, category: CategoryName, row: Row, before: Observed) -> Loaded:
        """What a fetch brought; nothing, with no file before or after it, is certain absence."""
        gone = (
            before is None
            and not has_data(row)
            and cache.path_of(category) is not None
            and self._observe(cache, category) is None
        )
        return Loaded(row, before, gone)

    def _judge(self, cache: FormatCache, category: CategoryName, *, needs_data: bool) -> Verdict:
        if needs_data and category not in cache.stale and not cache.holds_data(category):
            return Verdict.EMPTY
        return cache.judge(category, self._cache_ttl_seconds, self._now())

    def _judge_v2(self, category: CategoryName, *, needs_data: bool) -> Verdict:
        """The verdict; one that turns the entry stale does so in the same step, then tells the callbacks."""
        with self._lock:
            verdict = self._judge(self._v2, category, needs_data=needs_data)
            newly = verdict.turns_stale and self._mark_quietly(self._v2, category, verdict.name.lower(), verdict)
        if newly:
            self._notify_invalidation(category)
        return verdict

    def _mark(self, cache: FormatCache, category: CategoryName, cause: str, reason: str) -> None:
        with self._lock:
            newly = self._mark_quietly(cache, category, cause, reason)
        if newly and cache is self._v2:
            self._notify_invalidation(category)

    def _mark_quietly(self, cache: FormatCache, category: CategoryName, cause: str, reason: str) -> bool:
        """With the lock held; whether the entry was not stale before."""
        newly = cache.mark(category, cause, reason, self._now())
        if cache is self._v2:
            self._mark_stale_impl(category)
        return newly

    # Reading and loading.

    def _valid_row(self, cache: FormatCache, category: CategoryName) -> Row | None:
        """The row if it is good; a v2 entry that is found outdated is marked stale."""
        ttl = self._cache_ttl_seconds
        row = cache.plain_row(category, ttl, 0.0 if ttl is None else self._now())
        if row is None and (row := self._judged_row(cache, category)) is None:
            return None
        return row if cache is self._legacy or self._additional_cache_validation(category) else None

    def _judged_row(self, cache: FormatCache, category: CategoryName) -> Row | None:
        if cache is self._v2:
            verdict = self._judge_v2(category, needs_data=True)
        else:
            with self._lock:
                verdict = self._judge(cache, category, needs_data=True)
        with self._lock:
            row = cache.row(category)
        return row if verdict is Verdict.VALID and has_data(row) else None

    def _ready_row(self, cache: FormatCache, category: CategoryName) -> Row | None:
        """What an ordinary read is answered with at once; ``None``: it has to load."""
        row = self._valid_row(cache, category)
        if row is None:
            if not self._known_to_be_missing(cache, category):
                return None
            row = cache.row(category)
        cache.hits += 1
        return row

    def _known_to_be_missing(self, cache: FormatCache, category: CategoryName) -> bool:
        found_nothing_at = cache.found_nothing_at.get(category)
        return found_nothing_at is not None and 0 <= self._now() - found_nothing_at < self._negative_ttl_seconds

    def _fetch_through(
        self, cache: FormatCache, category: CategoryName, load: Callable[[], Loaded], *, force: bool
    ) -> Row:
        """A row from the cache, from a load under way, or from ``load``."""
        row = None if force else self._ready_row(cache, category)
        return row or self._load_through(cache, category, load, force=force)

    def _load_through(
        self, cache: FormatCache, category: CategoryName, load: Callable[[], Loaded], *, force: bool
    ) -> Row:
        """A row from a load under way, or from ``load``."""
        if not force:
            with self._lock:
                cache.counts["misses"] += 1
        flight, leads = self._board(cache, category, alone=force)
        if leads:
            with _Landing(self, cache, category, flight):
                row = None if force else self._valid_row(cache, category)  # one may just have ended
                flight.succeed(row or self._store(cache, category, load(), flight.generation))
        try:
            return self._answer(cache, category, flight, force=force)
        except Abandoned:
            return self._fetch_through(cache, category, load, force=force)

    def _board(self, cache: FormatCache, category: CategoryName, *, alone: bool) -> tuple[Flight, bool]:
        with self._lock:
            generation = cache.generations[category]
        return cache.flights.board(category, generation, alone=alone)

    def _store(self, cache: FormatCache, category: CategoryName, loaded: Loaded, generation: int | None = None) -> Row:
        """Keep what was loaded; ``generation`` tells whether it was invalidated during the load."""
        with self._lock:
            cache.counts["loads"] += 1
            newly = self._keep(cache, category, loaded, generation)
        if newly and cache is self._v2:
            self._notify_invalidation(category)
        return loaded.row

    def _keep(self, cache: FormatCache, category: CategoryName, loaded: Loaded, generation: int | None) -> bool:
        """With the lock held; whether good data has turned stale by it."""
        if has_data(loaded.row):
            # It was invalidated during the load: this may be the data from before.
            overtaken = generation not in (None, cache.generations[category])
            if overtaken:
                cache.mark_overtaken(category, self._now())
            cache.put(category, loaded.row)
            cache.refresh(category, loaded.file_state, self._now(), overtaken=overtaken)
            return False
        held = cache.holds_data(category)
        newly = held and self._mark_quietly(cache, category, "nothing_found", "the source has nothing")
        if loaded.gone:
            cache.forget(category)
        elif not held:
            cache.put(category, loaded.row)
        cache.found_nothing_at[category] = self._now()
        return newly

    def _refresh(self, cache: FormatCache, category: CategoryName, state: Observed) -> None:
        with self._lock:
            cache.refresh(category, state, self._now())

    def _load_failed(self, cache: FormatCache, category: CategoryName, error: Exception) -> None:
        """Good data stays, outdated."""
        with self._lock:
            cache.counts["failed_loads"] += 1
            held = cache.holds_data(category)
            newly = held and self._mark_quietly(cache, category, "failed_load", f"the refresh failed: {error}")
        if newly and cache is self._v2:
            self._notify_invalidation(category)

    def _answer(self, cache: FormatCache, category: CategoryName, flight: Flight, *, force: bool) -> Row:
        """The load's result; an ordinary read gets the last good data in place of a failure."""
        try:
            row: Row = flight.result()
        except Abandoned:
            raise
        except Exception as error:
            last_good = cache.row(category)
            if force or not has_data(last_good):
                raise
            self._log_once(cache, category, error, "the last good data stays in use")
            return last_good
        return row if force or has_data(row) else cache.row(category)

    def _log_once(self, cache: FormatCache, category: CategoryName, error: Exception, consequence: str) -> None:
        """A failure is told once for each version of the file, not at each read."""
        failure = (str(error), repr(self._observe(cache, category)))
        with self._lock:
            if any(each.logged_failures.get(category) == failure for each in (self._v2, self._legacy)):
                return
            cache.logged_failures[category] = failure
        logger.warning("{} cannot be loaded, {}: {}", category, consequence, error)


class _Landing:
    """Ends a flight however its load ends: the failure goes to all who wait, a cancellation to none."""

    def __init__(self, backend: CachedFormats, cache: FormatCache, category: CategoryName, flight: Flight) -> None:
        self._backend, self._cache, self._category, self._flight = backend, cache, category, flight

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        self._cache.flights.land(self._category, self._flight)
        if error is None:
            return True
        if isinstance(error, Exception):
            self._backend._load_failed(self._cache, self._category, error)
            self._flight.fail(error)
            return True
        self._flight.fail(Abandoned())
        return False
