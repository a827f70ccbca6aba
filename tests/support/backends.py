"""A backend in a few lines, and a clock that tests turn."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from refsync.backends import replica_backend_base
from refsync.backends.base import Data
from refsync.backends.replica_backend_base import ReplicaBackendBase
from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.categories import CategoryName

CATEGORY = Category.image_generation


class DictBackend(ReplicaBackendBase):
    """Serves what ``source`` gives: the eight methods that a subclass has to supply, and nothing else."""

    def __init__(self, source: Callable[[CategoryName], Data], **options: Any) -> None:
        super().__init__(**options)
        self.source = source

    def fetch_category(self, category: CategoryName, *, force_refresh: bool = False) -> Data:
        return self._fetch_with_cache(category, lambda: self.source(category), force_refresh=force_refresh)

    def fetch_all_categories(self, *, force_refresh: bool = False) -> dict[CategoryName, Data]:
        return {category: self.fetch_category(category, force_refresh=force_refresh) for category in Category}

    async def fetch_category_async(
        self, category: CategoryName, *, httpx_client: httpx.AsyncClient | None = None, force_refresh: bool = False
    ) -> Data:
        return await asyncio.to_thread(self.fetch_category, category, force_refresh=force_refresh)

    async def fetch_all_categories_async(
        self, *, httpx_client: httpx.AsyncClient | None = None, force_refresh: bool = False
    ) -> dict[CategoryName, Data]:
        return {category: await self.fetch_category_async(category) for category in Category}

    def get_category_file_path(self, category: CategoryName) -> Path | None:
        return None

    def get_all_category_file_paths(self) -> dict[CategoryName, Path | None]:
        return dict.fromkeys(Category)

    def get_legacy_json(self, category: CategoryName, redownload: bool = False) -> Data:
        return self._fetch_legacy_with_cache(
            category, lambda: (self.source(category), "the text"), redownload=redownload
        )[0]

    def get_legacy_json_string(self, category: CategoryName, redownload: bool = False) -> str | None:
        self.get_legacy_json(category, redownload)
        return self._get_legacy_from_cache(category)[1]


class FileBackend(DictBackend):
    """The same, with a file whose changes make both caches outdated."""

    def __init__(self, file: Path, source: Callable[[CategoryName], Data], **options: Any) -> None:
        super().__init__(source, **options)
        self.file = file

    def _get_file_path_for_validation(self, category: CategoryName) -> Path | None:
        return self.file

    def _get_legacy_file_path_for_validation(self, category: CategoryName) -> Path | None:
        return self.file


class Clock:
    """``time.time()`` of the cache."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: float = 1_000_000.0) -> None:
        self.now = now
        monkeypatch.setattr(replica_backend_base, "time", self)

    def time(self) -> float:
        return self.now


class Heard:
    """An invalidation callback that remembers, and says whether the cache's lock was free."""

    def __init__(self, backend: ReplicaBackendBase) -> None:
        self.categories: list[CategoryName] = []
        self.lock_was_free: list[bool] = []
        self._backend = backend
        backend.register_invalidation_callback(self.hear)

    def hear(self, category: CategoryName) -> None:
        self.categories.append(category)
        self.lock_was_free.append(in_other_thread(self._take_lock))

    def _take_lock(self) -> bool:
        free: bool = self._backend.lock.acquire(timeout=1)
        if free:
            self._backend.lock.release()
        return free


def in_other_thread(ask: Callable[[], bool]) -> bool:
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(ask()))
    thread.start()
    thread.join()
    return answers[0]
