from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from refsync.backends.base import ReplicateMode
from refsync.backends.git_backend import GitBackend
from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.categories import SPECIFIED, CanonicalFormat, CategoryName, Layout, canonical_format
from refsync.errors import CloneError, ConfigError, DocumentError
from tests.support.backends import CATEGORY, Heard
from tests.support.repositories import Clone, dump, git

LEGACY, V2 = CanonicalFormat.legacy, CanonicalFormat.v2
RECORDS = {"Deliberate": {"nsfw": False, "files": [{"sha": "é"}]}, "Other": {}}
FILE = "stable_diffusion.json"
FilesOf = dict[CategoryName, dict[CanonicalFormat, str]]


def backend_of(clone: Clone, layout: Layout = Layout.upstream, **options: Any) -> GitBackend:
    files: FilesOf = {category: SPECIFIED[category].files(layout) for category in Category}
    return GitBackend(clone.path, files, canonical_format=canonical_format(layout), **options)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.create(tmp_path / "clone", {FILE: RECORDS, "blip.json": {"b": {}}})


@pytest.fixture
def primary(tmp_path: Path) -> Clone:
    files: dict[str, dict[str, Any]] = {FILE: {"new": {}}, f"legacy/{FILE}": {"old": {}}, "lora.json": {"l": {}}}
    return Clone.create(tmp_path / "primary", files)


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message).strip()), level="WARNING", format="{message}")
    yield lines
    logger.remove(sink)


def replace(clone: Clone, records: dict[str, Any]) -> None:
    clone.write("new.tmp", dump(records))
    (clone.path / "new.tmp").rename(clone.path / FILE)


def test_an_upstream_clone_serves_its_legacy_files_through_both_caches(clone: Clone) -> None:
    backend = backend_of(clone)
    assert backend.fetch_category(CATEGORY) == RECORDS
    assert backend.get_legacy_json(CATEGORY) == RECORDS
    assert backend.get_legacy_json_string(CATEGORY) == clone.read(FILE).decode()
    assert backend.get_category_file_path(CATEGORY) == clone.path / FILE


def test_a_primary_clone_serves_v2_files_and_legacy_ones_beside_them(primary: Clone) -> None:
    backend = backend_of(primary, Layout.primary)
    assert backend.fetch_category(CATEGORY) == {"new": {}}
    assert backend.get_legacy_json(CATEGORY) == {"old": {}}
    assert backend.fetch_category(Category.lora) == {"l": {}}
    assert backend.get_legacy_json(Category.lora) is None
    assert backend.get_legacy_json_string(Category.lora) is None
    assert backend.get_category_file_path(CATEGORY) == primary.path / FILE


def test_every_category_is_a_key_and_what_the_clone_lacks_is_none(clone: Clone, log: list[str]) -> None:
    backend = backend_of(clone)
    everything = backend.fetch_all_categories()
    assert list(everything) == list(Category) == list(backend.get_all_category_file_paths())
    assert {category for category, data in everything.items() if data is not None} == {CATEGORY, Category.blip}
    assert backend.get_category_file_path(Category.lora) is None
    assert backend.get_all_category_file_paths()[Category.blip] == clone.path / "blip.json"
    backend.fetch_all_categories(force_refresh=True)
    assert log == []


def test_async_reads_give_the_same_shared_data(clone: Clone) -> None:
    backend = backend_of(clone)
    everything = asyncio.run(backend.fetch_all_categories_async())
    assert everything == backend.fetch_all_categories()
    assert asyncio.run(backend.fetch_category_async(CATEGORY)) is backend.fetch_category(CATEGORY)
    forced = asyncio.run(backend.fetch_category_async(CATEGORY, force_refresh=True))
    assert forced is not everything[CATEGORY]


def test_a_copy_is_the_callers_own(clone: Clone) -> None:
    backend = backend_of(clone)
    copy = backend.fetch_category(CATEGORY, copy=True)
    assert copy == RECORDS
    copy.clear()
    assert backend.get_record(CATEGORY, "Deliberate") == RECORDS["Deliberate"]


@pytest.mark.parametrize(
    "change", [lambda clone: clone.write(FILE, {"x": {}}), lambda clone: replace(clone, {"x": {}})]
)
def test_a_change_on_disk_is_read_without_events(clone: Clone, change: Callable[[Clone], None]) -> None:
    backend = backend_of(clone)
    heard = Heard(backend)
    backend.warm_cache()
    change(clone)
    assert not backend.is_legacy_cache_valid(CATEGORY)
    assert backend.fetch_category(CATEGORY) == backend.get_legacy_json(CATEGORY) == {"x": {}}
    assert heard.categories == [CATEGORY]


def test_a_checkout_is_read_and_other_categories_stay_valid(clone: Clone) -> None:
    clone.commit({FILE: {"second": {}}})
    backend = backend_of(clone)
    backend.warm_cache()
    git(clone.path, "reset", "-q", "--hard", "HEAD~1")
    assert backend.fetch_category(CATEGORY) == RECORDS
    assert backend.is_cache_valid(Category.blip)


def test_a_member_that_is_no_record_is_not_served_and_shuts_no_file(clone: Clone) -> None:
    backend = backend_of(clone)
    clone.write(FILE, b'{"$schema": "./schema.json", "Deliberate": {"nsfw": false}, "tags": [1]}')
    assert backend.fetch_category(CATEGORY) == backend.get_legacy_json(CATEGORY) == {"Deliberate": {"nsfw": False}}
    assert backend.is_cache_valid(CATEGORY)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"Deliberate": {"nsfw"', "line 1"),
        (b"", "line 1"),
        (b'[{"a": 1}]', "object"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_broken_file_leaves_the_last_good_data_in_service_visibly_stale(
    clone: Clone, log: list[str], content: bytes, reason: str
) -> None:
    backend = backend_of(clone)
    backend.warm_cache()
    clone.write(FILE, content)
    for _ in range(3):
        assert backend.fetch_category(CATEGORY) == RECORDS
        assert backend.get_legacy_json(CATEGORY) == RECORDS
        assert not backend.is_cache_valid(CATEGORY)
    staleness = backend.staleness(CATEGORY)
    assert staleness is not None
    assert reason in staleness.reason
    assert str(clone.path / FILE) in staleness.reason
    assert abs(staleness.since - time.time()) < 60
    assert backend.get_statistics()["v2"]["categories"][CATEGORY]["stale_reason"] == staleness.reason
    assert len(log) == 1
    assert str(clone.path / FILE) in log[0]
    clone.write(FILE, {"fixed": {}})
    assert backend.fetch_category(CATEGORY) == {"fixed": {}}
    assert backend.staleness(CATEGORY) is None


def test_each_broken_version_is_logged_once_and_read_once(clone: Clone, log: list[str]) -> None:
    backend = backend_of(clone)
    for number in range(1, 3):
        clone.write(FILE, b"{" * number)
        assert [backend.fetch_category(CATEGORY) for _ in range(3)] == [None] * 3
        assert len(log) == number
        started = time.monotonic()
        for _ in range(100):
            backend.fetch_category(CATEGORY)
        assert time.monotonic() - started < 1  # without the patience that the first read had


def test_who_forces_a_refresh_hears_what_is_wrong(clone: Clone, log: list[str]) -> None:
    backend = backend_of(clone)
    clone.write(FILE, b'{\n "Deliberate": }')
    with pytest.raises(DocumentError, match=r"line 2.*stable_diffusion\.json"):
        backend.fetch_category(CATEGORY, force_refresh=True)
    with pytest.raises(DocumentError):
        backend.get_legacy_json(CATEGORY, redownload=True)
    (clone.path / FILE).unlink()
    (clone.path / FILE).mkdir()
    with pytest.raises(CloneError, match=r"cannot read .*: it is no regular file; check"):
        backend.fetch_category(CATEGORY, force_refresh=True)
    assert log == []


def test_a_file_that_is_gone_clears_its_data(clone: Clone) -> None:
    backend = backend_of(clone)
    backend.warm_cache()
    (clone.path / FILE).unlink()
    assert backend.fetch_category(CATEGORY) is None
    assert backend.get_legacy_json(CATEGORY) is None
    assert not backend.has_cached_data(CATEGORY)
    assert not backend.needs_refresh(CATEGORY)
    clone.write(FILE, {"back": {}})
    assert backend.fetch_category(CATEGORY) == {"back": {}}


def test_a_file_that_is_missing_for_a_moment_never_shows_as_missing(clone: Clone) -> None:
    backend = backend_of(clone)
    backend.warm_cache()
    content = clone.read(FILE)
    (clone.path / FILE).unlink()
    back = threading.Timer(0.05, lambda: clone.write(FILE, content))
    back.start()
    assert backend.fetch_category(CATEGORY) == RECORDS
    back.join()
    assert backend.fetch_category(CATEGORY) == RECORDS


def test_readers_never_see_a_file_that_is_being_written(clone: Clone) -> None:
    """Written the way git and editors do: truncate or unlink, then in pieces."""
    backend = backend_of(clone)
    versions = [{f"model {number}": {"version": version} for number in range(500)} for version in range(12)]
    clone.write(FILE, versions[0])
    done = threading.Event()
    seen: list[object] = []

    def read() -> None:
        while not done.is_set():
            seen.append(backend.fetch_category(CATEGORY))
            seen.append(backend.get_legacy_json(CATEGORY))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number, version in enumerate(versions):
        write_in_pieces(clone.path / FILE, dump(version), unlink_first=bool(number % 2))
    done.set()
    for reader in readers:
        reader.join()
    assert all(data in versions for data in seen)
    assert backend.fetch_category(CATEGORY) == versions[-1]


def write_in_pieces(path: Path, data: bytes, *, unlink_first: bool) -> None:
    if unlink_first:
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for start in range(0, len(data), 4096):
        os.write(descriptor, data[start : start + 4096])
    os.close(descriptor)


def test_a_byte_order_mark_is_no_part_of_the_text(clone: Clone) -> None:
    clone.write(FILE, b"\xef\xbb\xbf" + dump(RECORDS))
    text = backend_of(clone).get_legacy_json_string(CATEGORY)
    assert text is not None
    assert json.loads(text) == RECORDS


@pytest.mark.parametrize("file", ["../outside.json", "/etc/passwd", "a/../../b.json", ""])
def test_a_category_file_outside_the_clone_is_refused(tmp_path: Path, file: str) -> None:
    with pytest.raises(ConfigError, match="outside the clone"):
        GitBackend(tmp_path, {CATEGORY: {V2: file}}, canonical_format=V2)


def test_statistics_count_what_happened(clone: Clone) -> None:
    backend = backend_of(clone)
    for _ in range(3):
        backend.fetch_category(CATEGORY)
    replace(clone, {"x": {}})
    backend.fetch_category(CATEGORY)
    backend.mark_touched([clone.path / FILE])
    v2 = backend.get_statistics()["v2"]
    assert {name: v2[name] for name in ("hits", "misses", "loads", "failed_loads", "invalidations", "bytes")} == {
        "hits": 2,
        "misses": 2,
        "loads": 2,
        "failed_loads": 0,
        "invalidations": {"changed": 1, "touched": 1},
        "bytes": len(clone.read(FILE)),
    }
    assert list(v2["categories"]) == [CATEGORY]
    entry = v2["categories"][CATEGORY]
    assert entry["bytes"] == len(clone.read(FILE))
    assert 0 <= entry["age_seconds"] < 60
    json.dumps(backend.get_statistics())


def test_warming_loads_everything_so_that_reads_are_hits(clone: Clone) -> None:
    for warm in (GitBackend.warm_cache, lambda backend: asyncio.run(backend.warm_cache_async())):
        backend = backend_of(clone)
        warm(backend)
        misses = backend.get_statistics()["v2"]["misses"], backend.get_statistics()["legacy"]["misses"]
        assert backend.fetch_category(CATEGORY) == backend.get_legacy_json(CATEGORY)
        assert (backend.get_statistics()["v2"]["misses"], backend.get_statistics()["legacy"]["misses"]) == misses


def test_a_health_check_runs_every_check_and_logs_those_that_fail(clone: Clone, log: list[str]) -> None:
    def full() -> None:
        raise OSError("no space left")

    ran: list[str] = []
    assert backend_of(clone, health_checks={"store": lambda: ran.append("store")}).health_check()
    assert not backend_of(clone, health_checks={"disk": full, "store": lambda: ran.append("again")}).health_check()
    assert ran == ["store", "again"]
    assert log == [f"health check 'disk' of {clone.path} failed: no space left"]
    clone.path.rename(clone.path.with_name("away"))
    assert not backend_of(clone).health_check()
    assert "cannot be read" in log[-1]


def test_a_replica_promises_no_writes_and_no_metadata(clone: Clone) -> None:
    backend = backend_of(clone)
    assert backend.replicate_mode is ReplicateMode.REPLICA
    assert not backend.support_any_writes()
    assert not backend.supports_metadata()
    assert backend.supports_cache_warming()
    assert backend.supports_health_checks()
    assert backend.supports_statistics()


@pytest.mark.bundles
def test_the_real_image_reference_is_served_as_it_stands(image_bundle: Path, tmp_path: Path) -> None:
    clone = Clone.of_bundle(image_bundle, tmp_path / "image")
    data = backend_of(clone).fetch_all_categories()
    held = {category for category in Category if (clone.path / f"{category}.json").exists()} - {Category.lora}
    assert {category for category, records in data.items() if records is not None} == held | {CATEGORY}
    assert data[CATEGORY] == clone.records(FILE)


def test_a_valid_hit_parses_nothing_and_is_fast(clone: Clone) -> None:
    backend = backend_of(clone)
    clone.write(FILE, {f"model {number}": {"n": number} for number in range(5000)})
    backend.fetch_category(CATEGORY)
    started = time.perf_counter()
    for _ in range(2000):
        backend.fetch_category(CATEGORY)
    assert (time.perf_counter() - started) / 2000 < 0.0005
    assert backend.get_statistics()["v2"]["loads"] == 1
