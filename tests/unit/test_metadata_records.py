"""Typed access to the provenance of single records."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from loguru import logger

from refsync.errors import PayloadError, RequestError
from refsync.metadata.models import GenericModelRecordMetadata, OperationType
from refsync.metadata.records import ModelMetadataManager

Record = dict[str, Any]


@pytest.fixture
def manager() -> ModelMetadataManager:
    return ModelMetadataManager()


@pytest.mark.parametrize("record", [{}, {"metadata": None}, {"metadata": []}, {"metadata": "x"}])
def test_a_record_without_a_metadata_object_reads_as_blank(manager: ModelMetadataManager, record: Record) -> None:
    before = copy.deepcopy(record)
    assert manager.get_metadata(record) == GenericModelRecordMetadata()
    assert record == before


def test_a_field_of_the_wrong_type_is_named(manager: ModelMetadataManager) -> None:
    with pytest.raises(PayloadError, match=r"metadata\.created_at"):
        manager.get_metadata({"metadata": {"created_at": "yesterday"}})


def test_only_fields_that_were_set_are_stored(manager: ModelMetadataManager) -> None:
    metadata = GenericModelRecordMetadata(created_at=1, updated_by=None)
    metadata.updated_at = 2
    metadata.source = "hub"  # type: ignore[attr-defined]
    record: Record = {"metadata": {"old": True}}

    manager.set_metadata(record, metadata)

    assert record == {"metadata": {"created_at": 1, "updated_by": None, "updated_at": 2, "source": "hub"}}


def test_a_value_without_a_json_form_is_refused_and_the_record_stays(manager: ModelMetadataManager) -> None:
    record: Record = {"metadata": {"created_at": 1}}
    with pytest.raises(PayloadError, match="JSON"):
        manager.update_metadata(record, source=object())
    assert record == {"metadata": {"created_at": 1}}


def test_an_update_stores_declared_and_other_fields_and_keeps_the_rest(manager: ModelMetadataManager) -> None:
    record: Record = {"metadata": {"created_at": 1, "source": "hub"}}

    metadata = manager.update_metadata(record, updated_at=2, reviewed=True)

    assert record["metadata"] == {"created_at": 1, "source": "hub", "updated_at": 2, "reviewed": True}
    assert metadata.updated_at == 2


def test_an_update_with_nothing_leaves_a_metadata_object(manager: ModelMetadataManager) -> None:
    record: Record = {}
    manager.update_metadata(record)
    assert record == {"metadata": {}}


@pytest.mark.parametrize("name", ["model_dump", "copy", "model_config", "__class__"])
def test_a_name_of_the_model_class_is_refused(manager: ModelMetadataManager, name: str) -> None:
    record: Record = {}
    with pytest.raises(RequestError, match=name):
        manager.update_metadata(record, **{name: 1})
    assert record == {}


def test_an_update_of_the_wrong_type_is_refused(manager: ModelMetadataManager) -> None:
    record: Record = {}
    with pytest.raises(PayloadError, match=r"metadata\.updated_at"):
        manager.update_metadata(record, updated_at="noon")
    assert record == {}


def test_creation_fields_are_carried_where_the_old_record_has_them(manager: ModelMetadataManager) -> None:
    old: Record = {"metadata": {"created_at": 0, "created_by": None, "updated_at": 5}}
    new: Record = {"metadata": {"created_at": 9, "created_by": "bob"}}

    manager.preserve_creation_fields(old, new)

    assert new == {"metadata": {"created_at": 0, "created_by": "bob"}}
    assert old == {"metadata": {"created_at": 0, "created_by": None, "updated_at": 5}}


def test_nothing_to_carry_leaves_the_new_record_alone(manager: ModelMetadataManager) -> None:
    new: Record = {}
    manager.preserve_creation_fields({"metadata": {"updated_at": 5}}, new)
    manager.preserve_creation_fields({"metadata": {"created_at": "broken"}}, new)
    assert new == {}


def test_zero_is_a_real_time_and_none_means_now(manager: ModelMetadataManager) -> None:
    record: Record = {}
    before = int(time.time())
    manager.set_creation_timestamp(record, 0)
    manager.set_update_timestamp(record)
    assert record["metadata"]["created_at"] == 0
    assert before <= record["metadata"]["updated_at"] <= time.time()


def test_missing_times_are_filled_with_one_and_the_same(manager: ModelMetadataManager) -> None:
    records: list[Record] = [{}, {"metadata": None}, {"metadata": {"created_at": None}}]
    for record in records:
        assert manager.ensure_metadata_populated(record)
        assert record["metadata"]["created_at"] == record["metadata"]["updated_at"]


def test_only_the_missing_time_is_filled(manager: ModelMetadataManager) -> None:
    record: Record = {"metadata": {"created_at": 1}}
    assert manager.ensure_metadata_populated(record, 7)
    assert record == {"metadata": {"created_at": 1, "updated_at": 7}}


def test_a_complete_record_stays_exactly_as_it_was(manager: ModelMetadataManager) -> None:
    record: Record = {"metadata": {"created_at": 0, "updated_at": 0}}
    assert not manager.ensure_metadata_populated(record, 7)
    assert record == {"metadata": {"created_at": 0, "updated_at": 0}}


def test_a_bad_record_is_reported_and_does_not_stop_the_population(manager: ModelMetadataManager) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    try:
        records: list[Record] = [{"name": "bad", "metadata": {"created_at": {}}}, {"name": "good"}]
        assert [manager.ensure_metadata_populated(record, 7) for record in records] == [False, True]
    finally:
        logger.remove(sink)
    assert "'bad'" in lines[0]
    assert "created_at" in lines[0]


class _Signing:
    def transform_metadata(
        self, metadata: GenericModelRecordMetadata, context: dict[str, Any]
    ) -> GenericModelRecordMetadata:
        metadata.updated_by = f"{context['operation']} by the handler"
        return metadata


class _Refusing:
    def transform_metadata(
        self, metadata: GenericModelRecordMetadata, context: dict[str, Any]
    ) -> GenericModelRecordMetadata:
        raise LookupError("not today")


class _Forgetful:
    def transform_metadata(self, metadata: GenericModelRecordMetadata, context: dict[str, Any]) -> Any:
        return None


def test_without_a_handler_nothing_happens(manager: ModelMetadataManager) -> None:
    record: Record = {}
    manager.apply_custom_handler(record, {})
    assert record == {}


def test_a_handler_has_the_last_word() -> None:
    record: Record = {"metadata": {"created_at": 1}}
    ModelMetadataManager(_Signing()).apply_custom_handler(record, {"operation": "update"})
    assert record == {"metadata": {"created_at": 1, "updated_by": "update by the handler"}}


def test_the_exceptions_of_a_handler_reach_the_caller() -> None:
    with pytest.raises(LookupError, match="not today"):
        ModelMetadataManager(_Refusing()).apply_custom_handler({}, {})
    with pytest.raises(PayloadError, match="NoneType"):
        ModelMetadataManager(_Forgetful()).apply_custom_handler({}, {})


def test_a_created_record_is_stamped_with_creation_and_update(manager: ModelMetadataManager) -> None:
    record: Record = {"name": "m", "metadata": {"created_at": 1, "source": "hub"}}
    manager.stamp(record, existing=None, operation=OperationType.CREATE, at=9, by="ada")
    assert record["metadata"] == {
        "created_at": 9,
        "created_by": "ada",
        "updated_at": 9,
        "updated_by": "ada",
        "source": "hub",
    }


def test_an_updated_record_keeps_its_creation_and_inherits_what_it_does_not_bring(
    manager: ModelMetadataManager,
) -> None:
    existing: Record = {"metadata": {"created_at": 1, "created_by": "bob", "updated_by": "eve", "source": "hub"}}
    before = copy.deepcopy(existing)
    record: Record = {"name": "m"}

    manager.stamp(record, existing=existing, operation=OperationType.UPDATE, at=9, by=None)

    assert record["metadata"] == {
        "created_at": 1,
        "created_by": "bob",
        "updated_by": "eve",
        "source": "hub",
        "updated_at": 9,
    }
    assert existing == before


def test_stamping_twice_gives_the_same_record(manager: ModelMetadataManager) -> None:
    existing: Record = {"metadata": {"created_at": 1}}
    record: Record = {"name": "m"}
    manager.stamp(record, existing=existing, operation=OperationType.UPDATE, at=9, by="ada")
    once = copy.deepcopy(record)
    manager.stamp(record, existing=existing, operation=OperationType.UPDATE, at=9, by="ada")
    assert record == once


def test_an_unreadable_old_stamp_does_not_stop_the_update(manager: ModelMetadataManager) -> None:
    record: Record = {}
    manager.stamp(record, existing={"metadata": {"created_at": "?"}}, operation=OperationType.UPDATE, at=9, by="ada")
    assert record["metadata"] == {"updated_at": 9, "updated_by": "ada"}


def test_a_deletion_leaves_nothing_to_stamp(manager: ModelMetadataManager) -> None:
    record: Record = {}
    manager.stamp(record, existing={}, operation=OperationType.DELETE, at=9, by="ada")
    assert record == {}


def test_the_handler_sees_the_stamps_and_the_context() -> None:
    record: Record = {}
    manager = ModelMetadataManager(_Signing())
    manager.stamp(record, existing=None, operation=OperationType.CREATE, at=9, by="ada", context={"model_name": "m"})
    assert record["metadata"]["created_by"] == "ada"
    assert record["metadata"]["updated_by"] == "create by the handler"
