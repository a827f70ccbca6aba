from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from refsync.backends.base import ReplicateMode
from refsync.backends.git_backend import GitBackend
from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.categories import CanonicalFormat, CategoryName, Layout
from refsync.errors import DocumentError, RequestError, UnknownCategoryError
from refsync.metadata.manager import MetadataManager
from refsync.metadata.models import CategoryMetadata, OperationType
from tests.integration.test_git_backend_reading import FILE, backend_of
from tests.support.backends import CATEGORY, Heard
from tests.support.repositories import Clone

LEGACY, V2 = CanonicalFormat.legacy, CanonicalFormat.v2


@dataclass
class FileWriter:
    """A write path that lands by writing the file."""

    path: Path
    lands_by_itself: bool = True
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def update(
        self,
        category: CategoryName,
        model_name: str,
        record: dict[str, Any],
        *,
        logical_user_id: str | None,
        request_id: str | None,
    ) -> None:
        self.calls.append(("update", category, model_name, logical_user_id, request_id))
        record["touched"] = True
        Clone(self.path).write(FILE, {model_name: record})

    def delete(
        self,
        category: CategoryName,
        model_name: str,
        *,
        logical_user_id: str | None,
        request_id: str | None,
    ) -> None:
        self.calls.append(("delete", category, model_name, logical_user_id, request_id))
        Clone(self.path).write(FILE, {})


class Model(BaseModel):
    nsfw: bool
    size: int = 1


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.create(tmp_path / "clone", {FILE: {"a": {}}, f"legacy/{FILE}": {"a": {}}, "lora.json": {"l": {}}})


def primary(clone: Clone, layout: Layout = Layout.primary, **options: Any) -> tuple[GitBackend, FileWriter]:
    writer = FileWriter(clone.path)
    return backend_of(clone, layout, mode=ReplicateMode.PRIMARY, write_path=writer, **options), writer


@pytest.mark.parametrize(
    ("layout", "mode", "lands", "flags"),
    [
        (Layout.primary, ReplicateMode.PRIMARY, True, (True, False)),
        (Layout.upstream, ReplicateMode.PRIMARY, True, (False, True)),
        (Layout.primary, ReplicateMode.PRIMARY, False, (False, False)),
        (Layout.upstream, ReplicateMode.PRIMARY, False, (False, False)),
        (Layout.primary, ReplicateMode.PRIMARY, None, (False, False)),
        (Layout.primary, ReplicateMode.REPLICA, True, (False, False)),
        (Layout.upstream, ReplicateMode.REPLICA, True, (False, False)),
    ],
)
def test_the_flags_tell_the_truth(
    clone: Clone, layout: Layout, mode: ReplicateMode, lands: bool | None, flags: tuple[bool, bool]
) -> None:
    writer = None if lands is None else FileWriter(clone.path, lands)
    backend = backend_of(clone, layout, mode=mode, write_path=writer)
    assert (backend.supports_writes(), backend.supports_legacy_writes()) == flags
    assert backend.support_any_writes() is any(flags)


def test_what_cannot_land_is_refused(clone: Clone) -> None:
    backend = backend_of(clone, mode=ReplicateMode.PRIMARY)
    with pytest.raises(NotImplementedError, match=r"^GitBackend does not support write operations$"):
        backend.update_model(CATEGORY, "a", {})
    with pytest.raises(NotImplementedError, match=r"^GitBackend does not support legacy write operations$"):
        backend.delete_model_legacy(CATEGORY, "a")


def test_an_update_has_landed_when_it_returns_and_readers_see_it(clone: Clone) -> None:
    backend, writer = primary(clone)
    backend.warm_cache()
    heard = Heard(backend)
    record = {"nsfw": True}
    backend.update_model(CATEGORY, "new", record, logical_user_id="ada", request_id="r1")
    assert writer.calls == [("update", CATEGORY, "new", "ada", "r1")]
    assert record == {"nsfw": True}
    assert heard.categories == [CATEGORY]
    assert backend.fetch_category(CATEGORY) == {"new": {"nsfw": True, "touched": True}}


def test_legacy_and_base_model_writes_take_the_same_path(clone: Clone) -> None:
    backend, writer = primary(clone, Layout.upstream)
    backend.update_model_legacy_from_base_model(CATEGORY, "new", Model(nsfw=True), request_id="r2")
    assert backend.get_legacy_json(CATEGORY) == {"new": {"nsfw": True, "touched": True}}
    backend.delete_model_legacy(CATEGORY, "new", logical_user_id="ada")
    assert backend.get_legacy_json(CATEGORY) == {}
    assert writer.calls == [
        ("update", CATEGORY, "new", None, "r2"),
        ("delete", CATEGORY, "new", "ada", None),
    ]


def test_deleting_an_unknown_model_is_a_key_error(clone: Clone) -> None:
    backend, writer = primary(clone)
    with pytest.raises(KeyError, match="unknown"):
        backend.delete_model(CATEGORY, "unknown")
    (clone.path / FILE).unlink()
    with pytest.raises(KeyError):
        backend.delete_model(CATEGORY, "a")
    clone.write(FILE, b"{")
    with pytest.raises(DocumentError):
        backend.delete_model(CATEGORY, "a")
    assert writer.calls == []


def test_a_category_without_a_legacy_file_is_written_as_v2_whatever_is_canonical(clone: Clone) -> None:
    writer = FileWriter(clone.path)
    backend = GitBackend(
        clone.path,
        {CATEGORY: {LEGACY: FILE}, Category.lora: {V2: "lora.json"}},
        canonical_format=LEGACY,
        mode=ReplicateMode.PRIMARY,
        write_path=writer,
    )
    assert (backend.supports_writes(), backend.supports_legacy_writes()) == (True, True)
    backend.update_model(Category.lora, "l", {})
    assert writer.calls == [("update", Category.lora, "l", None, None)]
    with pytest.raises(RequestError, match="image_generation is written as legacy"):
        backend.update_model(CATEGORY, "a", {})
    with pytest.raises(RequestError, match="lora is written as v2"):
        backend.update_model_legacy(Category.lora, "l", {})
    with pytest.raises(UnknownCategoryError, match="blip is not held by"):
        backend.update_model(Category.blip, "b", {})


def test_metadata_is_read_on_a_primary_that_has_it(clone: Clone, tmp_path: Path) -> None:
    manager = MetadataManager(tmp_path / "state")
    manager.record_v2_operation(CATEGORY, OperationType.CREATE, "a")
    manager.record_legacy_operation(CATEGORY, OperationType.DELETE, "b")
    backend, _ = primary(clone, metadata=manager)
    assert backend.supports_metadata()

    async def asked() -> list[CategoryMetadata]:
        return [
            await backend.get_metadata_async(CATEGORY),
            await backend.get_legacy_metadata_async(CATEGORY),
            (await backend.get_all_metadata_async())[CATEGORY],
            (await backend.get_all_legacy_metadata_async())[CATEGORY],
        ]

    plain = [
        backend.get_metadata(CATEGORY),
        backend.get_legacy_metadata(CATEGORY),
        backend.get_all_metadata()[CATEGORY],
        backend.get_all_legacy_metadata()[CATEGORY],
    ]
    assert [(each.total_creates, each.total_deletes) for each in plain] == [(1, 0), (0, 1)] * 2
    assert asyncio.run(asked()) == plain


def test_a_replica_has_no_metadata_even_if_handed_some(clone: Clone, tmp_path: Path) -> None:
    backend = backend_of(clone, metadata=MetadataManager(tmp_path / "state"))
    assert not backend.supports_metadata()
    with pytest.raises(NotImplementedError, match=r"^GitBackend does not support metadata tracking$"):
        backend.get_metadata(CATEGORY)
