"""The reference as it stands in a clone's work tree, read, written and looked after.

How a change is written, and where the counters are read from, is handed in.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from loguru import logger

from refsync.backends.base import ReplicateMode
from refsync.backends.clone_reader import CloneReader
from refsync.categories import SPECIFIED, CanonicalFormat, Catalogue, CategoryName
from refsync.errors import CloneError, ModelNameError, PayloadError, RequestError, UnknownCategoryError

if TYPE_CHECKING:
    from refsync.metadata.models import CategoryMetadata


class WritePath(Protocol):
    """How a change of one record gets into the clone; each call returns when it has landed."""

    @property
    def lands_by_itself(self) -> bool:
        """False where a person has to act before a change lands, as behind a pull request."""
        ...

    def update(
        self,
        category: CategoryName,
        model_name: str,
        record: dict[str, Any],
        *,
        logical_user_id: str | None,
        request_id: str | None,
    ) -> None:
        """Create or replace the record."""
        ...

    def delete(
        self,
        category: CategoryName,
        model_name: str,
        *,
        logical_user_id: str | None,
        request_id: str | None,
    ) -> None:
        """Delete the record."""
        ...


class MetadataReader(Protocol):
    """Where the counters of the categories are read from."""

    def get_legacy_metadata(self, category: CategoryName) -> CategoryMetadata:
        """The legacy counters of one category."""
        ...

    def get_v2_metadata(self, category: CategoryName) -> CategoryMetadata:
        """The v2 counters of one category."""
        ...

    def get_all_legacy_metadata(self) -> dict[CategoryName, CategoryMetadata]:
        """The legacy counters of every category."""
        ...

    def get_all_v2_metadata(self) -> dict[CategoryName, CategoryMetadata]:
        """The v2 counters of every category."""
        ...


class GitBackend(CloneReader):
    """What ``CloneReader`` serves, with writing, health checks and counters.

    Args:
        path: the clone's work tree.
        files: for each category held, the file of each format, relative to ``path``.
        canonical_format: the format that is written; a category without a legacy file is always written as v2.
        mode: only a PRIMARY writes and has metadata.
        cache_ttl_seconds: how old cached data may grow; ``None`` for no limit: file states tell of changes.
        metadata: where the counters are read from.
        write_path: how changes land.
        health_checks: more checks for ``health_check`` by name; each raises where something is wrong.
        catalogue: which categories there are.

    Raises:
        ConfigError: a category file outside the clone.

    Example:
        >>> import tempfile
        >>> from refsync import MODEL_REFERENCE_CATEGORY
        >>> clip, legacy = MODEL_REFERENCE_CATEGORY.clip, CanonicalFormat.legacy
        >>> with tempfile.TemporaryDirectory() as clone:
        ...     _ = Path(clone, "clip.json").write_text('{"ViT-L/14": {"nsfw": false}}')
        ...     backend = GitBackend(Path(clone), {clip: {legacy: "clip.json"}}, canonical_format=legacy)
        ...     backend.fetch_category(clip), backend.support_any_writes()
        ({'ViT-L/14': {'nsfw': False}}, False)
    """

    def __init__(
        self,
        path: Path,
        files: Mapping[CategoryName, Mapping[CanonicalFormat, str]],
        *,
        canonical_format: CanonicalFormat,
        mode: ReplicateMode = ReplicateMode.REPLICA,
        cache_ttl_seconds: int | None = None,
        metadata: MetadataReader | None = None,
        write_path: WritePath | None = None,
        health_checks: Mapping[str, Callable[[], None]] = MappingProxyType({}),
        catalogue: Catalogue = SPECIFIED,
    ) -> None:
        super().__init__(path, files, mode=mode, cache_ttl_seconds=cache_ttl_seconds, catalogue=catalogue)
        self._canonical_format = canonical_format
        self._metadata = metadata
        self._write_path = write_path
        self._health_checks = dict(health_checks)

    # Writing.

    def supports_writes(self) -> bool:
        """On a PRIMARY with a way for changes to land, which writes some category as v2."""
        return self._can_land() and any(self._format_written(each) is CanonicalFormat.v2 for each in self._served_paths)

    def supports_legacy_writes(self) -> bool:
        """On a PRIMARY with a way for changes to land, whose canonical format is legacy."""
        return self._can_land() and self._canonical_format is CanonicalFormat.legacy and bool(self._legacy_paths)

    def update_model(
        self,
        category: CategoryName,
        model_name: str,
        record_dict: dict[str, Any],
        *,
        logical_user_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """Create or replace the v2 record; returns when it has landed.

        Raises:
            NotImplementedError: ``supports_writes`` is false.
            RequestError: the category is written as legacy here, or the change is refused.
            UnknownCategoryError: the clone does not hold the category.
        """
        if not self.supports_writes():
            self._refuse("write operations")
        self._update(CanonicalFormat.v2, category, model_name, record_dict, logical_user_id, request_id)

    def update_model_legacy(
        self,
        category: CategoryName,
        model_name: str,
        record_dict: dict[str, Any],
        *,
        logical_user_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """``update_model`` for the legacy record."""
        if not self.supports_legacy_writes():
            self._refuse("legacy write operations")
        self._update(CanonicalFormat.legacy, category, model_name, record_dict, logical_user_id, request_id)

    def delete_model(
        self,
        category: CategoryName,
        model_name: str,
        *,
        logical_user_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """Delete the v2 record; returns when that has landed.

        Raises:
            KeyError: the category has no such model.
            NotImplementedError: ``supports_writes`` is false.
            RequestError: the category is written as legacy here, or the change is refused.
            UnknownCategoryError: the clone does not hold the category.
        """
        if not self.supports_writes():
            self._refuse("write operations")
        self._delete(CanonicalFormat.v2, category, model_name, logical_user_id, request_id)

    def delete_model_legacy(
        self,
        category: CategoryName,
        model_name: str,
        *,
        logical_user_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """``delete_model`` for the legacy record."""
        if not self.supports_legacy_writes():
            self._refuse("legacy write operations")
        self._delete(CanonicalFormat.legacy, category, model_name, logical_user_id, request_id)

    def _can_land(self) -> bool:
        allowed = self._replicate_mode is ReplicateMode.PRIMARY
        return allowed and self._write_path is not None and self._write_path.lands_by_itself

    def _format_written(self, category: CategoryName) -> CanonicalFormat:
        """A category without a legacy file is written as v2 whatever the canonical format is."""
        return self._canonical_format if category in self._legacy_paths else CanonicalFormat.v2

    def _update(
        self,
        format: CanonicalFormat,
        category: CategoryName,
        model_name: str,
        record: dict[str, Any],
        logical_user_id: str | None,
        request_id: str | None,
    ) -> None:
        self._writer(category, format, model_name).update(
            category,
            model_name,
            _own_copy(record),
            logical_user_id=logical_user_id,
            request_id=request_id,
        )
        self._mark_both_stale(category)

    def _delete(
        self,
        format: CanonicalFormat,
        category: CategoryName,
        model_name: str,
        logical_user_id: str | None,
        request_id: str | None,
    ) -> None:
        writer = self._writer(category, format, model_name)
        cache = self._cache_of(format)
        if model_name not in (self._read(cache, category, force=True)[0] or {}):
            raise KeyError(model_name)
        writer.delete(
            category, model_name, logical_user_id=logical_user_id, request_id=request_id
        )  # fmt: skip
        self._mark_both_stale(category)

    def _writer(self, category: CategoryName, format: CanonicalFormat, model_name: str) -> WritePath:
        if not isinstance(model_name, str):
            raise ModelNameError(f"a model name is text, not {type(model_name).__name__}")
        if self._catalogue.parse(category) not in self._served_paths:
            raise UnknownCategoryError(f"{category} is not held by {self._path}; add it to the repository's categories")
        written = self._format_written(category)
        if written is not format:
            raise RequestError(f"{category} is written as {written} in {self._path}, not as {format}")
        assert self._write_path is not None
        return self._write_path

    # Health.

    def supports_health_checks(self) -> bool:
        """Yes."""
        return True

    def health_check(self) -> bool:
        """Whether the clone can be read and every check handed in passes; each that fails is logged."""
        checks = {"clone readable": self._check_readable, **self._health_checks}
        passed = [self._passes(name, check) for name, check in checks.items()]
        return all(passed)

    def _passes(self, name: str, check: Callable[[], None]) -> bool:
        try:
            check()
        except Exception as error:
            logger.warning("health check {!r} of {} failed: {}", name, self._path, error)
            return False
        return True

    def _check_readable(self) -> None:
        if not os.access(self._path, os.R_OK | os.X_OK):
            raise CloneError(f"{self._path} cannot be read; check that it is there and its permissions")
        for file in self._all_paths:
            if file.exists() and not os.access(file, os.R_OK):
                raise CloneError(f"{file} cannot be read; check its permissions")

    # Metadata.

    def supports_metadata(self) -> bool:
        """On a PRIMARY that was handed a reader of it."""
        return self._metadata is not None and self._replicate_mode is ReplicateMode.PRIMARY

    def get_legacy_metadata(self, category: CategoryName) -> CategoryMetadata:
        """The legacy counters of one category."""
        return self._counters("metadata tracking").get_legacy_metadata(category)

    def get_metadata(self, category: CategoryName) -> CategoryMetadata:
        """The v2 counters of one category."""
        return self._counters("metadata tracking").get_v2_metadata(category)

    def get_all_legacy_metadata(self) -> dict[CategoryName, CategoryMetadata]:
        """The legacy counters of every category."""
        return self._counters("metadata tracking").get_all_legacy_metadata()

    def get_all_metadata(self) -> dict[CategoryName, CategoryMetadata]:
        """The v2 counters of every category."""
        return self._counters("metadata tracking").get_all_v2_metadata()

    async def get_legacy_metadata_async(self, category: CategoryName) -> CategoryMetadata:
        """``get_legacy_metadata`` in a thread."""
        return await asyncio.to_thread(self._counters("async metadata tracking").get_legacy_metadata, category)

    async def get_metadata_async(self, category: CategoryName) -> CategoryMetadata:
        """``get_metadata`` in a thread."""
        return await asyncio.to_thread(self._counters("async metadata tracking").get_v2_metadata, category)

    async def get_all_legacy_metadata_async(self) -> dict[CategoryName, CategoryMetadata]:
        """``get_all_legacy_metadata`` in a thread."""
        return await asyncio.to_thread(self._counters("async metadata tracking").get_all_legacy_metadata)

    async def get_all_metadata_async(self) -> dict[CategoryName, CategoryMetadata]:
        """``get_all_metadata`` in a thread."""
        return await asyncio.to_thread(self._counters("async metadata tracking").get_all_v2_metadata)

    def _counters(self, what: str) -> MetadataReader:
        if self._metadata is None or not self.supports_metadata():
            self._refuse(what)
        return self._metadata


def _own_copy(record: dict[str, Any]) -> dict[str, Any]:
    try:
        return deepcopy(record)
    except Exception as error:
        raise PayloadError(f"the record holds something that is not JSON: {error}") from None
