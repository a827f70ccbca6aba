"""The category files of a clone as readers get them.

Knows files, not git: what moves the work tree is the business of others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from refsync.backends.base import Data, ReplicateMode
from refsync.backends.category_file import BrokenFileError, files_of, read_category_file, read_category_files
from refsync.backends.file_state import Observed, observe
from refsync.backends.format_cache import FormatCache, Loaded, Row
from refsync.backends.replica_backend_base import ReplicaBackendBase
from refsync.categories import SPECIFIED, CanonicalFormat, Catalogue, CategoryName
from refsync.errors import ConfigError, RefsyncError
from refsync.file_events import FolderWatcher, WatchMode
from refsync.file_patterns import is_pattern, pattern_of

if TYPE_CHECKING:
    import httpx

_Seen = Observed | tuple[tuple[Path, Observed], ...]


class CloneReader(ReplicaBackendBase):
    """Serves the category files of a clone, and goes on serving the last good data while one is broken.

    ``fetch_category`` gives the v2 file where the clone has one, else the legacy file; the legacy getters give the
    legacy file. Of a table, ``models.csv``, they give the records that its rows make with the ``defaults.json`` beside
    it; where there is no table, the legacy getters give the ``text_generation.json`` in its place.

    Args:
        path: the clone's work tree.
        files: for each category held, the file of each format, relative to ``path``.
        mode: as the interface has it.
        cache_ttl_seconds: how old cached data may grow; ``None`` for no limit: file states tell of changes.
        catalogue: which categories there are.

    Raises:
        ConfigError: a category file outside the clone.
    """

    def __init__(
        self,
        path: Path,
        files: Mapping[CategoryName, Mapping[CanonicalFormat, str]],
        *,
        mode: ReplicateMode = ReplicateMode.REPLICA,
        cache_ttl_seconds: int | None = None,
        catalogue: Catalogue = SPECIFIED,
    ) -> None:
        super().__init__(mode=mode, cache_ttl_seconds=cache_ttl_seconds)
        self._catalogue = catalogue
        self._path = path
        self._legacy_paths = _paths(path, files, CanonicalFormat.legacy)
        self._v2_paths = _paths(path, files, CanonicalFormat.v2)
        self._served_paths = self._legacy_paths | self._v2_paths
        self._instead = self._stand_ins()
        self._held = self._categories_by_path()
        self._all_paths = sorted(self._held)
        self._broken: dict[Path, BrokenFileError] = {}
        self._seen: dict[Path, _Seen] = {file: _observed(file) for file in self._all_paths}
        self._missing = {file for file, state in self._seen.items() if state is None}
        self._patterns = [file for file in self._all_paths if is_pattern(file.name)]

    # Reading.

    def fetch_category(self, category: CategoryName, *, force_refresh: bool = False, copy: bool = False) -> Data:
        """The category's records, shared and read-only unless ``copy`` asks for the caller's own.

        Raises:
            RefsyncError: with ``force_refresh``, why the file cannot be read.
        """
        row = None if force_refresh else self._ready_row(self._v2, category)
        data: Data = (row or self._read(self._v2, category, force=force_refresh))[0]
        return deepcopy(data) if copy else data

    def fetch_all_categories(self, *, force_refresh: bool = False) -> dict[CategoryName, Data]:
        """Every category; ``None`` for those that the clone does not hold."""
        return {category: self.fetch_category(category, force_refresh=force_refresh) for category in self._catalogue}

    async def fetch_category_async(
        self, category: CategoryName, *, httpx_client: httpx.AsyncClient | None = None, force_refresh: bool = False
    ) -> Data:
        """``fetch_category`` in a thread; a clone needs no client."""
        return await asyncio.to_thread(self.fetch_category, category, force_refresh=force_refresh)

    async def fetch_all_categories_async(
        self, *, httpx_client: httpx.AsyncClient | None = None, force_refresh: bool = False
    ) -> dict[CategoryName, Data]:
        """``fetch_category_async`` of every category, concurrently."""
        fetches = (self.fetch_category_async(category, force_refresh=force_refresh) for category in self._catalogue)
        return dict(zip(self._catalogue, await asyncio.gather(*fetches), strict=True))

    def get_legacy_json(self, category: CategoryName, redownload: bool = False) -> Data:
        """The legacy file's records, shared and read-only; ``None`` where the clone has no legacy file."""
        row = None if redownload else self._ready_row(self._legacy, category)
        records: Data = (row or self._read(self._legacy, category, force=redownload))[0]
        return records

    def get_legacy_json_string(self, category: CategoryName, redownload: bool = False) -> str | None:
        """The legacy file's text."""
        row = None if redownload else self._ready_row(self._legacy, category)
        text: str | None = (row or self._read(self._legacy, category, force=redownload))[1]
        return text

    def get_category_file_path(self, category: CategoryName) -> Path | None:
        """The file that ``fetch_category`` reads, of many their folder; ``None`` where the clone holds none."""
        return _validated(self._served_paths.get(category))

    def get_all_category_file_paths(self) -> dict[CategoryName, Path | None]:
        """``get_category_file_path`` of every category."""
        return {category: self.get_category_file_path(category) for category in self._catalogue}

    def _get_file_path_for_validation(self, category: CategoryName) -> Path | None:
        return _validated(self._served_paths.get(category))

    def _get_legacy_file_path_for_validation(self, category: CategoryName) -> Path | None:
        path = self._legacy_paths.get(category)
        instead = None if path is None else self._instead.get(path)
        if path is None or instead is None or path.exists():
            return _validated(path)
        return instead if instead.exists() else path

    def _read(self, cache: FormatCache, category: CategoryName, *, force: bool) -> Row:
        """From the file, unless another reader is at it; those who force are shown a failure, else it is logged."""
        path = (self._served_paths if cache is self._v2 else self._legacy_paths).get(category)
        if path is None:
            return cache.nothing
        try:
            return self._load_through(cache, category, lambda: self._load(cache, category, path), force=force)
        except RefsyncError as error:
            if force:
                raise
            self._log_once(cache, category, error, "there is no data")
            return cache.nothing

    def _load(self, cache: FormatCache, category: CategoryName, path: Path) -> Loaded:
        described = self._catalogue[category]
        if is_pattern(path.name):
            many = read_category_files(path, described, within=self._path)
            return Loaded((many.records,) if cache is self._v2 else (many.records, many.text), many.state)
        try:
            read = read_category_file(
                path,
                described,
                within=self._path,
                known_broken=self._broken.get(path),
                known_missing=path in self._missing,
            )
        except FileNotFoundError:
            self._missing.add(path)
            instead = self._instead.get(path) if cache is self._legacy else None
            return Loaded(cache.nothing, gone=True) if instead is None else self._load(cache, category, instead)
        except BrokenFileError as error:
            self._broken[path] = error
            raise
        self._broken.pop(path, None)
        self._missing.discard(path)
        return Loaded((read.records,) if cache is self._v2 else (read.records, read.text), read.state)

    # Noticing changes.

    def categories_of_path(self, path: Path) -> frozenset[CategoryName]:
        """The categories that are read from this file; none for any other file."""
        return frozenset(self._held.get(self._known(path), ()))

    def _known(self, path: Path) -> Path:
        """The pattern that means a file, where one does."""
        return pattern_of(path, self._patterns) or path

    def _categories_by_path(self) -> dict[Path, set[CategoryName]]:
        """Each file that some category is read from, with those categories."""
        held: dict[Path, set[CategoryName]] = {}
        for category, path in (*self._legacy_paths.items(), *self._v2_paths.items()):
            beside = map(Path, self._catalogue[category].made_of(str(path)))
            for file in (path, *beside, self._instead.get(path, path)):
                held.setdefault(file, set()).add(category)
        return held

    def _stand_ins(self) -> dict[Path, Path]:
        """For each table the file that is read where there is no table."""
        others = {*self._v2_paths.values()}
        named = ((path, self._catalogue[name].stand_in_of(str(path))) for name, path in self._legacy_paths.items())
        return {path: Path(file) for path, file in named if file is not None and Path(file) not in others}

    def mark_touched(self, paths: Iterable[Path]) -> list[CategoryName]:
        """Mark the categories of these files stale, in both formats; those that were touched, in their order."""
        files = set(map(self._known, paths))
        for file in files.intersection(self._all_paths):
            self._seen[file] = _observed(file)
            self._broken.pop(file, None)
            self._missing.discard(file)
        touched = frozenset[CategoryName]().union(*map(self.categories_of_path, files))
        for category in touched.intersection(self._legacy_paths):
            self._broken.pop(self._legacy_paths[category], None)  # what is beside a table may have been the fault
        changed = [category for category in self._catalogue if category in touched]
        for category in changed:
            self._mark_both_stale(category)
        return changed

    def mark_changed_categories(self) -> list[CategoryName]:
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
            at_once=self._on_changed_paths,
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

    def _mark_both_stale(self, category: CategoryName) -> None:
        """Tell the callbacks if data that was good turns stale by it, or if nobody has loaded any."""
        with self._lock:
            caches = (self._v2, self._legacy)
            unread = not any(cache.holds_data(category) for cache in caches)
            newly = [self._mark_quietly(cache, category, "touched", "the file was changed") for cache in caches]
        if unread or any(newly):
            self._notify_invalidation(category)

    def _has_changed(self, file: Path) -> bool:
        present = _observed(file)
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

    # Care.

    def supports_cache_warming(self) -> bool:
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

    def get_statistics(self) -> dict[str, Any]:
        """For each format: hits, misses, loads, failed loads, invalidations by cause, bytes, and each category.

        A category has the age of its data in seconds, the bytes of its file, and since when and why it is stale.
        """
        return self._cache_statistics()


def _observed(file: Path) -> _Seen:
    """A file's present state; of a pattern that of each file that it means."""
    return tuple((path, observe(path)) for path in files_of(file)) if is_pattern(file.name) else observe(file)


def _validated(path: Path | None) -> Path | None:
    """By whose state it is told that data is outdated: a file's own, of many that of their folder."""
    return path.parent if path is not None and is_pattern(path.name) else path


def _paths(
    clone: Path, files: Mapping[CategoryName, Mapping[CanonicalFormat, str]], format: CanonicalFormat
) -> dict[CategoryName, Path]:
    held = ((category, files.get(category, {}).get(format)) for category in files)
    return {category: _inside(clone, file) for category, file in held if file is not None}


def _inside(clone: Path, file: str) -> Path:
    relative = Path(file)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise ConfigError(f"category file {file!r} is outside the clone {clone}; give a path relative to the clone")
    return clone / relative
