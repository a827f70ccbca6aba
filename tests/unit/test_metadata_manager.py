"""Category metadata on disk and in the cache, the same for both formats."""

from __future__ import annotations

import builtins
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.categories import CanonicalFormat, CategoryName
from refsync.errors import ModelNameError, RequestError, UnknownCategoryError
from refsync.metadata.manager import MetadataManager
from refsync.metadata.models import (
    CategoryMetadata,
    MetadataEvent,
    OperationType,
    RecordedError,
    RecordedOperation,
)
from refsync.metadata.records import ModelMetadataManager

LORA = Category.lora
CREATE, UPDATE, DELETE = OperationType.CREATE, OperationType.UPDATE, OperationType.DELETE


class Door:
    """The methods of a manager that serve one format, under names without it."""

    def __init__(self, manager: MetadataManager, format: CanonicalFormat) -> None:
        self.manager, self.format = manager, format
        self.initialize: Callable[..., CategoryMetadata] = self._method("initialize_{}_metadata")
        self.get_or_initialize: Callable[..., CategoryMetadata] = self._method("get_or_initialize_{}_metadata")
        self.record: Callable[..., CategoryMetadata] = self._method("record_{}_operation")
        self.error: Callable[..., CategoryMetadata] = self._method("record_{}_error")
        self.get: Callable[[CategoryName], CategoryMetadata] = self._method("get_{}_metadata")
        self.get_all: Callable[[], dict[CategoryName, CategoryMetadata]] = self._method("get_all_{}_metadata")
        self.mark_stale: Callable[[CategoryName], None] = self._method("mark_{}_stale")
        self.path: Path = self._method("_get_{}_metadata_path")(LORA)
        self.cache: dict[CategoryName, CategoryMetadata] = self._method("_{}_cache")
        self.timestamps: dict[CategoryName, float] = self._method("_{}_cache_timestamps")
        self.mtimes: dict[CategoryName, float] = self._method("_{}_mtimes")
        self.stale: set[CategoryName] = self._method("_stale_{}")

    def _method(self, name: str) -> Any:
        return getattr(self.manager, name.format(self.format))

    def stored(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.path.read_bytes())
        return content

    def replace(self, **fields: Any) -> None:
        """Rewrite the file as another program would."""
        beside = self.path.with_name("elsewhere")
        beside.write_text(json.dumps(self.stored() | fields))
        beside.replace(self.path)


@pytest.fixture
def manager(tmp_path: Path) -> MetadataManager:
    return MetadataManager(tmp_path / "state")


@pytest.fixture(params=list(CanonicalFormat))
def door(manager: MetadataManager, request: pytest.FixtureRequest) -> Door:
    return Door(manager, request.param)


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{level} {message}")
    yield lines
    logger.remove(sink)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000_000.5]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


# Folders and files


def test_both_folders_are_created_at_once_with_their_parents(tmp_path: Path) -> None:
    MetadataManager(tmp_path / "a" / "b")
    assert sorted(each.name for each in (tmp_path / "a" / "b" / "meta").iterdir()) == ["legacy", "v2"]
    MetadataManager(tmp_path / "a" / "b")


def test_an_injected_record_manager_is_the_one_in_use(tmp_path: Path) -> None:
    records = ModelMetadataManager()
    assert MetadataManager(tmp_path, records).model_metadata is records
    assert isinstance(MetadataManager(base_path=tmp_path).model_metadata, ModelMetadataManager)


def test_each_format_has_a_file_of_its_own(manager: MetadataManager, tmp_path: Path) -> None:
    manager.record_legacy_operation(LORA, CREATE, "m")
    assert manager.get_v2_metadata(LORA).total_creates == 0
    manager.record_v2_error(LORA, "broken")
    assert manager.get_legacy_metadata(LORA).error_count == 0
    for format in ("legacy", "v2"):
        assert (tmp_path / "state" / "meta" / format / "lora_metadata.json").is_file()


def test_the_file_has_every_field_with_an_indent_of_two(door: Door) -> None:
    metadata = door.record(LORA, CREATE, "modèle")
    text = door.path.read_text(encoding="utf-8")
    assert json.loads(text) == metadata.model_dump(mode="json")
    assert text.startswith('{\n  "category": "lora",\n')
    assert "modèle" in text


def test_nothing_but_the_file_is_left_after_a_write(door: Door) -> None:
    door.record(LORA, CREATE, "m")
    assert [each.name for each in door.path.parent.iterdir()] == ["lora_metadata.json"]


@pytest.mark.parametrize("name", ["../x", "", "Lora", "nonsense"])
def test_an_unknown_category_is_refused(door: Door, name: Any) -> None:
    for call in (door.get, door.mark_stale, door.get_or_initialize, lambda it: door.record(it, CREATE, "m")):
        with pytest.raises(UnknownCategoryError):
            call(name)


# Initializing


def test_a_new_object_has_one_time_and_is_neither_written_nor_cached(door: Door, clock: list[float]) -> None:
    metadata = door.initialize(LORA, "RedisBackend")
    assert metadata == CategoryMetadata(
        category=LORA,
        last_updated=1_000_000,
        initialization_time=1_000_000,
        last_successful_operation=1_000_000,
        backend_type="RedisBackend",
    )
    assert not door.path.exists()
    assert door.cache == {}


def test_get_or_initialize_writes_and_caches_a_new_object_once(door: Door, clock: list[float]) -> None:
    first = door.get_or_initialize(LORA)
    clock[0] += 5
    assert door.stored()["backend_type"] == "FileSystemBackend"
    assert LORA in door.cache
    assert door.get_or_initialize(LORA, "RedisBackend") == first


def test_get_or_initialize_always_goes_to_disk(door: Door) -> None:
    door.get_or_initialize(LORA)
    door.cache[LORA].total_updates = 99
    assert door.get_or_initialize(LORA).total_updates == 0


# Recording


def test_each_operation_moves_exactly_its_own_counter(door: Door) -> None:
    for operation, counter in ((CREATE, "total_creates"), (UPDATE, "total_updates"), (DELETE, "total_deletes")):
        before = door.get(LORA)
        after = door.record(LORA, operation, "m")
        moved = {name for name in ("total_creates", "total_updates", "total_deletes", "error_count")
                 if getattr(before, name) != getattr(after, name)}  # fmt: skip
        assert moved == {counter}
        assert getattr(after, counter) == 1
        assert (after.last_operation_type, after.last_operation_model) == (operation.value, "m")
        assert door.stored() == after.model_dump(mode="json")


def test_total_models_follows_creations_and_deletions_and_never_goes_below_zero(door: Door) -> None:
    totals = [door.record(LORA, each, "m").total_models for each in (CREATE, CREATE, UPDATE, DELETE, DELETE, DELETE)]
    assert totals == [1, 2, 2, 1, 0, 0]
    assert door.record(LORA, UPDATE, "m", total_models=42).total_models == 42


def test_a_failed_operation_moves_only_what_was_last_tried(door: Door, clock: list[float]) -> None:
    before = door.record(LORA, CREATE, "m")
    clock[0] += 10
    after = door.record(LORA, DELETE, "n", success=False)
    assert after.model_dump() == before.model_dump() | {
        "last_updated": 1_000_010,
        "last_operation_type": "delete",
        "last_operation_model": "n",
    }


def test_an_error_moves_only_its_counter_and_the_time(door: Door, clock: list[float], log: list[str]) -> None:
    before = door.record(LORA, CREATE, "m")
    clock[0] += 10
    after = door.error(LORA, "the disk said {no}")
    assert after.model_dump() == before.model_dump() | {"last_updated": 1_000_010, "error_count": 1}
    assert any("the disk said {no}" in line for line in log)


def test_the_backend_type_matters_only_for_a_new_object(door: Door) -> None:
    assert door.error(LORA, "x", "RedisBackend").backend_type == "RedisBackend"
    assert door.record(LORA, CREATE, "m", backend_type="Other").backend_type == "RedisBackend"


def test_last_updated_never_goes_back(door: Door) -> None:
    assert door.record(LORA, CREATE, "m", timestamp=500).initialization_time == 500
    assert door.record(LORA, UPDATE, "m", timestamp=400).last_updated == 500
    later = door.record(LORA, UPDATE, "m", timestamp=600)
    assert (later.last_updated, later.last_successful_operation, later.initialization_time) == (600, 600, 500)


def test_a_record_reads_the_file_and_not_only_the_cache(door: Door) -> None:
    door.record(LORA, CREATE, "m")
    door.cache[LORA].total_creates = 50
    assert door.record(LORA, CREATE, "n").total_creates == 2


def test_wrong_arguments_are_refused_before_anything_is_written(door: Door) -> None:
    with pytest.raises(RequestError, match="create, update, delete"):
        door.record(LORA, "rename", "m")
    with pytest.raises(ModelNameError, match="int"):
        door.record(LORA, CREATE, 3)
    assert not door.path.exists()


def test_a_name_that_utf_8_cannot_hold_is_escaped(door: Door) -> None:
    door.record(LORA, CREATE, "half \ud800")
    door.mark_stale(LORA)
    assert door.get(LORA).last_operation_model == "half \\ud800"


def test_many_threads_lose_no_update(door: Door) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: door.record(LORA, CREATE, f"m{number}"), range(200)))
    assert door.stored()["total_creates"] == 200


def test_two_managers_on_one_folder_lose_no_update(door: Door, tmp_path: Path) -> None:
    doors = [door, Door(MetadataManager(tmp_path / "state"), door.format)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: doors[number % 2].record(LORA, CREATE, "m"), range(100)))
    assert [each.get(LORA).total_creates for each in doors] == [100, 100]


# Recording many at once


OPERATIONS = [
    RecordedOperation(CREATE, "a", 100, "c1", "ada"),
    RecordedOperation(CREATE, "b", 90, "c2", "bob"),
    RecordedOperation(UPDATE, "a", 120, "c3", "ada"),
    RecordedOperation(DELETE, "b", 110, "c4", "bob"),
]


def test_many_at_once_give_the_same_as_one_by_one(manager: MetadataManager) -> None:
    for each in OPERATIONS:
        manager.record_legacy_operation(LORA, each.operation, each.model, timestamp=each.timestamp)
    together = manager.record_operations(CanonicalFormat.v2, LORA, OPERATIONS)
    assert together == manager.get_legacy_metadata(LORA)
    assert together == manager.get_v2_metadata(LORA)


def test_many_at_once_are_one_write(manager: MetadataManager, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []
    write = manager._write_metadata_file

    def note(path: Path, metadata: CategoryMetadata) -> None:
        written.append(path)
        write(path, metadata)

    monkeypatch.setattr(manager, "_write_metadata_file", note)
    manager.record_operations(CanonicalFormat.v2, LORA, OPERATIONS)
    assert written == [manager._get_v2_metadata_path(LORA)]


def test_the_history_says_where_it_stands_and_what_it_could_not_read(manager: MetadataManager) -> None:
    manager.record_v2_error(LORA, "one of ours", timestamp=10)
    metadata = manager.record_operations(
        CanonicalFormat.v2,
        LORA,
        OPERATIONS,
        errors=[RecordedError("broken", 130, "c5")],
        recorded_commit="c5",
        recorded_blob="b4",
        total_models=1,
    )
    assert (metadata.error_count, metadata.history_errors, metadata.last_updated) == (2, 1, 130)
    assert (metadata.recorded_commit, metadata.recorded_blob, metadata.total_models) == ("c5", "b4", 1)


def test_a_replacement_keeps_the_errors_of_our_own(manager: MetadataManager) -> None:
    history = [RecordedError("broken", 130, "c5")] * 2
    manager.record_operations(CanonicalFormat.v2, LORA, OPERATIONS, errors=history, initialization_time=7)
    manager.record_v2_error(LORA, "ours", timestamp=5000)
    fold = CategoryMetadata(
        category=LORA,
        last_updated=50,
        initialization_time=1,
        last_successful_operation=50,
        backend_type="GitBackend",
        error_count=4,
        history_errors=3,
    )

    replaced = manager.replace_metadata(CanonicalFormat.v2, LORA, fold)

    assert (replaced.error_count, replaced.history_errors) == (5, 3)
    assert (replaced.total_creates, replaced.initialization_time, replaced.last_updated) == (0, 1, 5000)
    assert fold.error_count == 4


# Reading


def test_a_read_never_writes(door: Door) -> None:
    door.get(LORA)
    assert list(door.get_all()) == list(Category)
    assert list(door.path.parent.iterdir()) == []
    assert not (door.path.parents[1] / ".lock").exists()


def test_a_missing_file_reads_as_a_fresh_default(door: Door, clock: list[float]) -> None:
    assert door.get(LORA) == door.initialize(LORA, "FileSystemBackend")


def test_a_missing_folder_reads_as_a_fresh_default(door: Door) -> None:
    door.path.parent.rmdir()
    assert door.get(LORA).total_creates == 0


def test_a_returned_object_belongs_to_the_caller(door: Door) -> None:
    for metadata in (
        door.record(LORA, CREATE, "m"),
        door.get(LORA),
        door.get_all()[LORA],
        door.get_or_initialize(LORA),
    ):
        metadata.total_creates = 77
        assert door.get(LORA).total_creates == 1


def test_a_valid_entry_is_served_from_the_cache(door: Door) -> None:
    door.record(LORA, CREATE, "m")
    door.cache[LORA].total_updates = 99
    assert door.get(LORA).total_updates == 99


def test_a_stale_mark_makes_the_next_read_go_to_the_file_once(door: Door) -> None:
    door.record(LORA, CREATE, "m")
    door.cache[LORA].total_updates = 99
    door.mark_stale(LORA)
    assert LORA in door.stale
    assert door.get(LORA).total_updates == 0
    assert LORA not in door.stale


def test_dropping_the_load_time_forces_a_reload(door: Door) -> None:
    door.record(LORA, CREATE, "m")
    door.cache[LORA].total_updates = 99
    del door.timestamps[LORA]
    assert door.get(LORA).total_updates == 0


@pytest.mark.parametrize(("age", "served"), [(0, 99), (60, 99), (60.25, 0), (-1, 0)])
def test_an_entry_lives_sixty_seconds_and_no_clock_set_back_prolongs_it(
    door: Door, clock: list[float], age: float, served: int
) -> None:
    door.record(LORA, CREATE, "m")
    door.cache[LORA].total_updates = 99
    clock[0] += age
    assert door.get(LORA).total_updates == served


def test_a_file_written_by_another_is_read_even_with_the_same_mtime(door: Door) -> None:
    door.record(LORA, CREATE, "m")
    stat = door.path.stat()
    door.replace(total_updates=5)
    os.utime(door.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert door.get(LORA).total_updates == 5


def test_a_vanished_file_invalidates_its_entry(door: Door) -> None:
    door.record(LORA, CREATE, "m")
    door.path.unlink()
    assert door.get(LORA).total_creates == 0
    assert LORA not in door.cache


def test_the_documented_mtime_is_that_of_the_file(door: Door) -> None:
    door.record(LORA, CREATE, "m")
    assert door.mtimes[LORA] == door.path.stat().st_mtime


def test_the_documented_rule_changes_nothing_and_needs_every_part(door: Door, clock: list[float]) -> None:
    door.record(LORA, CREATE, "m")
    mtime = door.path.stat().st_mtime

    def valid(
        timestamps: dict[CategoryName, float], mtimes: dict[CategoryName, float], stale: set[CategoryName]
    ) -> bool:
        return door.manager._is_cache_valid(LORA, timestamps, mtimes, stale, lambda _: door.path)

    assert valid({LORA: clock[0]}, {LORA: mtime}, set())
    assert not valid({LORA: clock[0]}, {LORA: mtime}, {LORA})
    assert not valid({}, {LORA: mtime}, set())
    assert not valid({LORA: clock[0]}, {}, set())
    assert not valid({LORA: clock[0]}, {LORA: mtime + 1}, set())
    door.path.unlink()
    assert not valid({LORA: clock[0]}, {LORA: mtime}, set())


def test_a_write_during_a_read_is_noticed(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.record(LORA, CREATE, "m")
    read = door.manager._read_metadata_file

    def read_and_lose_the_race(path: Path) -> CategoryMetadata | None:
        metadata = read(path)
        door.replace(total_updates=5)
        return metadata

    door.mark_stale(LORA)
    with monkeypatch.context() as patched:
        patched.setattr(door.manager, "_read_metadata_file", read_and_lose_the_race)
        assert door.get(LORA).total_updates == 0
    assert door.get(LORA).total_updates == 5


# Durability


def test_data_and_folder_are_forced_to_disk_around_the_rename(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.record(LORA, CREATE, "m")
    seen: list[tuple[str, int]] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        seen.append((Path(os.readlink(f"/proc/self/fd/{descriptor}")).name, door.stored()["total_creates"]))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    door.record(LORA, CREATE, "n")

    (data, before), (folder, after) = seen
    assert ".tmp." in data
    assert (folder, before, after) == (door.path.parent.name, 1, 2)


@pytest.mark.parametrize("place", ["open", "fsync"])
def test_a_failed_write_leaves_the_old_file_and_no_temporary(
    door: Door, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    door.record(LORA, CREATE, "m")
    before = door.path.read_bytes()

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise PermissionError("read-only")

    with monkeypatch.context() as patched:
        patched.setattr(builtins if place == "open" else os, place, refuse)
        with pytest.raises(PermissionError):
            door.record(LORA, CREATE, "n")
        with pytest.raises(PermissionError):
            door.error(LORA, "x")
    assert door.path.read_bytes() == before
    assert [each.name for each in door.path.parent.iterdir()] == ["lora_metadata.json"]
    assert door.get(LORA).total_creates == 1


def test_the_lock_is_usable_by_the_group(door: Door) -> None:
    door.record(LORA, CREATE, "m")
    assert (door.path.parents[1] / ".lock").stat().st_mode & 0o777 == 0o660


# What others and crashes leave


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"category": "lora"}', b"[" * 100_000])
def test_a_corrupt_file_is_reported_kept_aside_and_not_served(door: Door, log: list[str], content: bytes) -> None:
    door.path.write_bytes(content)

    assert door.get(LORA).total_creates == 0
    assert door.path.read_bytes() == content
    assert door.record(LORA, CREATE, "m").total_creates == 1

    (aside,) = (each for each in door.path.parent.iterdir() if each != door.path)
    assert aside.read_bytes() == content
    assert any(line.startswith("ERROR") and str(aside) in line for line in log)


def test_a_file_of_another_category_is_corrupt(door: Door, log: list[str]) -> None:
    door.record(LORA, CREATE, "m")
    door.replace(category="ti")

    assert door.get(LORA).total_creates == 0
    assert door.get_or_initialize(LORA).total_creates == 0
    assert any("describes category ti" in line for line in log)
    assert len(list(door.path.parent.glob("*.corrupt.*"))) == 1


@pytest.mark.parametrize("name", ["lora_metadata.bak", "lora_metadata.json.bak"])
def test_a_lone_backup_is_recovered(door: Door, name: str) -> None:
    door.record(LORA, CREATE, "m")
    door.path.rename(door.path.with_name(name))

    assert door.get(LORA).total_creates == 1
    assert door.record(LORA, CREATE, "n").total_creates == 2
    assert [each.name for each in door.path.parent.iterdir()] == ["lora_metadata.json"]


def test_leftovers_beside_a_good_file_are_removed_by_the_next_write_of_that_category(door: Door) -> None:
    door.record(LORA, CREATE, "m")
    for name in ("lora_metadata.tmp.json", "lora_metadata.json.tmp.1.2.3", "lora_metadata.bak", "ti_metadata.bak"):
        door.path.with_name(name).write_text("{")

    assert door.record(LORA, CREATE, "n").total_creates == 2
    assert sorted(each.name for each in door.path.parent.iterdir()) == ["lora_metadata.json", "ti_metadata.bak"]


def test_an_older_file_is_read_upgraded_and_keeps_unknown_keys(door: Door) -> None:
    old = {"category": "lora", "last_updated": 5, "initialization_time": 1, "last_successful_operation": 4}
    more = {"backend_type": "RedisBackend", "total_creates": 3, "metadata_schema_version": "0.5", "shard": 7}
    door.path.write_text(json.dumps(old | more))

    assert door.get(LORA).total_creates == 3
    assert door.stored()["metadata_schema_version"] == "0.5"
    door.record(LORA, CREATE, "m")
    stored = door.stored()
    assert (stored["total_creates"], stored["shard"], stored["metadata_schema_version"]) == (4, 7, "1.0.0")
    assert stored["backend_type"] == "RedisBackend"


# Listeners


def test_a_listener_gets_every_operation_and_error(door: Door) -> None:
    events: list[MetadataEvent] = []
    door.manager.add_listener(events.append)

    door.record(LORA, CREATE, "m", timestamp=5, commit="c", person="ada")
    door.record(LORA, DELETE, "n", success=False, timestamp=6)
    door.error(LORA, "broken", timestamp=7)
    door.manager.remove_listener(events.append)
    door.record(LORA, CREATE, "o")

    assert events == [
        MetadataEvent(LORA, door.format, CREATE, "m", "c", "ada", 5, None),
        MetadataEvent(LORA, door.format, DELETE, "n", None, None, 6, "delete of 'n' failed"),
        MetadataEvent(LORA, door.format, None, None, None, None, 7, "broken"),
    ]


def test_a_listener_gets_the_operations_of_a_batch_in_order(manager: MetadataManager) -> None:
    events: list[MetadataEvent] = []
    manager.add_listener(events.append)
    manager.record_operations(CanonicalFormat.v2, LORA, OPERATIONS, errors=[RecordedError("broken", 130, "c5", "eve")])
    assert [(event.operation, event.model, event.commit, event.person, event.timestamp) for event in events] == [
        *((each.operation, each.model, each.commit, each.person, each.timestamp) for each in OPERATIONS),
        (None, None, "c5", "eve", 130),
    ]


def test_a_listener_is_called_outside_the_lock_and_after_the_write(door: Door) -> None:
    seen: list[int] = []
    with ThreadPoolExecutor(1) as other:
        door.manager.add_listener(lambda _: seen.append(other.submit(door.get, LORA).result(5).total_creates))
        door.record(LORA, CREATE, "m")
    assert seen == [1]


def test_what_a_listener_raises_is_logged_and_harms_nothing(door: Door, log: list[str]) -> None:
    events: list[MetadataEvent] = []

    def refuse(event: MetadataEvent) -> None:
        raise LookupError("not today")

    door.manager.add_listener(refuse)
    door.manager.add_listener(events.append)
    assert door.record(LORA, CREATE, "m").total_creates == 1
    assert len(events) == 1
    assert any("not today" in line for line in log)


def test_a_failed_write_tells_listeners_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[MetadataEvent] = []
    door.manager.add_listener(events.append)

    def refuse(path: Path, metadata: CategoryMetadata) -> None:
        raise OSError("full")

    monkeypatch.setattr(door.manager, "_write_metadata_file", refuse)
    with pytest.raises(OSError, match="full"):
        door.record(LORA, CREATE, "m")
    assert events == []


def test_a_group_that_may_write_the_folder_may_write_what_is_made_in_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    MetadataManager(tmp_path)
    made = [tmp_path / "meta", tmp_path / "meta" / "legacy", tmp_path / "meta" / "v2"]
    assert [oct(folder.stat().st_mode & 0o7777) for folder in made] == ["0o2770"] * 3
