"""The cache that backends stand on: two formats, one set of rules.

A subclass supplies where data comes from; everything here answers whether it has to be fetched again, makes
one load of many requests, and keeps serving the last good data while a source fails.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from copy import deepcopy
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from loguru import logger

from refsync.backends.base import Category, Data, ModelReferenceBackend, ReplicateMode
from refsync.backends.file_state import FileState, Observed, observe
from refsync.backends.format_cache import FormatCache, Loaded, Row, Staleness, Verdict, has_data
from refsync.backends.single_flight import Abandoned, Flight
from refsync.categories import CanonicalFormat


class ReplicaBackendBase(ModelReferenceBackend):
    """A backend with a v2 and a legacy cache, safe for many threads and event loops.

    Cached data is shared between all who ask: read it, do not change it; ask for a copy, or use
    ``get_record``, where you want to.

    Args:
        mode: whether the subclass holds the authoritative data.
        cache_ttl_seconds: how old an entry may grow; ``None`` for no limit.
        negative_ttl_seconds: for how long a load that found nothing is not repeated by ordinary reads.

    Example:
        A source in a few lines; what it does not supply works, or says that it is not supported:

        >>> from refsync import MODEL_REFERENCE_CATEGORY as Category
        >>> class Fixed(ReplicaBackendBase):
        ...     def fetch_category(self, category, *, force_refresh=False):
        ...         return self._fetch_with_cache(category, lambda: {"m": {}}, force_refresh=force_refresh)
        ...     def fetch_all_categories(self, *, force_refresh=False):
        ...         return {each: self.fetch_category(each, force_refresh=force_refresh) for each in Category}
        ...     async def fetch_category_async(self, category, *, httpx_client=None, force_refresh=False):
        ...         return await asyncio.to_thread(self.fetch_category, category, force_refresh=force_refresh)
        ...     async def fetch_all_categories_async(self, *, httpx_client=None, force_refresh=False):
        ...         return await asyncio.to_thread(self.fetch_all_categories, force_refresh=force_refresh)
        ...     def get_category_file_path(self, category):
        ...         return None
        ...     def get_all_category_file_paths(self):
        ...         return dict.fromkeys(Category)
        ...     def get_legacy_json(self, category, redownload=False):
        ...         return None
        ...     def get_legacy_json_string(self, category, redownload=False):
        ...         return None
        >>> source = Fixed(cache_ttl_seconds=60)
        >>> source.fetch_category(Category.clip)
        {'m': {}}
        >>> source.is_cache_valid(Category.clip), source.support_any_writes()
        (True, False)
    """

    def __init__(
        self,
        *,
        mode: ReplicateMode = ReplicateMode.REPLICA,
        cache_ttl_seconds: int | None = None,
        negative_ttl_seconds: float = 0.0,
    ) -> None:
        super().__init__(mode)
        self._cache_ttl_seconds = cache_ttl_seconds
        self._negative_ttl_seconds = negative_ttl_seconds
        self._lock = threading.RLock()
        self._loop_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        self._no_loop_lock = asyncio.Lock()

        self._cache: dict[Category, Data] = {}
        self._v2 = FormatCache(self._cache)
        self._category_timestamps = self._v2.timestamps
        self._last_known_mtimes = self._v2.mtimes
        self._stale_categories = self._v2.stale

        self._legacy_json_cache: dict[Category, Data] = {}
        self._legacy_json_string_cache: dict[Category, str | None] = {}
        self._legacy = FormatCache(self._legacy_json_cache, self._legacy_json_string_cache)
        self._legacy_cache_timestamps = self._legacy.timestamps
        self._legacy_last_known_mtimes = self._legacy.mtimes
        self._stale_legacy_categories = self._legacy.stale

    @property
    def cache_ttl_seconds(self) -> int | None:
        """How old an entry may grow; ``None`` for no limit."""
        return self._cache_ttl_seconds

    @property
    def lock(self) -> threading.RLock:
        """The lock of both caches."""
        return self._lock

    @property
    def async_lock(self) -> asyncio.Lock | None:
        """A lock of the running event loop's own: one asyncio lock cannot serve two loops."""
        return self._async_lock

    @property
    def _async_lock(self) -> asyncio.Lock:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return self._no_loop_lock
        with self._lock:
            return self._loop_locks.setdefault(loop, asyncio.Lock())

    # Hooks for subclasses.

    def _get_file_path_for_validation(self, category: Category) -> Path | None:
        """The file whose change makes the v2 entry outdated; ``None``: there is none."""
        return None

    def _get_legacy_file_path_for_validation(self, category: Category) -> Path | None:
        """The file whose change makes the legacy entry outdated; ``None``: there is none."""
        return None

    def _additional_cache_validation(self, category: Category) -> bool:
        """A rule of the subclass's own, asked last and only by ``is_cache_valid``."""
        return True

    # Questions.

    def has_cached_data(self, category: Category) -> bool:
        """Whether the v2 cache holds data, still good or not."""
        with self._lock:
            return self._v2.holds_data(category)

    def is_cache_valid(self, category: Category) -> bool:
        """Whether the v2 data may be used as it is; finding it outdated marks it stale."""
        verdict = self._judge_v2(category, needs_data=True)
        return verdict is Verdict.VALID and self._additional_cache_validation(category)

    def needs_refresh(self, category: Category) -> bool:
        """Whether v2 data that was loaded is outdated; finding it so marks it stale."""
        return self._judge_v2(category, needs_data=False) not in (Verdict.VALID, Verdict.UNTIMED)

    def should_fetch_data(self, category: Category) -> bool:
        """Whether to fetch now, for the first time or again."""
        return not self.is_cache_valid(category)

    def is_legacy_cache_valid(self, category: Category) -> bool:
        """Whether the legacy data may be used as it is; marks nothing, tells nobody."""
        with self._lock:
            return self._judge(self._legacy, category, needs_data=True) is Verdict.VALID

    def staleness(self, category: Category, format: CanonicalFormat = CanonicalFormat.v2) -> Staleness | None:
        """Since when and why the data of this format is outdated; ``None`` where it is not known to be."""
        with self._lock:
            return self._cache_of(format).staleness.get(category)

    def _cache_statistics(self) -> dict[str, Any]:
        """The counters of both caches, by format."""
        with self._lock:
            return {format.value: self._cache_of(format).statistics(time.time()) for format in CanonicalFormat}

    def get_record(self, category: Category, model_name: str) -> dict[str, Any] | None:
        """One record as a copy of the caller's own; ``None`` if there is no such model."""
        record: dict[str, Any] | None = (self.fetch_category(category) or {}).get(model_name)
        return deepcopy(record)

    # Invalidation.

    def mark_stale(self, category: Category) -> None:
        """The v2 data is outdated; tells the callbacks if it was not known to be."""
        self._mark(self._v2, category, "marked", Verdict.MARKED)

    def _mark_stale_impl(self, category: Category) -> None:
        with self._lock:
            self._stale_categories.add(category)

    def _invalidate_cache(self, category: Category) -> None:
        """Outdated, without telling anybody; the data stays."""
        with self._lock:
            self._v2.mark(category, "invalidated", "invalidated", time.time())
            self._category_timestamps.pop(category, None)

    def _invalidate_category_timestamp(self, category: Category) -> None:
        with self._lock:
            self._category_timestamps.pop(category, None)

    def _invalidate_legacy_cache(self, category: Category) -> None:
        """Outdated, without telling anybody; the data stays."""
        with self._lock:
            self._legacy.mark(category, "invalidated", "invalidated", time.time())
            self._legacy_cache_timestamps.pop(category, None)

    def _set_cache_ttl_seconds(self, ttl_seconds: int | None) -> None:
        """A new time to live, at once and for both caches."""
        with self._lock:
            self._cache_ttl_seconds = ttl_seconds

    # Reading and storing.

    def _fetch_with_cache(
        self, category: Category, fetch_fn: Callable[[], Data], *, force_refresh: bool = False, copy: bool = False
    ) -> Data:
        """The v2 data from the cache, else from ``fetch_fn``, which one of all concurrent readers calls.

        With data cached, a ``fetch_fn`` that fails or finds nothing leaves it in service, outdated; only
        ``force_refresh`` shows the failure.

        Args:
            category: which one.
            fetch_fn: reads the source; ``None`` where it has nothing.
            force_refresh: read the source whatever is cached.
            copy: give data of the caller's own instead of the shared one.

        Raises:
            Exception: what ``fetch_fn`` raised, on a forced refresh or with nothing cached.
        """

        def load() -> Loaded:
            before = self._observe(self._v2, category)
            data = fetch_fn()
            return self._loaded(self._v2, category, (data,), before)

        data: Data = self._fetch_through(self._v2, category, load, force=force_refresh)[0]
        return deepcopy(data) if copy else data

    async def _fetch_with_cache_async(
        self, category: Category, fetch_fn: Callable[[], Awaitable[Data]], *, force_refresh: bool = False
    ) -> Data:
        """``_fetch_with_cache`` for a source that is awaited; shares its cache and its loads."""

        async def load() -> Loaded:
            before = await asyncio.to_thread(self._observe, self._v2, category)
            data = await fetch_fn()
            return await asyncio.to_thread(self._loaded, self._v2, category, (data,), before)

        data: Data = (await self._fetch_through_async(self._v2, category, load, force=force_refresh))[0]
        return data

    def _fetch_legacy_with_cache(
        self,
        category: Category,
        fetch_fn: Callable[[], tuple[dict[str, Any] | None, str | None]],
        *,
        redownload: bool = False,
    ) -> tuple[dict[str, Any] | None, str | None]:
        """``_fetch_with_cache`` for the legacy records and their text."""

        def load() -> Loaded:
            before = self._observe(self._legacy, category)
            return self._loaded(self._legacy, category, fetch_fn(), before)

        records, text = self._fetch_through(self._legacy, category, load, force=redownload)
        return records, text

    def _get_from_cache(self, category: Category) -> Data:
        """The v2 data if it is good, else ``None``."""
        data: Data = (self._valid_row(self._v2, category) or (None,))[0]
        return data

    def _get_legacy_from_cache(self, category: Category) -> tuple[dict[str, Any] | None, str | None]:
        """The legacy records and text if they are good, else ``(None, None)``."""
        records, text = self._valid_row(self._legacy, category) or (None, None)
        return records, text

    def _store_in_cache(self, category: Category, data: Data, *, file_state: FileState | None = None) -> None:
        """Keep v2 data and call it fresh; ``None`` clears nothing and is tried again by the next read.

        Args:
            category: which one.
            data: the records.
            file_state: the validation file's state from before the data was read; by default the present one.
        """
        self._store(self._v2, category, Loaded((data,), file_state or self._observe(self._v2, category)))

    def _store_legacy_in_cache(
        self,
        category: Category,
        legacy_dict: dict[str, Any] | None,
        legacy_string: str | None,
        *,
        file_state: FileState | None = None,
    ) -> None:
        """``_store_in_cache`` for the legacy records and their text; fresh if either is there."""
        state = file_state or self._observe(self._legacy, category)
        self._store(self._legacy, category, Loaded((legacy_dict, legacy_string), state))

    def _mark_category_fresh(self, category: Category) -> None:
        """The v2 entry is good as of now."""
        self._refresh(self._v2, category, self._observe(self._v2, category))

    def _mark_legacy_category_fresh(self, category: Category) -> None:
        """The legacy entry is good as of now."""
        self._refresh(self._legacy, category, self._observe(self._legacy, category))

    # One logic for both formats.

    def _cache_of(self, format: CanonicalFormat) -> FormatCache:
        return self._v2 if format is CanonicalFormat.v2 else self._legacy

    def _validation_path(self, cache: FormatCache, category: Category) -> Path | None:
        if cache is self._v2:
            return self._get_file_path_for_validation(category)
        return self._get_legacy_file_path_for_validation(category)

    def _observe(self, cache: FormatCache, category: Category) -> Observed:
        """The validation file's state, ``None`` without a file, or why it cannot be told."""
        path = self._validation_path(cache, category)
        return None if path is None else observe(path)

    def _loaded(self, cache: FormatCache, category: Category, row: Row, before: Observed) -> Loaded:
        """What a fetch brought; nothing, with no file before or after it, is certain absence."""
        gone = (
            before is None
            and not has_data(row)
            and self._validation_path(cache, category) is not None
            and self._observe(cache, category) is None
        )
        return Loaded(row, before, gone)

    def _judge(self, cache: FormatCache, category: Category, *, needs_data: bool) -> Verdict:
        path = self._validation_path(cache, category)
        if needs_data and category not in cache.stale and not cache.holds_data(category):
            return Verdict.EMPTY
        return cache.judge(category, path, self._cache_ttl_seconds, time.time())

    def _judge_v2(self, category: Category, *, needs_data: bool) -> Verdict:
        """The verdict; one that turns the entry stale does so in the same step, then tells the callbacks."""
        with self._lock:
            verdict = self._judge(self._v2, category, needs_data=needs_data)
            newly = verdict.turns_stale and self._mark_quietly(self._v2, category, verdict.name.lower(), verdict)
        if newly:
            self._notify_invalidation(category)
        return verdict

    def _mark(self, cache: FormatCache, category: Category, cause: str, reason: str) -> None:
        with self._lock:
            newly = self._mark_quietly(cache, category, cause, reason)
        if newly and cache is self._v2:
            self._notify_invalidation(category)

    def _mark_quietly(self, cache: FormatCache, category: Category, cause: str, reason: str) -> bool:
        """With the lock held; whether the entry was not stale before."""
        newly = cache.mark(category, cause, reason, time.time())
        if cache is self._v2:
            self._mark_stale_impl(category)
        return newly

    def _valid_row(self, cache: FormatCache, category: Category) -> Row | None:
        valid = self.is_cache_valid(category) if cache is self._v2 else self.is_legacy_cache_valid(category)
        with self._lock:
            row = cache.row(category)
        return row if valid and has_data(row) else None

    def _ready_row(self, cache: FormatCache, category: Category) -> Row | None:
        """What an ordinary read is answered with at once; ``None``: it has to load."""
        row = self._valid_row(cache, category)
        with self._lock:
            if row is None and self._known_to_be_missing(cache, category):
                row = cache.row(category)
            cache.counts["misses" if row is None else "hits"] += 1
        return row

    def _known_to_be_missing(self, cache: FormatCache, category: Category) -> bool:
        found_nothing_at = cache.found_nothing_at.get(category)
        return found_nothing_at is not None and 0 <= time.time() - found_nothing_at < self._negative_ttl_seconds

    def _fetch_through(self, cache: FormatCache, category: Category, load: Callable[[], Loaded], *, force: bool) -> Row:
        """A row from the cache, from a load under way, or from ``load``."""
        while True:
            if not force and (row := self._ready_row(cache, category)) is not None:
                return row
            flight, leads = self._board(cache, category, alone=force)
            if leads:
                with _Landing(self, cache, category, flight):
                    row = None if force else self._valid_row(cache, category)  # one may just have ended
                    flight.succeed(row or self._store(cache, category, load(), flight.generation))
            try:
                return self._answer(cache, category, flight, force=force)
            except Abandoned:
                continue

    async def _fetch_through_async(
        self, cache: FormatCache, category: Category, load: Callable[[], Awaitable[Loaded]], *, force: bool
    ) -> Row:
        """``_fetch_through`` on an event loop: file work is done in threads."""
        while True:
            if not force and (row := await asyncio.to_thread(self._ready_row, cache, category)) is not None:
                return row
            flight, leads = self._board(cache, category, alone=force, asynchronous=True)
            if leads:
                with _Landing(self, cache, category, flight):
                    row = None if force else await asyncio.to_thread(self._valid_row, cache, category)
                    flight.succeed(row or self._store(cache, category, await load(), flight.generation))
            await flight.wait()
            try:
                return await asyncio.to_thread(self._answer, cache, category, flight, force=force)
            except Abandoned:
                continue

    def _board(
        self, cache: FormatCache, category: Category, *, alone: bool, asynchronous: bool = False
    ) -> tuple[Flight, bool]:
        with self._lock:
            generation = cache.generations[category]
        return cache.flights.board(category, generation, alone=alone, asynchronous=asynchronous)

    def _store(self, cache: FormatCache, category: Category, loaded: Loaded, generation: int | None = None) -> Row:
        """Keep what was loaded; ``generation`` tells whether it was invalidated during the load."""
        with self._lock:
            cache.counts["loads"] += 1
            newly = self._keep(cache, category, loaded, generation)
        if newly and cache is self._v2:
            self._notify_invalidation(category)
        return loaded.row

    def _keep(self, cache: FormatCache, category: Category, loaded: Loaded, generation: int | None) -> bool:
        """With the lock held; whether good data has turned stale by it."""
        if has_data(loaded.row):
            outdated = cache.staleness.get(category)
            cache.put(category, loaded.row)
            self._refresh(cache, category, loaded.file_state)
            if generation not in (None, cache.generations[category]):
                # It was invalidated during the load: this may be the data from before.
                cache.stale.add(category)
                cache.staleness[category] = outdated or Staleness(time.time(), Verdict.MARKED)
            return False
        held = cache.holds_data(category)
        newly = held and self._mark_quietly(cache, category, "nothing_found", "the source has nothing")
        if loaded.gone:
            cache.forget(category)
        elif not held:
            cache.put(category, loaded.row)
        cache.found_nothing_at[category] = time.time()
        return newly

    def _refresh(self, cache: FormatCache, category: Category, state: Observed) -> None:
        with self._lock:
            cache.refresh(category, state, time.time())

    def _load_failed(self, cache: FormatCache, category: Category, error: Exception) -> None:
        """Good data stays, outdated."""
        with self._lock:
            cache.counts["failed_loads"] += 1
            held = cache.holds_data(category)
            newly = held and self._mark_quietly(cache, category, "failed_load", f"the refresh failed: {error}")
        if newly and cache is self._v2:
            self._notify_invalidation(category)

    def _answer(self, cache: FormatCache, category: Category, flight: Flight, *, force: bool) -> Row:
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

    def _log_once(self, cache: FormatCache, category: Category, error: Exception, consequence: str) -> None:
        """A failure is told once for each version of the file, not at each read."""
        failure = (str(error), repr(self._observe(cache, category)))
        with self._lock:
            if any(each.logged_failures.get(category) == failure for each in (self._v2, self._legacy)):
                return
            cache.logged_failures[category] = failure
        logger.warning("{} cannot be loaded, {}: {}", category, consequence, error)


class _Landing:
    """Ends a flight however its load ends: the failure goes to all who wait, a cancellation to none."""

    def __init__(self, backend: ReplicaBackendBase, cache: FormatCache, category: Category, flight: Flight) -> None:
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
