from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from refsync.backends.base import CanonicalFormat, ModelReferenceBackend, ReplicateMode
from refsync.backends.replica_backend_base import ReplicaBackendBase
from refsync.categories import CategoryName
from tests.support.backends import CATEGORY, DictBackend


class Model(BaseModel):
    name: str
    nsfw: bool = False
    size: int = 0


class Writable(DictBackend):
    def __init__(self) -> None:
        super().__init__(lambda _: {}, mode=ReplicateMode.PRIMARY)
        self.written: list[tuple[Any, ...]] = []

    def supports_writes(self) -> bool:
        return True

    def supports_legacy_writes(self) -> bool:
        return True

    def update_model(self, *arguments: Any, **keywords: Any) -> None:
        self.written.append((*arguments, keywords))

    def update_model_legacy(self, *arguments: Any, **keywords: Any) -> None:
        self.written.append(("legacy", *arguments, keywords))


def empty() -> DictBackend:
    return DictBackend(lambda _: None)


def test_modes_and_formats_have_their_documented_values() -> None:
    assert [mode.value for mode in ReplicateMode] == ["PRIMARY", "REPLICA"]
    assert CanonicalFormat("legacy") is CanonicalFormat.LEGACY
    assert CanonicalFormat.v2 == "v2"


def test_a_backend_is_a_replica_unless_told_otherwise() -> None:
    assert empty().replicate_mode is empty().get_replicate_mode() is ReplicateMode.REPLICA
    assert DictBackend(lambda _: None, mode=ReplicateMode.PRIMARY).replicate_mode is ReplicateMode.PRIMARY
    assert ModelReferenceBackend._replicate_mode is ReplicateMode.REPLICA


def test_the_interface_asks_for_ten_methods_and_the_cache_leaves_eight() -> None:
    eight = {
        "fetch_category",
        "fetch_all_categories",
        "fetch_category_async",
        "fetch_all_categories_async",
        "get_category_file_path",
        "get_all_category_file_paths",
        "get_legacy_json",
        "get_legacy_json_string",
    }
    assert ReplicaBackendBase.__abstractmethods__ == eight
    assert ModelReferenceBackend.__abstractmethods__ == eight | {"needs_refresh", "_mark_stale_impl"}


def test_a_plain_backend_promises_nothing() -> None:
    backend = empty()
    flags = [name for name in dir(backend) if name.startswith("support")]
    assert len(flags) == 7
    assert not any(getattr(backend, flag)() for flag in flags)


@pytest.mark.parametrize(
    ("method", "arguments", "what"),
    [
        ("update_model", (CATEGORY, "m", {}), "write operations"),
        ("update_model_from_base_model", (CATEGORY, "m", Model(name="m")), "write operations"),
        ("delete_model", (CATEGORY, "m"), "write operations"),
        ("update_model_legacy", (CATEGORY, "m", {}), "legacy write operations"),
        ("update_model_legacy_from_base_model", (CATEGORY, "m", Model(name="m")), "legacy write operations"),
        ("delete_model_legacy", (CATEGORY, "m"), "legacy write operations"),
        ("warm_cache", (), "cache warming"),
        ("warm_cache_async", (), "async cache warming"),
        ("health_check", (), "health checks"),
        ("get_statistics", (), "statistics"),
        ("get_legacy_metadata", (CATEGORY,), "metadata tracking"),
        ("get_metadata", (CATEGORY,), "metadata tracking"),
        ("get_all_legacy_metadata", (), "metadata tracking"),
        ("get_all_metadata", (), "metadata tracking"),
        ("get_legacy_metadata_async", (CATEGORY,), "async metadata tracking"),
        ("get_metadata_async", (CATEGORY,), "async metadata tracking"),
        ("get_all_legacy_metadata_async", (), "async metadata tracking"),
        ("get_all_metadata_async", (), "async metadata tracking"),
    ],
)
def test_what_a_backend_lacks_is_refused_by_its_own_name(method: str, arguments: tuple[Any, ...], what: str) -> None:
    async def call() -> None:
        result = getattr(empty(), method)(*arguments)
        if asyncio.iscoroutine(result):
            await result

    with pytest.raises(NotImplementedError) as refusal:
        asyncio.run(call())
    assert str(refusal.value) == f"DictBackend does not support {what}"


def test_a_model_is_written_with_the_fields_that_were_set() -> None:
    backend = Writable()
    backend.update_model_from_base_model(CATEGORY, "m", Model(name="m", size=3), logical_user_id="ada", request_id="r1")
    backend.update_model_legacy_from_base_model(CATEGORY, "m", Model(name="m"))
    assert backend.support_any_writes()
    assert backend.written == [
        (CATEGORY, "m", {"name": "m", "size": 3}, {"logical_user_id": "ada", "request_id": "r1"}),
        ("legacy", CATEGORY, "m", {"name": "m"}, {"logical_user_id": None, "request_id": None}),
    ]


def test_callbacks_run_in_order_and_a_failing_one_stops_nobody() -> None:
    backend = empty()
    heard: list[tuple[str, CategoryName]] = []

    def fail(category: CategoryName) -> None:
        raise ValueError("boom")

    backend.register_invalidation_callback(lambda category: heard.append(("first", category)))
    backend.register_invalidation_callback(fail)
    backend.register_invalidation_callback(lambda category: heard.append(("last", category)))
    backend.mark_stale(CATEGORY)
    assert heard == [("first", CATEGORY), ("last", CATEGORY)]
    assert empty()._invalidation_callbacks == []


def test_an_unregistered_callback_hears_no_more() -> None:
    backend = empty()
    heard: list[CategoryName] = []
    backend.register_invalidation_callback(heard.append)
    backend.unregister_invalidation_callback(heard.append)
    backend.unregister_invalidation_callback(heard.append)
    backend.mark_stale(CATEGORY)
    assert heard == []
