from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from refsync.backends.git_backend import GitBackend
from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.categories import CategoryName, Layout
from refsync.file_events import WatchMode
from tests.integration.test_git_backend_reading import FILE, backend_of, replace
from tests.support.backends import CATEGORY
from tests.support.repositories import Clone, git


class Waiting:
    """A callback whose calls are waited for."""

    def __init__(self, backend: GitBackend) -> None:
        self.heard: list[CategoryName] = []
        self._more = threading.Condition()
        backend.register_invalidation_callback(self._hear)

    def _hear(self, category: CategoryName) -> None:
        with self._more:
            self.heard.append(category)
            self._more.notify_all()

    def wait_until(self, ready: Callable[[list[CategoryName]], bool]) -> None:
        with self._more:
            assert self._more.wait_for(lambda: ready(self.heard), timeout=10), self.heard


def has_length(length: int, heard: list[CategoryName]) -> bool:
    return len(heard) == length


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.create(tmp_path / "clone", {FILE: {"a": {}}, "blip.json": {"b": {}}, "clip.json": {"c": {}}})


@pytest.mark.parametrize("mode", ["inotify", "polling"])
def test_an_event_marks_exactly_the_touched_category(clone: Clone, mode: WatchMode) -> None:
    backend = backend_of(clone)
    backend.warm_cache()
    waiting = Waiting(backend)
    with backend.watch(mode=mode):
        replace(clone, {"new": {}})
        waiting.wait_until(lambda heard: heard == [CATEGORY])
        assert backend._stale_categories == backend._stale_legacy_categories == {CATEGORY}
        assert backend.is_cache_valid(Category.blip)
        assert backend.fetch_category(CATEGORY) == backend.get_legacy_json(CATEGORY) == {"new": {}}


def test_a_commit_and_a_reset_by_a_person_are_noticed(clone: Clone) -> None:
    backend = backend_of(clone)
    backend.warm_cache()
    waiting = Waiting(backend)
    with backend.watch():
        clone.commit({"blip.json": {"b": {"by": "hand"}}})
        waiting.wait_until(lambda heard: heard == [Category.blip])
        backend.warm_cache()
        git(clone.path, "reset", "-q", "--hard", "HEAD~1")
        waiting.wait_until(lambda heard: heard == [Category.blip] * 2)
        assert backend.fetch_category(Category.blip) == {"b": {}}


def test_a_storm_tells_each_category_once(clone: Clone) -> None:
    backend = backend_of(clone)
    backend.warm_cache()
    waiting = Waiting(backend)
    with backend.watch():
        for number in range(100):
            replace(clone, {"n": {"number": number}})
        clone.write("blip.json", {"last": {}})
        waiting.wait_until(lambda heard: Category.blip in heard)
    assert sorted(waiting.heard) == sorted([CATEGORY, Category.blip])


def test_a_category_that_nobody_reads_is_told_at_each_change(clone: Clone) -> None:
    backend = backend_of(clone)
    waiting = Waiting(backend)
    with backend.watch():
        for count in (1, 2):
            replace(clone, {"n": {"number": count}})
            waiting.wait_until(partial(has_length, count))


def test_a_change_before_the_watch_began_is_noticed_when_it_begins(clone: Clone) -> None:
    backend = backend_of(clone)
    waiting = Waiting(backend)
    replace(clone, {"new": {}})
    with backend.watch():
        assert waiting.heard == [CATEGORY]


def test_a_legacy_folder_that_appears_is_watched(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "primary", {FILE: {"new": {}}})
    backend = backend_of(clone, Layout.primary)
    assert backend.get_legacy_json(CATEGORY) is None
    waiting = Waiting(backend)
    with backend.watch():
        clone.write(f"legacy/{FILE}", {"old": {}})
        waiting.wait_until(lambda heard: heard == [CATEGORY])
        assert backend.get_legacy_json(CATEGORY) == {"old": {}}


def test_a_legacy_reader_hears_of_each_change_though_nobody_reads_v2(clone: Clone) -> None:
    backend = backend_of(clone)
    waiting = Waiting(backend)
    for count in (1, 2):
        backend.get_legacy_json(CATEGORY)
        assert backend.mark_touched([clone.path / FILE]) == [CATEGORY]
        backend.mark_touched([clone.path / FILE])
        assert len(waiting.heard) == count


def test_a_path_leads_to_exactly_its_categories(clone: Clone) -> None:
    backend = backend_of(clone)
    assert backend.categories_of_path(clone.path / "blip.json") == {Category.blip}
    assert backend.categories_of_path(clone.path / "README.md") == frozenset()
    assert backend.mark_touched([clone.path / "README.md", clone.path / "clip.json"]) == [Category.clip]


def test_a_rescan_finds_what_events_did_not_tell(clone: Clone) -> None:
    backend = backend_of(clone)
    backend.warm_cache()
    assert backend.mark_changed_categories() == []
    clone.write("blip.json", {"changed": {}})
    (clone.path / "clip.json").unlink()
    assert backend.mark_changed_categories() == [Category.blip, Category.clip]
    assert backend.mark_changed_categories() == []
    assert not backend.is_cache_valid(Category.blip)
    assert backend.fetch_category(Category.clip) is None


def test_a_rescan_tells_nothing_of_a_change_that_readers_have_already_seen(clone: Clone) -> None:
    backend = backend_of(clone)
    backend.warm_cache()
    clone.write("blip.json", {"changed": {}})
    backend.warm_cache()
    waiting = Waiting(backend)
    assert backend.mark_changed_categories() == []
    assert waiting.heard == []
