"""The cache that backends stand on, by the names that subclasses and readers know it by.

A subclass supplies where data comes from; the base answers whether it has to be fetched again, makes one load of many
requests, and keeps serving the last good data while a source fails.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from weakref import WeakKeyDictionary

from refsync.backends.base import Data, ReplicateMode
from refsync.backends.cached_formats import CachedFormats
from refsync.backends.file_state import FileState
from refsync.backends.format_cache import Loaded, Staleness, Verdict
from refsync.categories import CanonicalFormat, CategoryName


class ReplicaBackendBase(CachedFormats):
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
        super().__init__(mode, cache_ttl_seconds, negative_ttl_seconds)
        self._loop_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        self._no_loop_lock = asyncio.Lock()

        self._category_timestamps = self._v2.timestamps
        self._last_known_mtimes = self._v2.mtimes
        self._stale_categories = self._v2.stale

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

    # Questions.

    def has_cached_data(self, category: CategoryName) -> bool:
        """Whether the v2 cache holds data, still good or not."""
        with self._lock:
            return self._v2.holds_data(category)

    def is_cache_valid(self, category: CategoryName) -> bool:
        """Whether the v2 data may be used as it is; finding it outdated marks it stale."""
        return self._valid_row(self._v2, category) is not None

    def needs_refresh(self, category: CategoryName) -> bool:
        """Whether v2 data that was loaded is outdated; finding it so marks it stale."""
        return self._judge_v2(category, needs_data=False) not in (Verdict.VALID, Verdict.UNTIMED)

    def should_fetch_data(self, category: CategoryName) -> bool:
        """Whether to fetch now, for the first time or again."""
        return not self.is_cache_valid(category)

    def is_legacy_cache_valid(self, category: CategoryName) -> bool:
        """Whether the legacy data may be used as it is; marks nothing, tells nobody."""
        return self._valid_row(self._legacy, category) is not None

    def staleness(self, category: CategoryName, format: CanonicalFormat = CanonicalFormat.v2) -> Staleness | None:
        """Since when and why the data of this format is outdated; ``None`` where it is not known to be."""
        with self._lock:
            return self._cache_of(format).staleness.get(category)

    def _cache_statistics(self) -> dict[str, Any]:
        """The counters of both caches, by format."""
        with self._lock:
            now = time.time()
            return {each.value: self._cache_of(each).statistics(now, self._catalogue) for each in CanonicalFormat}

    def get_record(self, category: CategoryName, model_name: str) -> dict[str, Any] | None:
        """One record as a copy of the caller's own; ``None`` if there is no such model."""
        record: dict[str, Any] | None = (self.fetch_category(category) or {}).get(model_name)
        return deepcopy(record)

    # Invalidation.

    def mark_stale(self, category: CategoryName) -> None:
        """The v2 data is outdated; tells the callbacks if it was not known to be."""
        self._mark(self._v2, category, "marked", Verdict.MARKED)

    def _mark_stale_impl(self, category: CategoryName) -> None:
        with self._lock:
            self._stale_categories.add(category)

    def _invalidate_cache(self, category: CategoryName) -> None:
        """Outdated, without telling anybody; the data stays."""
        with self._lock:
            self._v2.mark(category, "invalidated", "invalidated", time.time())
            self._category_timestamps.pop(category, None)

    def _invalidate_category_timestamp(self, category: CategoryName) -> None:
        with self._lock:
            self._category_timestamps.pop(category, None)

    def _invalidate_legacy_cache(self, category: CategoryName) -> None:
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
        self, category: CategoryName, fetch_fn: Callable[[], Data], *, force_refresh: bool = False, copy: bool = False
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

    def _fetch_legacy_with_cache(
        self,
        category: CategoryName,
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

    def _get_from_cache(self, category: CategoryName) -> Data:
        """The v2 data if it is good, else ``None``."""
        data: Data = (self._valid_row(self._v2, category) or (None,))[0]
        return data

    def _get_legacy_from_cache(self, category: CategoryName) -> tuple[dict[str, Any] | None, str | None]:
        """The legacy records and text if they are good, else ``(None, None)``."""
        records, text = self._valid_row(self._legacy, category) or (None, None)
        return records, text

    def _store_in_cache(self, category: CategoryName, data: Data, *, file_state: FileState | None = None) -> None:
        """Keep v2 data and call it fresh; ``None`` clears nothing and is tried again by the next read.

        Args:
            category: which one.
            data: the records.
            file_state: the validation file's state from before the data was read; by default the present one.
        """
        self._store(self._v2, category, Loaded((data,), file_state or self._observe(self._v2, category)))

    def _store_legacy_in_cache(
        self,
        category: CategoryName,
        legacy_dict: dict[str, Any] | None,
        legacy_string: str | None,
        *,
        file_state: FileState | None = None,
    ) -> None:
        """``_store_in_cache`` for the legacy records and their text; fresh if either is there."""
        state = file_state or self._observe(self._legacy, category)
        self._store(self._legacy, category, Loaded((legacy_dict, legacy_string), state))

    def _mark_category_fresh(self, category: CategoryName) -> None:
        """The v2 entry is good as of now."""
        self._refresh(self._v2, category, self._observe(self._v2, category))

    def _mark_legacy_category_fresh(self, category: CategoryName) -> None:
        """The legacy entry is good as of now."""
        self._refresh(self._legacy, category, self._observe(self._legacy, category))

    def _now(self) -> float:
        return time.time()
