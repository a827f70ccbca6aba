"""The names that programs of the ecosystem use: each is there, with the arguments, defaults and values it has there.

What the names do is told by the tests of their parts; here stands what would break a program before it does anything.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Optional, get_type_hints

import pytest
from pydantic import BaseModel

import refsync
from refsync.backends.base import ModelReferenceBackend, ReplicateMode
from refsync.backends.replica_backend_base import ReplicaBackendBase
from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.categories import SPECIFIED, CanonicalFormat, CategoryName, Layout
from refsync.metadata.manager import MetadataManager
from refsync.metadata.models import (
    CategoryMetadata,
    GenericModelRecordMetadata,
    ModelMetadataHandlerProtocol,
    OperationType,
)
from refsync.metadata.records import ModelMetadataManager
from refsync.pending_queue import models
from refsync.pending_queue.diffs import PendingChangeDiffService
from refsync.pending_queue.models import (
    AuditOperation,
    BatchSplitInfo,
    MarkAppliedResult,
    PendingBatchResult,
    PendingChangeDiff,
    PendingChangeDiffPage,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueueFilter,
    PendingQueuePage,
)
from refsync.pending_queue.service import PendingQueueService
from refsync.pending_queue.store import PendingQueueStore
from tests.support.backends import DictBackend

W = "logical_user_id=None, request_id=None"
FETCH = "httpx_client=None, force_refresh=False"
BACKEND = 'backend_type="FileSystemBackend"'

SIGNATURES: dict[Any, str] = {
    ModelReferenceBackend: f"""
        __init__(mode=ReplicateMode.REPLICA)
        get_replicate_mode()
        fetch_category(category, *, force_refresh=False)
        fetch_all_categories(*, force_refresh=False)
        async fetch_category_async(category, *, {FETCH})
        async fetch_all_categories_async(*, {FETCH})
        get_category_file_path(category)
        get_all_category_file_paths()
        get_legacy_json(category, redownload=False)
        get_legacy_json_string(category, redownload=False)
        needs_refresh(category)
        _mark_stale_impl(category)
        register_invalidation_callback(callback)
        mark_stale(category)
        _notify_invalidation(category)
        supports_writes()
        supports_legacy_writes()
        support_any_writes()
        supports_cache_warming()
        supports_health_checks()
        supports_statistics()
        supports_metadata()
        update_model(category, model_name, record_dict, *, {W})
        update_model_from_base_model(category, model_name, record_model, *, {W})
        delete_model(category, model_name, *, {W})
        update_model_legacy(category, model_name, record_dict, *, {W})
        update_model_legacy_from_base_model(category, model_name, record_model, *, {W})
        delete_model_legacy(category, model_name, *, {W})
        warm_cache()
        async warm_cache_async()
        health_check()
        get_statistics()
        get_legacy_metadata(category)
        get_metadata(category)
        get_all_legacy_metadata()
        get_all_metadata()
        async get_legacy_metadata_async(category)
        async get_metadata_async(category)
        async get_all_legacy_metadata_async()
        async get_all_metadata_async()
    """,
    ReplicaBackendBase: """
        __init__(*, mode=ReplicateMode.REPLICA, cache_ttl_seconds=None)
        has_cached_data(category)
        is_cache_valid(category)
        needs_refresh(category)
        should_fetch_data(category)
        is_legacy_cache_valid(category)
        _fetch_with_cache(category, fetch_fn, *, force_refresh=False)
        _get_from_cache(category)
        _store_in_cache(category, data)
        _mark_category_fresh(category)
        _invalidate_cache(category)
        _invalidate_category_timestamp(category)
        _mark_stale_impl(category)
        _get_legacy_from_cache(category)
        _store_legacy_in_cache(category, legacy_dict, legacy_string)
        _mark_legacy_category_fresh(category)
        _invalidate_legacy_cache(category)
        _set_cache_ttl_seconds(ttl_seconds)
        _get_file_path_for_validation(category)
        _get_legacy_file_path_for_validation(category)
        _additional_cache_validation(category)
    """,
    MetadataManager: f"""
        __init__(base_path, model_metadata_manager=None)
        initialize_legacy_metadata(category, backend_type)
        initialize_v2_metadata(category, backend_type)
        get_or_initialize_legacy_metadata(category, {BACKEND})
        get_or_initialize_v2_metadata(category, {BACKEND})
        record_legacy_operation(category, operation, model_name, success=True, {BACKEND})
        record_v2_operation(category, operation, model_name, success=True, {BACKEND})
        record_legacy_error(category, error_info, {BACKEND})
        record_v2_error(category, error_info, {BACKEND})
        get_legacy_metadata(category)
        get_v2_metadata(category)
        get_all_legacy_metadata()
        get_all_v2_metadata()
        mark_legacy_stale(category)
        mark_v2_stale(category)
        _ensure_meta_directories()
        _get_legacy_metadata_path(category)
        _get_v2_metadata_path(category)
        _read_metadata_file(file_path)
        _write_metadata_file(file_path, metadata)
        _is_cache_valid(category, cache_timestamps, mtimes, stale_set, metadata_path_fn)
    """,
    ModelMetadataManager: """
        __init__(custom_handler=None)
        get_metadata(record_dict)
        set_metadata(record_dict, metadata)
        update_metadata(record_dict, **updates)
        preserve_creation_fields(existing_record, new_record)
        set_creation_timestamp(record_dict, timestamp=None)
        set_update_timestamp(record_dict, timestamp=None)
        ensure_metadata_populated(record_dict, timestamp=None)
        apply_custom_handler(record_dict, context)
    """,
    ModelMetadataHandlerProtocol: "transform_metadata(metadata, context)",
    PendingQueueStore: """
        __init__(*, root_path)
        enqueue_change(record)
        get_change(change_id)
        list_changes(*, queue_filter=None, offset=0, limit=None)
        purge_changes(*, queue_filter=None)
        save_many(records)
        get_current_pending_batch_id()
        get_or_create_pending_batch_id()
        next_batch_id()
        has_approved_changes_in_batch(batch_id)
        get_approved_changes_in_batch(batch_id)
        reserve_for_apply(*, change_id, reservation_id)
        clear_reservation_if_matches(*, change_id, reservation_id)
        get_applying_records()
        revert_applying_to_approved(change_id)
    """,
    PendingQueueService: """
        __init__(*, store, audit_writer)
        enqueue_change(*, category, model_name, operation, payload, requestor_id, requestor_username, notes=None,\
 request_metadata=None, related_models=None)
        get_change(change_id)
        list_changes(*, queue_filter=None, offset=0, limit=None)
        process_batch(*, approver_id, approver_username, batch_title, approved_ids, rejected_ids, reject_reason=None)
        purge_changes(*, queue_filter, purged_by, purged_username)
        reserve_for_apply(*, change_id, reservation_id)
        clear_apply_reservation(*, change_id, reservation_id)
        mark_applied(*, change_id, applied_by, applied_username, job_id=None)
        scan_stuck_applying()
    """,
    PendingChangeDiffService: """
        __init__(*, manager, queue_service)
        compute_change_diff(change_id)
        compute_bulk_diffs(change_ids)
    """,
}
CALLS = [(owner, line.strip()) for owner, text in SIGNATURES.items() for line in text.splitlines() if line.strip()]


def parsed(line: str) -> tuple[str, bool, inspect.Signature]:
    """Name, whether it is asynchronous, and the signature that a line of the table tells."""
    call = line.removeprefix("async ")
    name, _, arguments = call.partition("(")
    made: dict[str, Any] = {"ReplicateMode": ReplicateMode}
    exec(f"def call(self, {arguments.replace('self, )', 'self)')}: ...", made)
    return name, call != line, inspect.signature(made["call"])


@pytest.mark.parametrize(("owner", "line"), CALLS, ids=[f"{owner.__name__}.{line}" for owner, line in CALLS])
def test_a_call_of_the_ecosystem_means_the_same_here(owner: type, line: str) -> None:
    name, asynchronous, wanted = parsed(line)
    method = inspect.getattr_static(owner, name)
    assert inspect.iscoroutinefunction(method) is asynchronous
    ours = inspect.signature(method).parameters
    for parameter in wanted.parameters.values():
        assert ours[parameter.name].kind is parameter.kind
        if parameter.default is not inspect.Parameter.empty:
            assert ours[parameter.name].default == parameter.default
    positional = [each.name for each in wanted.parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert list(ours)[: len(positional)] == positional
    for extra in ours.keys() - wanted.parameters.keys():
        assert ours[extra].default is not inspect.Parameter.empty, f"{extra} would have to be given"


STATUSES = ("pending", "approved", "applying", "applied", "rejected")


@pytest.mark.parametrize(
    ("enum", "values"),
    [
        (ReplicateMode, {"PRIMARY": "PRIMARY", "REPLICA": "REPLICA"}),
        (CanonicalFormat, {"legacy": "legacy", "v2": "v2", "LEGACY": "legacy"}),
        (OperationType, {"CREATE": "create", "UPDATE": "update", "DELETE": "delete"}),
        (AuditOperation, {"CREATE": "create", "UPDATE": "update", "DELETE": "delete"}),
        (PendingChangeStatus, {name.upper(): name for name in STATUSES}),
    ],
)
def test_an_enum_has_its_members_in_order_and_each_is_its_text(enum: type[Enum], values: dict[str, str]) -> None:
    assert {name: member.value for name, member in enum.__members__.items()} == values
    assert list(enum.__members__) == list(values)
    assert all(member == member.value and str(member) == member.value for member in enum)


REQUIRED = object()
MAYBE_TEXT: Any = Optional[str]  # noqa: UP045  compared with an annotation
MAYBE_NUMBER: Any = Optional[int]  # noqa: UP045
MAYBE_OBJECT: Any = Optional[dict[str, Any]]  # noqa: UP045

FIELDS: dict[type[BaseModel], dict[str, tuple[Any, Any]]] = {
    CategoryMetadata: {
        "category": (CategoryName, REQUIRED),
        "last_updated": (int, REQUIRED),
        "last_operation_type": (Optional[OperationType], None),  # noqa: UP045
        "last_operation_model": (MAYBE_TEXT, None),
        "total_creates": (int, 0),
        "total_updates": (int, 0),
        "total_deletes": (int, 0),
        "total_models": (int, 0),
        "initialization_time": (int, REQUIRED),
        "last_successful_operation": (int, REQUIRED),
        "error_count": (int, 0),
        "metadata_schema_version": (str, "1.0.0"),
        "backend_type": (str, REQUIRED),
    },
    GenericModelRecordMetadata: {
        "schema_version": (str, "1.0.0"),
        "created_at": (MAYBE_NUMBER, None),
        "updated_at": (MAYBE_NUMBER, None),
        "created_by": (MAYBE_TEXT, None),
        "updated_by": (MAYBE_TEXT, None),
    },
    PendingChangeRecord: {
        "change_id": (int, REQUIRED),
        "category": (CategoryName, REQUIRED),
        "model_name": (str, REQUIRED),
        "operation": (AuditOperation, REQUIRED),
        "payload": (MAYBE_OBJECT, None),
        "requested_by": (str, REQUIRED),
        "requested_username": (str, REQUIRED),
        "requested_at": (int, models.now_ts),
        "status": (PendingChangeStatus, PendingChangeStatus.PENDING),
        "notes": (MAYBE_TEXT, None),
        "batch_id": (MAYBE_NUMBER, None),
        "batch_title": (MAYBE_TEXT, None),
        "approved_by": (MAYBE_TEXT, None),
        "approved_username": (MAYBE_TEXT, None),
        "approved_at": (MAYBE_NUMBER, None),
        "rejected_by": (MAYBE_TEXT, None),
        "rejected_username": (MAYBE_TEXT, None),
        "rejected_at": (MAYBE_NUMBER, None),
        "reject_reason": (MAYBE_TEXT, None),
        "applied_at": (MAYBE_NUMBER, None),
        "applied_by": (MAYBE_TEXT, None),
        "applied_username": (MAYBE_TEXT, None),
        "applied_job_id": (MAYBE_TEXT, None),
        "updated_at": (int, models.now_ts),
        "request_metadata": (MAYBE_OBJECT, None),
        "related_models": (Optional[list[str]], None),  # noqa: UP045
    },
    PendingQueueFilter: {
        "statuses": (Optional[set[PendingChangeStatus]], None),  # noqa: UP045
        "categories": (Optional[set[CategoryName]], None),  # noqa: UP045
        "batch_id": (MAYBE_NUMBER, None),
        "model_name": (MAYBE_TEXT, None),
        "requested_by": (Optional[set[str]], None),  # noqa: UP045
    },
    PendingBatchResult: {
        "batch_id": (MAYBE_NUMBER, REQUIRED),
        "batch_title": (str, REQUIRED),
        "approved": (list[PendingChangeRecord], REQUIRED),
        "rejected": (list[PendingChangeRecord], REQUIRED),
    },
    BatchSplitInfo: {
        "original_batch_id": (int, REQUIRED),
        "new_batch_id": (int, REQUIRED),
        "reassigned_change_ids": (list[int], list),
    },
    MarkAppliedResult: {
        "record": (PendingChangeRecord, REQUIRED),
        "batch_split": (Optional[BatchSplitInfo], None),  # noqa: UP045
    },
    PendingQueuePage: {
        "items": (list[PendingChangeRecord], REQUIRED),
        "total": (int, REQUIRED),
        "offset": (int, REQUIRED),
        "limit": (MAYBE_NUMBER, REQUIRED),
    },
    PendingChangeDiff: {
        "change_id": (int, REQUIRED),
        "category": (CategoryName, REQUIRED),
        "model_name": (str, REQUIRED),
        "operation": (AuditOperation, REQUIRED),
        "current_state": (MAYBE_OBJECT, None),
        "proposed_state": (MAYBE_OBJECT, None),
        "net_operation": (str, REQUIRED),
        "field_diffs": (list[dict[str, Any]], list),
        "is_critical": (bool, False),
        "fields_added": (list[str], list),
        "fields_removed": (list[str], list),
        "fields_modified": (list[str], list),
    },
    PendingChangeDiffPage: {
        "diffs": (list[PendingChangeDiff], list),
        "total": (int, 0),
        "errors": (list[dict[str, Any]], list),
    },
}


@pytest.mark.parametrize("model", FIELDS, ids=lambda model: model.__name__)
def test_a_model_has_its_fields_with_type_and_default(model: type[BaseModel]) -> None:
    hints = get_type_hints(model)
    for name, (kind, default) in FIELDS[model].items():
        field = model.model_fields[name]
        assert hints[name] == kind, name
        assert field.is_required() is (default is REQUIRED), name
        if default is not REQUIRED:
            assert (field.default_factory or field.default) == default, name
    for name in model.model_fields.keys() - FIELDS[model].keys():
        assert not model.model_fields[name].is_required(), f"{name} would have to be given"


def test_the_models_are_configured_as_documented() -> None:
    assert CategoryMetadata.model_config["use_enum_values"]
    assert CategoryMetadata.model_config["use_attribute_docstrings"]
    assert GenericModelRecordMetadata.model_config["extra"] == "allow"


def a_record(**more: Any) -> PendingChangeRecord:
    return PendingChangeRecord(
        change_id=0,
        category=Category.clip,
        model_name="m",
        operation=AuditOperation.CREATE,
        requested_by="1",
        requested_username="Ada",
        **more,
    )


def test_a_record_can_be_copied_dumped_and_changed_as_programs_do() -> None:
    made = a_record(payload={"name": "m"})
    assert made.model_copy(update={"change_id": 3}).change_id == 3
    assert made.change_id == 0
    dumped = made.model_dump(mode="json", exclude_none=True)
    assert {"change_id": 0, "category": "clip", "operation": "create", "status": "pending"}.items() <= dumped.items()
    assert None not in dumped.values()
    assert PendingChangeRecord.model_validate(dumped) == made
    made.__dict__["status"] = PendingChangeStatus.APPROVED
    assert made.status is PendingChangeStatus.APPROVED


def test_times_default_to_now_in_whole_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refsync.pending_queue.models.time.time", lambda: 1234.9)
    made = a_record()
    assert (made.requested_at, made.updated_at, models.now_ts()) == (1234, 1234, 1234)


def test_a_sequence_of_ids_is_always_a_new_list() -> None:
    ids = [3, 1]
    assert models.ensure_seq(ids) == ids
    assert models.ensure_seq(ids) is not ids
    assert models.ensure_seq(None) == models.ensure_seq(()) == models.ensure_seq([]) == []
    assert models.ensure_seq({2}) == [2]


CATEGORIES = """
    blip image feature_extractor blip.json legacy/blip.json
    clip image feature_extractor clip.json legacy/clip.json
    codeformer image post_processing codeformer.json legacy/codeformer.json
    controlnet image auxiliary_or_patch controlnet.json legacy/controlnet.json
    controlnet_annotator image auxiliary_or_patch controlnet_annotator.json none
    esrgan image post_processing esrgan.json legacy/esrgan.json
    gfpgan image post_processing gfpgan.json legacy/gfpgan.json
    safety_checker image safety_checker safety_checker.json legacy/safety_checker.json
    image_generation image generation stable_diffusion.json legacy/stable_diffusion.json
    text_generation text generation text_generation.json legacy/models.csv
    video_generation video generation video_generation.json none
    audio_generation audio generation audio_generation.json none
    miscellaneous image miscellaneous miscellaneous.json legacy/miscellaneous.json
    lora image auxiliary_or_patch lora.json none
    ti image auxiliary_or_patch ti.json none
"""


def test_the_categories_stand_in_order_with_domain_purpose_and_files() -> None:
    rows = [line.split() for line in CATEGORIES.split("\n") if line.strip()]
    assert [member.value for member in Category] == [row[0] for row in rows]
    for name, domain, purpose, v2, legacy in rows:
        category = Category(name)
        assert category.name == name
        described = SPECIFIED[category]
        files = SPECIFIED[category].files(Layout.primary)
        assert (described.domain, described.purpose) == (domain, purpose)
        assert (files[CanonicalFormat.v2], files.get(CanonicalFormat.legacy, "none")) == (v2, legacy)
        upstream = {} if legacy == "none" else {CanonicalFormat.legacy: legacy.removeprefix("legacy/")}
        assert SPECIFIED[category].files(Layout.upstream) == upstream
        assert described.managed_elsewhere is (name in {"lora", "ti"})
        held = None if legacy == "none" else "text" if domain == "text" else "image"
        assert described.upstream_repository == held


STYLED = ("blip", "clip", "codeformer", "controlnet", "esrgan", "gfpgan", "safety_checker")
CRITICAL = {
    "image_generation": {"baseline", "nsfw", "inpainting", "trigger", "homepage"},
    "text_generation": {"baseline", "nsfw", "url", "parameters"},
    **{name: {"style", "nsfw"} for name in STYLED},
}


@pytest.mark.parametrize("category", Category)
def test_each_category_has_its_critical_fields(category: Category) -> None:
    assert set(SPECIFIED[category].critical_fields) == CRITICAL.get(category, set())


def test_a_new_backend_has_the_protected_state_empty_and_of_its_types() -> None:
    one, other = DictBackend(lambda _: {}), DictBackend(lambda _: {})
    dicts = (
        "_cache",
        "_legacy_json_cache",
        "_legacy_json_string_cache",
        "_category_timestamps",
        "_legacy_cache_timestamps",
        "_last_known_mtimes",
        "_legacy_last_known_mtimes",
    )
    for name in dicts:
        assert getattr(one, name) == {}
        assert getattr(one, name) is not getattr(other, name)
    assert len({id(getattr(one, name)) for name in dicts}) == len(dicts)
    assert (one._stale_categories, one._stale_legacy_categories) == (set(), set())
    assert one._stale_categories is not one._stale_legacy_categories
    assert isinstance(one._lock, type(threading.RLock()))
    assert one.lock is one._lock
    assert isinstance(one._async_lock, asyncio.Lock)
    assert (one._cache_ttl_seconds, one.cache_ttl_seconds) == (None, None)
    assert DictBackend(lambda _: {}, cache_ttl_seconds=5).cache_ttl_seconds == 5


def test_the_protected_state_of_a_backend_is_what_it_works_with() -> None:
    backend = DictBackend(lambda _: {"m": {"v": 1}})
    backend.fetch_category(Category.clip)
    backend.get_legacy_json(Category.clip)
    assert backend._cache == backend._legacy_json_cache == {Category.clip: {"m": {"v": 1}}}
    assert backend._legacy_json_string_cache == {Category.clip: "the text"}
    assert set(backend._category_timestamps) == set(backend._legacy_cache_timestamps) == {Category.clip}
    backend._stale_categories.add(Category.clip)
    assert not backend.is_cache_valid(Category.clip)
    assert backend.is_legacy_cache_valid(Category.clip)
    backend._stale_legacy_categories.add(Category.clip)
    assert not backend.is_legacy_cache_valid(Category.clip)
    backend._stale_categories.clear()
    backend._cache.clear()
    assert not backend.has_cached_data(Category.clip)


@pytest.mark.parametrize("format", ["legacy", "v2"])
def test_the_protected_state_of_the_metadata_is_what_it_works_with(tmp_path: Path, format: str) -> None:
    manager = MetadataManager(tmp_path)
    other = {"legacy": "v2", "v2": "legacy"}[format]
    names = (f"_{format}_cache", f"_{format}_cache_timestamps", f"_{format}_mtimes")
    record: Callable[..., CategoryMetadata] = getattr(manager, f"record_{format}_operation")
    record(Category.clip, OperationType.CREATE, "m")
    for name in names:
        assert set(getattr(manager, name)) == {Category.clip}
        assert getattr(manager, name.replace(format, other)) == {}
    path: Path = getattr(manager, f"_get_{format}_metadata_path")(Category.clip)
    assert path == tmp_path / "meta" / format / "clip_metadata.json"
    assert getattr(manager, f"_{format}_mtimes")[Category.clip] == path.stat().st_mtime
    assert getattr(manager, f"_stale_{format}") == set()
    getattr(manager, f"mark_{format}_stale")(Category.clip)
    assert getattr(manager, f"_stale_{format}") == {Category.clip}
    assert getattr(manager, f"_stale_{other}") == set()
    assert isinstance(manager._lock, type(threading.RLock()))
    assert (manager._base_path, manager._cache_ttl_seconds) == (tmp_path, 60)
    assert manager._model_metadata_manager is manager.model_metadata
    assert manager.model_metadata._custom_handler is None


@pytest.mark.parametrize("format", ["legacy", "v2"])
def test_the_write_of_the_metadata_can_be_replaced_on_the_object(
    tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = MetadataManager(tmp_path)
    written: list[tuple[Any, ...]] = []
    monkeypatch.setattr(manager, "_write_metadata_file", lambda *given: written.append(given))
    getattr(manager, f"get_or_initialize_{format}_metadata")(Category.lora)
    getattr(manager, f"record_{format}_operation")(Category.lora, OperationType.UPDATE, "m")
    getattr(manager, f"record_{format}_error")(Category.lora, "an error")
    path = tmp_path / "meta" / format / "lora_metadata.json"
    assert [(given[0], given[1].category, len(given)) for given in written] == [(path, "lora", 2)] * 3


@pytest.mark.parametrize("format", ["legacy", "v2"])
def test_a_refused_write_of_the_metadata_reaches_the_caller_and_harms_nothing(
    tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = MetadataManager(tmp_path)
    record: Callable[..., CategoryMetadata] = getattr(manager, f"record_{format}_operation")
    path: Path = getattr(manager, f"_get_{format}_metadata_path")(Category.clip)
    record(Category.clip, OperationType.CREATE, "m")
    before = path.read_bytes()

    def refuse(descriptor: int) -> None:
        raise PermissionError("no")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", refuse)
        with pytest.raises(PermissionError):
            record(Category.clip, OperationType.CREATE, "n")
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert record(Category.clip, OperationType.CREATE, "n").total_creates == 2


@pytest.mark.parametrize("format", ["legacy", "v2"])
def test_the_temporary_of_the_metadata_is_opened_by_the_builtin(
    tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = MetadataManager(tmp_path)
    opened: list[object] = []
    real = open

    def spy(file: Any, *arguments: Any, **named: Any) -> Any:
        opened.append(file)
        return real(file, *arguments, **named)

    monkeypatch.setattr("builtins.open", spy)
    getattr(manager, f"record_{format}_operation")(Category.clip, OperationType.CREATE, "m")
    [temporary] = [file for file in opened if isinstance(file, Path) and ".tmp." in file.name]
    assert temporary.parent == tmp_path / "meta" / format


@pytest.mark.parametrize("format", ["legacy", "v2"])
def test_all_metadata_come_in_the_order_of_the_categories(tmp_path: Path, format: str) -> None:
    manager = MetadataManager(tmp_path)
    getattr(manager, f"record_{format}_operation")(Category.ti, OperationType.CREATE, "m")
    found = getattr(manager, f"get_all_{format}_metadata")()
    assert list(found) == list(Category)
    assert [category for category, each in found.items() if each.total_creates] == [Category.ti]


def test_the_root_gives_the_names_of_the_specified_systems() -> None:
    named = {owner.__name__ for owner in (*SIGNATURES, *FIELDS)}
    enums = {"ReplicateMode", "CanonicalFormat", "OperationType", "AuditOperation", "PendingChangeStatus"}
    assert named | enums | {"MODEL_REFERENCE_CATEGORY", "GitBackend", "now_ts", "ensure_seq"} <= set(refsync.__all__)
    assert sorted(refsync.__all__) == refsync.__all__ == dir(refsync)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = refsync.nothing


def test_what_differs_on_purpose_is_told_with_a_test_that_exists() -> None:
    project = Path(__file__).parents[2]
    table = (project / "README.md").read_text(encoding="utf-8").split("<!-- differs -->")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "| ---" not in line][1:]
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    written = "".join(file.read_text(encoding="utf-8") for file in (project / "tests").rglob("test_*.py"))
    assert rows
    for row, tests in zip(rows, named, strict=True):
        assert tests, row
        assert all(f"def {test}(" in written for test in tests), row
