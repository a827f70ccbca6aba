"""What the cache promises in any order of writes, events, failures and reads."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from refsync.backends.base import Data
from refsync.categories import CategoryName
from tests.support.backends import CATEGORY, FileBackend


class CacheOfAFile(RuleBasedStateMachine):
    """A file with a version, a source that may fail or be overtaken, and readers."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "category.json"
        self.version = 0
        self.failing = False
        self.overtaken = False
        self.good: set[int] = set()  # versions that a successful load may have brought
        self.told = 0
        self.backend = FileBackend(self.file, self.source)
        self.backend.register_invalidation_callback(self.hear)

    def teardown(self) -> None:
        self.folder.cleanup()

    def source(self, _: CategoryName) -> Data:
        if self.failing:
            raise OSError("down")
        if not self.file.exists():
            return None
        version = int(self.file.read_text())
        if self.overtaken:
            self.overtaken = False
            self.write()
        self.good.add(version)
        return {"model": {"version": version}, "twin": {"version": version}}

    def hear(self, _: CategoryName) -> None:
        self.told += 1

    @rule()
    def write(self) -> None:
        self.version += 1
        new = self.file.with_suffix(f".{self.version}")
        new.write_text(str(self.version))
        new.rename(self.file)

    @initialize()
    def first_version(self) -> None:
        self.write()

    @rule()
    def delete(self) -> None:
        self.file.unlink(missing_ok=True)

    @rule(failing=st.booleans())
    def break_or_mend(self, failing: bool) -> None:
        self.failing = failing

    @rule()
    def overtake_the_next_load(self) -> None:
        self.overtaken = True

    @rule()
    def invalidate(self) -> None:
        before, stale = self.told, CATEGORY in self.backend._stale_categories
        self.backend.mark_stale(CATEGORY)
        assert self.told == before + (not stale)

    @rule(legacy=st.booleans())
    def read(self, legacy: bool) -> None:
        expected = self.expectation()
        try:
            data = self.backend.get_legacy_json(CATEGORY) if legacy else self.backend.fetch_category(CATEGORY)
        except OSError:
            assert self.failing
            return
        self.check(data, expected)

    @precondition(lambda self: not self.failing)
    @rule()
    def force(self) -> None:
        expected = self.expectation()
        self.check(self.backend.fetch_category(CATEGORY, force_refresh=True), expected)

    def expectation(self) -> int | None:
        """The version that a reader has to see at least, while the source works."""
        return int(self.file.read_text()) if self.file.exists() else None

    def check(self, data: dict[str, Any] | None, expected: int | None) -> None:
        if data is None:
            assert self.failing or expected is None
            return
        versions = {record["version"] for record in data.values()}
        assert len(versions) == 1
        (version,) = versions
        assert version in self.good
        assert self.failing or version == expected

    @invariant()
    def what_is_valid_is_there_and_is_the_file(self) -> None:
        if not self.backend.is_cache_valid(CATEGORY):
            return
        data = self.backend._get_from_cache(CATEGORY)
        assert data is not None
        assert data["model"]["version"] == self.expectation()
        assert not self.backend.needs_refresh(CATEGORY)
        assert self.backend.staleness(CATEGORY) is None


TestTheCacheOfAFile = CacheOfAFile.TestCase
TestTheCacheOfAFile.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
