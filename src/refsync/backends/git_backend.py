"""The reference as it stands in a clone's work tree.

Knows files, not git: what moves the work tree is the business of others, and so is writing, which is handed in.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from loguru import logger

from refsync.backends.base import Category, Data, ReplicateMode
from refsync.backends.category_file import DEFAULTS, PARAMETERS, BrokenFileError, read_category_file
from refsync.backends.file_state import Observed, observe
from refsync.backends.format_cache import FormatCache, Loaded, Row
from refsync.backends.replica_backend_base import ReplicaBackendBase
from refsync.categories import CanonicalFormat, is_table, parse_category, stand_in_of
from refsync.errors import (
    CloneError,
    ConfigError,
    ModelNameError,
    PayloadError,
    RefsyncError,
    RequestError,
    UnknownCategoryError,
)
from refsync.file_events import FolderWatcher, WatchMode

if TYPE_CHECKING:
    import httpx

    from refsync.metadata.models import CategoryMetadata


class WritePath(Protocol):
    """How a change of one record gets into the clone; each call returns when it has landed."""

    @property
    def lands_by_itself(self) -> bool:
        """False where a person has to act before a change lands, as behind a pull request."""
        ...

    def update(
        self,
        category: Category,
        model_name: str,
        record: dict[str, Any],
        *,
        format: CanonicalFormat,
        logical_user_id: str | None,
        request_id: str | None,
    ) -> None:
        """Create or replace the record."""
        ...

    def delete(
        self,
        category: Category,
        model_name: str,
        *,
        format: CanonicalFormat,
        logical_user_id: str | None,
        request_id: str | None,
    ) -> None:
        """Delete the record."""
        ...


class MetadataReader(Protocol):
    """Where the counters of the categories are read from."""

    def get_legacy_metadata(self, category: Category) -> CategoryMetadata:
        """The legacy counters of one category."""
        ...

    def get_v2_metadata(self, category: Category) -> CategoryMetadata:
        """The v2 counters of one category."""
        ...

    def get_all_legacy_metadata(self) -> dict[Category, CategoryMetadata]:
        """The legacy counters of every category."""
        ...

    def get_all_v2_metadata(self) -> dict[Category, CategoryMetadata]:
        """The v2 counters of every category."""
        ...


class GitBackend(ReplicaBackendBase):
    """Serves the category files of a clone, and goes on serving the last good data while one is broken.

    ``fetch_category`` gives the v2 file where the clone has one, else the legacy file; the legacy getters give the
    legacy file. Of a table, ``models.csv``, they give the records that its rows make with the ``defaults.json`` beside
    it; where there is no table, the legacy getters give the ``text_generation.json`` in its place.

    Args:
        path: the clone's work tree.
        files: for each category held, the file of each format, relative to ``path``.
        canonical_format: the format that is written; a category without a legacy file is always written as v2.
        mode: only a PRIMARY writes and has metadata.
        cache_ttl_seconds: how old cached data may grow; ``None`` for no limit: file states tell of changes.
        metadata: where the counters are read from.
        write_path: how changes land.
        health_checks: more checks for ``health_check`` by name; each raises where something is wrong.

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
        files: Mapping[Category, Mapping[CanonicalFormat, str]],
        *,
        canonical_format: CanonicalFormat,
        mode: ReplicateMode = ReplicateMode.REPLICA,
        cache_ttl_seconds: int | None = None,
        metadata: MetadataReader | None = None,
        write_path: WritePath | None = None,
        health_checks: Mapping[str, Callable[[], None]] = MappingProxyType({}),
    ) -> None:
        super().__init__(mode=mode, cache_ttl_seconds=cache_ttl_seconds)
        self._path = path
        self._canonical_format = canonical_format
        self._metadata = metadata
        self._write_path = write_path
        self._health_checks = dict(health_checks)
        self._legacy_paths = _paths(path, files, CanonicalFormat.legacy)
        self._v2_paths = _paths(path, files, CanonicalFormat.v2)
        self._served_paths = self._legacy_paths | self._v2_paths
        self._instead = _instead_of_tables(self._legacy_paths, {*self._v2_paths.values()})
        self._held = self._categories_by_path()
        self._all_paths = sorted(self._held)
        self._broken: dict[Path, BrokenFileError] = {}
        self._seen: dict[Path, Observed] = {file: observe(file) for file in self._all_paths}
        self._missing = {file for file, state in self._seen.items() if state is None}

    # Reading.

    def fetch_category(self, category: Category, *, force_refresh: bool = False, copy: bool = False) -> Data:
        """The category's records, shared and read-only unless ``copy`` asks for the caller's own.

        Raises:
            RefsyncError: with ``force_refresh``, why the file cannot be read.
        """
        data: Data = self._read(self._v2, category, force=force_refresh)[0]
        return deepcopy(data) if copy else data

    def fetch_all_categories(self, *, force_refresh: bool = False) -> dict[Category, Data]:
        """Every category; ``None`` for those that the clone does not hold."""
        return {category: self.fetch_category(category, force_refresh=force_refresh) for category in Category}

    async def fetch_category_async(
        self, category: Category, *, httpx_client: httpx.AsyncClient | None = None, force_refresh: bool = False
    ) -> Data:
        """``fetch_category`` in a thread; a clone needs no client."""
        return await asyncio.to_thread(self.fetch_category, category, force_refresh=force_refresh)

    async def fetch_all_categories_async(
        self, *, httpx_client: httpx.AsyncClient | None = None, force_refresh: bool = False
    ) -> dict[Category, Data]:
        """``fetch_category_async`` of every category, concurrently."""
        fetches = (self.fetch_category_async(category, force_refresh=force_refresh) for category in Category)
        return dict(zip(Category, await asyncio.gather(*fetches), strict=True))

    def get_legacy_json(self, category: Category, redownload: bool = False) -> Data:
        """The legacy file's records, shared and read-only; ``None`` where the clone has no legacy file."""
        records: Data = self._read(self._legacy, category, force=redownload)[0]
        return records

    def get_legacy_json_string(self, category: Category, redownload: bool = False) -> str | None:
        """The legacy file's text."""
        text: str | None = self._read(self._legacy, category, force=redownload)[1]
        return text

    def get_category_file_path(self, category: Category) -> Path | None:
        """The file that ``fetch_category`` reads; ``None`` where the clone does not hold the category."""
        return self._served_paths.get(category)

    def get_all_category_file_paths(self) -> dict[Category, Path | None]:
        """``get_category_file_path`` of every category."""
        return {category: self.get_category_file_path(category) for category in Category}

    def _get_file_path_for_validation(self, category: Category) -> Path | None:
        return self._served_paths.get(category)

    def _get_legacy_file_path_for_validation(self, category: Category) -> Path | None:
        path = self._legacy_paths.get(category)
        instead = None if path is None or path.exists() else self._instead.get(path)
        return instead if instead is not None and instead.exists() else path

    def _read(self, cache: FormatCache, category: Category, *, force: bool) -> Row:
        """From the cache or the file; a failure is shown to those who force only, and logged otherwise."""
        path = (self._served_paths if cache is self._v2 else self._legacy_paths).get(category)
        if path is None:
            return cache.nothing
        try:
            return self._fetch_through(cache, category, lambda: self._load(cache, path), force=force)
        except RefsyncError as error:
            if force:
                raise
            self._log_once(cache, category, error, "there is no data")
            return cache.nothing

    def _load(self, cache: FormatCache, path: Path) -> Loaded:
        try:
            read = read_category_file(path, known_broken=self._broken.get(path), known_missing=path in self._missing)
        except FileNotFoundError:
            self._missing.add(path)
            instead = self._instead.get(path) if cache is self._legacy else None
            return Loaded(cache.nothing, gone=True) if instead is None else self._load(cache, instead)
        except BrokenFileError as error:
            self._broken[path] = error
            raise
        self._broken.pop(path, None)
        self._missing.discard(path)
        return Loaded((read.records,) if cache is self._v2 else (read.records, read.text), read.state)

    # Noticing changes.

    def categories_of_path(self, path: Path) -> frozenset[Category]:
        """The categories that are read from this file; none for any other file."""
        return frozenset(self._held.get(path, ()))

    def _categories_by_path(self) -> dict[Path, set[Category]]:
        """Each file that some category is read from, with those categories."""
        held: dict[Path, set[Category]] = {}
        for category, path in (*self._legacy_paths.items(), *self._v2_paths.items()):
            beside = (path.with_name(DEFAULTS), path.with_name(PARAMETERS)) if _is_table(path) else ()
            for file in (path, *beside, self._instead.get(path, path)):
                held.setdefault(file, set()).add(category)
        return held

    def mark_touched(self, paths: Iterable[Path]) -> list[Category]:
        """Mark the categories of these files stale, in both formats; those that were touched, in their order."""
        files = set(paths)
        for file in files.intersection(self._all_paths):
            self._seen[file] = observe(file)
            self._broken.pop(file, None)
            self._missing.discard(file)
        touched = frozenset[Category]().union(*map(self.categories_of_path, files))
        for category in touched.intersection(self._legacy_paths):
            self._broken.pop(self._legacy_paths[category], None)  # what is beside a table may have been the fault
        changed = [category for category in Category if category in touched]
        for category in changed:
            self._mark_both_stale(category)
        return changed

    def mark_changed_categories(self) -> list[Category]:
        """Compare every file with what was seen and loaded last; mark stale, and give, what has changed.

        For when events may have been lost.
        """
        return self.mark_touched([file for file in self._all_paths if self._has_changed(file)])

    def watch(self, *, mode: WatchMode = "auto", rescan_seconds: float = 300.0) -> FolderWatcher:
        """Keep the caches true by file events, for a program without the daemon; ``stop`` the result.

        Raises:
            WatchError: ``mode`` is ``"inotify"`` and the system cannot.
        """
        watcher = FolderWatcher(
            {file.parent for file in self._all_paths},
            self._on_changed_paths,
            on_rescan=self._on_rescan,
            mode=mode,
            rescan_seconds=rescan_seconds,
        ).start()
        self.mark_changed_categories()
        return watcher

    def _on_changed_paths(self, paths: frozenset[Path]) -> None:
        self.mark_touched(paths)

    def _on_rescan(self, reason: str) -> None:
        changed = self.mark_changed_categories()
        logger.debug("looked at every category file of {} ({}): {} changed", self._path, reason, len(changed))

    def _mark_both_stale(self, category: Category) -> None:
        """Tell the callbacks if data that was good turns stale by it, or if nobody has loaded any."""
        with self._lock:
            caches = (self._v2, self._legacy)
            unread = not any(cache.holds_data(category) for cache in caches)
            newly = [self._mark_quietly(cache, category, "touched", "the file was changed") for cache in caches]
        if unread or any(newly):
            self._notify_invalidation(category)

    def _has_changed(self, file: Path) -> bool:
        present = observe(file)
        if isinstance(present, OSError) or present == self._seen[file]:
            return False
        loaded = self._loaded_states(file)
        if loaded and loaded == {present}:
            self._seen[file] = present  # a reader was first
            return False
        return True

    def _loaded_states(self, file: Path) -> set[Observed]:
        """The states of this file in which the caches read it."""
        with self._lock:
            return {
                cache.file_states[category]
                for cache, paths in ((self._v2, self._served_paths), (self._legacy, self._legacy_paths))
                for category, path in paths.items()
                if path == file and category in cache.file_states
            }

    # Writing.

    def supports_writes(self) -> bool:
        """On a PRIMARY with a way for changes to land, which writes some category as v2."""
        return self._can_land() and any(self._format_written(each) is CanonicalFormat.v2 for each in self._served_paths)

    def supports_legacy_writes(self) -> bool:
        """On a PRIMARY with a way for changes to land, whose canonical format is legacy."""
        return self._can_land() and self._canonical_format is CanonicalFormat.legacy and bool(self._legacy_paths)

    def update_model(
        self,
        category: Category,
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
        category: Category,
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
        category: Category,
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
        category: Category,
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

    def _format_written(self, category: Category) -> CanonicalFormat:
        """A category without a legacy file is written as v2 whatever the canonical format is."""
        return self._canonical_format if category in self._legacy_paths else CanonicalFormat.v2

    def _update(
        self,
        format: CanonicalFormat,
        category: Category,
        model_name: str,
        record: dict[str, Any],
        logical_user_id: str | None,
        request_id: str | None,
    ) -> None:
        self._writer(category, format, model_name).update(
            category,
            model_name,
            _own_copy(record),
            format=format,
            logical_user_id=logical_user_id,
            request_id=request_id,
        )
        self._mark_both_stale(category)

    def _delete(
        self,
        format: CanonicalFormat,
        category: Category,
        model_name: str,
        logical_user_id: str | None,
        request_id: str | None,
    ) -> None:
        writer = self._writer(category, format, model_name)
        cache = self._cache_of(format)
        if model_name not in (self._read(cache, category, force=True)[0] or {}):
            raise KeyError(model_name)
        writer.delete(
            category, model_name, format=format, logical_user_id=logical_user_id, request_id=request_id
        )  # fmt: skip
        self._mark_both_stale(category)

    def _writer(self, category: Category, format: CanonicalFormat, model_name: str) -> WritePath:
        if not isinstance(model_name, str):
            raise ModelNameError(f"a model name is text, not {type(model_name).__name__}")
        if parse_category(category) not in self._served_paths:
            raise UnknownCategoryError(f"{category} is not held by {self._path}; add it to the repository's categories")
        written = self._format_written(category)
        if written is not format:
            raise RequestError(f"{category} is written as {written} in {self._path}, not as {format}")
        assert self._write_path is not None
        return self._write_path

    # Care.

    def supports_cache_warming(self) -> bool:
        """Yes."""
        return True

    def supports_health_checks(self) -> bool:
        """Yes."""
        return True

    def supports_statistics(self) -> bool:
        """Yes."""
        return True

    def warm_cache(self) -> None:
        """Load every file of the clone in each format it is served in."""
        for category in self._served_paths:
            self.fetch_category(category)
        for category in self._legacy_paths:
            self.get_legacy_json(category)

    async def warm_cache_async(self) -> None:
        """``warm_cache`` in a thread."""
        await asyncio.to_thread(self.warm_cache)

    def health_check(self) -> bool:
        """Whether the clone can be read and every check handed in passes; each that fails is logged."""
        checks = {"clone readable": self._check_readable, **self._health_checks}
        passed = [self._passes(name, check) for name, check in checks.items()]
        return all(passed)

    def get_statistics(self) -> dict[str, Any]:
        """For each format: hits, misses, loads, failed loads, invalidations by cause, bytes, and each category.

        A category has the age of its data in seconds, the bytes of its file, and since when and why it is stale.
        """
        return self._cache_statistics()

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

    def get_legacy_metadata(self, category: Category) -> CategoryMetadata:
        """The legacy counters of one category."""
        return self._counters("metadata tracking").get_legacy_metadata(category)

    def get_metadata(self, category: Category) -> CategoryMetadata:
        """The v2 counters of one category."""
        return self._counters("metadata tracking").get_v2_metadata(category)

    def get_all_legacy_metadata(self) -> dict[Category, CategoryMetadata]:
        """The legacy counters of every category."""
        return self._counters("metadata tracking").get_all_legacy_metadata()

    def get_all_metadata(self) -> dict[Category, CategoryMetadata]:
        """The v2 counters of every category."""
        return self._counters("metadata tracking").get_all_v2_metadata()

    async def get_legacy_metadata_async(self, category: Category) -> CategoryMetadata:
        """``get_legacy_metadata`` in a thread."""
        return await asyncio.to_thread(self._counters("async metadata tracking").get_legacy_metadata, category)

    async def get_metadata_async(self, category: Category) -> CategoryMetadata:
        """``get_metadata`` in a thread."""
        return await asyncio.to_thread(self._counters("async metadata tracking").get_v2_metadata, category)

    async def get_all_legacy_metadata_async(self) -> dict[Category, CategoryMetadata]:
        """``get_all_legacy_metadata`` in a thread."""
        return await asyncio.to_thread(self._counters("async metadata tracking").get_all_legacy_metadata)

    async def get_all_metadata_async(self) -> dict[Category, CategoryMetadata]:
        """``get_all_metadata`` in a thread."""
        return await asyncio.to_thread(self._counters("async metadata tracking").get_all_v2_metadata)

    def _counters(self, what: str) -> MetadataReader:
        if self._metadata is None or not self.supports_metadata():
            self._refuse(what)
        return self._metadata


def _paths(
    clone: Path, files: Mapping[Category, Mapping[CanonicalFormat, str]], format: CanonicalFormat
) -> dict[Category, Path]:
    held = ((category, files.get(category, {}).get(format)) for category in Category)
    return {category: _inside(clone, file) for category, file in held if file is not None}


def _instead_of_tables(legacy_paths: Mapping[Category, Path], others: set[Path]) -> dict[Path, Path]:
    """For each table the JSON file that is read where there is no table."""
    tables = {path: path.with_name(stand_in_of(path.name)) for path in legacy_paths.values() if _is_table(path)}
    return {table: instead for table, instead in tables.items() if instead not in others}


def _is_table(path: Path) -> bool:
    return is_table(path.name)


def _own_copy(record: dict[str, Any]) -> dict[str, Any]:
    try:
        return deepcopy(record)
    except Exception as error:
        raise PayloadError(f"the record holds something that is not JSON: {error}") from None


def _inside(clone: Path, file: str) -> Path:
    relative = Path(file)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise ConfigError(f"category file {file!r} is outside the clone {clone}; give a path relative to the clone")
    return clone / relative
