"""The storage interface: what every backend can be asked, and what it may leave out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from loguru import logger

from refsync.categories import CanonicalFormat, CategoryName
from refsync.errors import PayloadError

if TYPE_CHECKING:
    import httpx
    from pydantic import BaseModel

    from refsync.metadata.models import CategoryMetadata

__all__ = ["CanonicalFormat", "CategoryName", "Data", "InvalidationCallback", "ModelReferenceBackend", "ReplicateMode"]

Data = dict[str, Any] | None
"""One category: model name to record; ``None`` where it cannot be had."""
InvalidationCallback = Callable[[CategoryName], None]


class ReplicateMode(StrEnum):
    """Whether a backend holds the authoritative data.

    >>> ReplicateMode.PRIMARY.value
    'PRIMARY'
    """

    PRIMARY = "PRIMARY"
    """Holds the authoritative data and may be written."""
    REPLICA = "REPLICA"
    """A read-only copy fed from elsewhere."""


class ModelReferenceBackend(ABC):
    """Where the model reference is read from and, on some, written to.

    Ask a ``supports_…`` method before an optional operation; one that a backend lacks raises
    ``NotImplementedError``. Data handed out is shared: read it, do not change it.

    >>> sorted(ModelReferenceBackend.__abstractmethods__)[:3]
    ['_mark_stale_impl', 'fetch_all_categories', 'fetch_all_categories_async']
    """

    _replicate_mode: ReplicateMode = ReplicateMode.REPLICA

    def __init__(self, mode: ReplicateMode = ReplicateMode.REPLICA) -> None:
        self._replicate_mode = mode
        self._invalidation_callbacks: list[InvalidationCallback] = []

    @property
    def replicate_mode(self) -> ReplicateMode:
        """Whether this backend holds the authoritative data."""
        return self._replicate_mode

    def get_replicate_mode(self) -> ReplicateMode:
        """The same as ``replicate_mode``."""
        return self._replicate_mode

    # What every backend must have.

    @abstractmethod
    def fetch_category(self, category: CategoryName, *, force_refresh: bool = False) -> Data:
        """The records of one category; ``None`` (and a log line) if they cannot be had.

        ``force_refresh`` bypasses the backend's own caches; only then may an error of the source be raised.
        """

    @abstractmethod
    def fetch_all_categories(self, *, force_refresh: bool = False) -> dict[CategoryName, Data]:
        """``fetch_category`` of every category; each is a key."""

    @abstractmethod
    async def fetch_category_async(
        self, category: CategoryName, *, httpx_client: httpx.AsyncClient | None = None, force_refresh: bool = False
    ) -> Data:
        """``fetch_category`` without blocking the event loop; a client that is handed in stays open."""

    @abstractmethod
    async def fetch_all_categories_async(
        self, *, httpx_client: httpx.AsyncClient | None = None, force_refresh: bool = False
    ) -> dict[CategoryName, Data]:
        """``fetch_category_async`` of every category, concurrently, over one client."""

    @abstractmethod
    def get_category_file_path(self, category: CategoryName) -> Path | None:
        """The file that holds the category; ``None`` for backends without files."""

    @abstractmethod
    def get_all_category_file_paths(self) -> dict[CategoryName, Path | None]:
        """``get_category_file_path`` of every category."""

    @abstractmethod
    def get_legacy_json(self, category: CategoryName, redownload: bool = False) -> Data:
        """The legacy records as parsed JSON, unvalidated; ``None`` if there are none.

        ``redownload`` reads the source again and renews the cache.
        """

    @abstractmethod
    def get_legacy_json_string(self, category: CategoryName, redownload: bool = False) -> str | None:
        """The same as ``get_legacy_json``, as the JSON text."""

    @abstractmethod
    def needs_refresh(self, category: CategoryName) -> bool:
        """Whether data that was loaded before has become outdated."""

    @abstractmethod
    def _mark_stale_impl(self, category: CategoryName) -> None:
        """The backend's own bookkeeping of staleness."""

    # Invalidation.

    def register_invalidation_callback(self, callback: InvalidationCallback) -> None:
        """Have ``callback`` called with each category that turns stale, after those registered before."""
        self._invalidation_callbacks.append(callback)

    def unregister_invalidation_callback(self, callback: InvalidationCallback) -> None:
        """Call ``callback`` no more; one that is not registered is ignored."""
        if callback in self._invalidation_callbacks:
            self._invalidation_callbacks.remove(callback)

    def mark_stale(self, category: CategoryName) -> None:
        """The category's data is outdated: note it, then tell the callbacks."""
        self._mark_stale_impl(category)
        self._notify_invalidation(category)

    def _notify_invalidation(self, category: CategoryName) -> None:
        for callback in list(self._invalidation_callbacks):
            try:
                callback(category)
            except Exception as error:
                name = getattr(callback, "__name__", repr(callback))
                logger.opt(exception=error).error("invalidation callback {} failed for {}: {!r}", name, category, error)

    # What it can do.

    def supports_writes(self) -> bool:
        """Whether ``update_model`` and ``delete_model`` work."""
        return False

    def supports_legacy_writes(self) -> bool:
        """Whether the ``_legacy`` write methods work; only on a PRIMARY whose canonical format is legacy."""
        return False

    def support_any_writes(self) -> bool:
        """Whether either kind of write works."""
        return self.supports_writes() or self.supports_legacy_writes()

    def supports_cache_warming(self) -> bool:
        """Whether ``warm_cache`` and ``warm_cache_async`` work."""
        return False

    def supports_health_checks(self) -> bool:
        """Whether ``health_check`` works."""
        return False

    def supports_statistics(self) -> bool:
        """Whether ``get_statistics`` works."""
        return False

    def supports_metadata(self) -> bool:
        """Whether the metadata readers work; normally on a PRIMARY only."""
        return False

    # Writing.

    def update_model(
        self,
        category: CategoryName,
        model_name: str,
        record_dict: dict[str, Any],
        *,
        logical_user_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """Create or replace one record; on return it is in place. ``record_dict`` is not changed."""
        self._refuse("write operations")

    def update_model_from_base_model(
        self,
        category: CategoryName,
        model_name: str,
        record_model: BaseModel,
        *,
        logical_user_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """``update_model`` with the fields of ``record_model`` that were set."""
        if not self.supports_writes():
            self._refuse("write operations")
        record = _set_fields(record_model)
        self.update_model(category, model_name, record, logical_user_id=logical_user_id, request_id=request_id)

    def delete_model(
        self,
        category: CategoryName,
        model_name: str,
        *,
        logical_user_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """Delete one record.

        Raises:
            KeyError: the category has no such model.
        """
        self._refuse("write operations")

    def update_model_legacy(
        self,
        category: CategoryName,
        model_name: str,
        record_dict: dict[str, Any],
        *,
        logical_user_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """``update_model`` for the legacy file."""
        self._refuse("legacy write operations")

    def update_model_legacy_from_base_model(
        self,
        category: CategoryName,
        model_name: str,
        record_model: BaseModel,
        *,
        logical_user_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """``update_model_legacy`` with the fields of ``record_model`` that were set."""
        if not self.supports_legacy_writes():
            self._refuse("legacy write operations")
        record = _set_fields(record_model)
        self.update_model_legacy(category, model_name, record, logical_user_id=logical_user_id, request_id=request_id)

    def delete_model_legacy(
        self,
        category: CategoryName,
        model_name: str,
        *,
        logical_user_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """``delete_model`` for the legacy file."""
        self._refuse("legacy write operations")

    # Care.

    def warm_cache(self) -> None:
        """Load every category."""
        self._refuse("cache warming")

    async def warm_cache_async(self) -> None:
        """Load every category without blocking the event loop."""
        self._refuse("async cache warming")

    def health_check(self) -> bool:
        """Whether the backend can do its work; what is wrong is logged."""
        self._refuse("health checks")

    def get_statistics(self) -> dict[str, Any]:
        """Counters and ages of the cache, for people and monitors."""
        self._refuse("statistics")

    # Metadata.

    def get_legacy_metadata(self, category: CategoryName) -> CategoryMetadata:
        """The legacy counters of one category."""
        self._refuse("metadata tracking")

    def get_metadata(self, category: CategoryName) -> CategoryMetadata:
        """The v2 counters of one category."""
        self._refuse("metadata tracking")

    def get_all_legacy_metadata(self) -> dict[CategoryName, CategoryMetadata]:
        """The legacy counters of every category."""
        self._refuse("metadata tracking")

    def get_all_metadata(self) -> dict[CategoryName, CategoryMetadata]:
        """The v2 counters of every category."""
        self._refuse("metadata tracking")

    async def get_legacy_metadata_async(self, category: CategoryName) -> CategoryMetadata:
        """``get_legacy_metadata`` without blocking the event loop."""
        self._refuse("async metadata tracking")

    async def get_metadata_async(self, category: CategoryName) -> CategoryMetadata:
        """``get_metadata`` without blocking the event loop."""
        self._refuse("async metadata tracking")

    async def get_all_legacy_metadata_async(self) -> dict[CategoryName, CategoryMetadata]:
        """``get_all_legacy_metadata`` without blocking the event loop."""
        self._refuse("async metadata tracking")

    async def get_all_metadata_async(self) -> dict[CategoryName, CategoryMetadata]:
        """``get_all_metadata`` without blocking the event loop."""
        self._refuse("async metadata tracking")

    def _refuse(self, what: str) -> NoReturn:
        raise NotImplementedError(f"{type(self).__name__} does not support {what}")


def _set_fields(model: BaseModel) -> dict[str, Any]:
    try:
        return model.model_dump(exclude_unset=True)
    except AttributeError:
        raise PayloadError(f"expected a pydantic model, got {type(model).__name__}") from None
