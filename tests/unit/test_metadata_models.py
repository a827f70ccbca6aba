"""The records of the metadata: what they hold, accept and keep."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.metadata.models import CategoryMetadata, GenericModelRecordMetadata, OperationType

REQUIRED: dict[str, Any] = {
    "category": "lora",
    "last_updated": 5,
    "initialization_time": 1,
    "last_successful_operation": 4,
    "backend_type": "FileSystemBackend",
}


def test_an_operation_compares_equal_to_its_value() -> None:
    assert [each.value for each in OperationType] == ["create", "update", "delete"]
    assert OperationType.CREATE == "create"  # type: ignore[comparison-overlap]


def test_optional_fields_have_their_defaults_and_enums_are_plain_strings() -> None:
    metadata = CategoryMetadata(**REQUIRED, last_operation_type=OperationType.DELETE)

    assert metadata.category == Category.lora
    assert type(metadata.category) is str
    assert type(metadata.last_operation_type) is str
    assert metadata.model_dump() == REQUIRED | {
        "last_operation_type": "delete",
        "last_operation_model": None,
        "total_creates": 0,
        "total_updates": 0,
        "total_deletes": 0,
        "total_models": 0,
        "error_count": 0,
        "metadata_schema_version": "1.0.0",
        "recorded_commit": None,
        "recorded_blob": None,
        "history_errors": 0,
        "last_lossy_merge": None,
        "last_refused_change": None,
    }


@pytest.mark.parametrize("name", ["total_creates", "total_updates", "total_deletes", "total_models"])
def test_a_negative_counter_is_refused_on_construction_only(name: str) -> None:
    with pytest.raises(ValidationError):
        CategoryMetadata(**REQUIRED, **{name: -1})
    metadata = CategoryMetadata(**REQUIRED)
    setattr(metadata, name, -1)
    assert getattr(metadata, name) == -1


@pytest.mark.parametrize("name", REQUIRED)
def test_an_object_without_a_required_field_is_invalid(name: str) -> None:
    with pytest.raises(ValidationError):
        CategoryMetadata(**{key: value for key, value in REQUIRED.items() if key != name})


@pytest.mark.parametrize("model", [CategoryMetadata, GenericModelRecordMetadata])
def test_every_field_is_described_in_the_schema(model: type[CategoryMetadata]) -> None:
    properties = model.model_json_schema()["properties"]
    assert [name for name, schema in properties.items() if not schema.get("description")] == []


def test_unknown_keys_are_ignored_by_the_object_and_written_back() -> None:
    metadata = CategoryMetadata.from_json(json.dumps(REQUIRED | {"shards": [1, 2]}))

    assert not hasattr(metadata, "shards")
    assert json.loads(metadata.to_json())["shards"] == [1, 2]
    assert json.loads(metadata.model_copy(deep=True).to_json())["shards"] == [1, 2]


@pytest.mark.parametrize(("stored", "loaded"), [("0.9", "1.0.0"), ("1.0.0", "1.0.0"), ("2.1.0", "2.1.0"), ("x", "x")])
def test_an_older_schema_version_is_upgraded_and_a_newer_one_is_kept(stored: str, loaded: str) -> None:
    metadata = CategoryMetadata.from_json(json.dumps(REQUIRED | {"metadata_schema_version": stored}))
    assert metadata.metadata_schema_version == loaded


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "null", "{}", "\x00"])
def test_what_is_no_metadata_object_is_a_value_error(content: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        CategoryMetadata.from_json(content)


def test_record_metadata_keeps_unknown_keys() -> None:
    metadata = GenericModelRecordMetadata.model_validate({"created_at": 1, "source": "hub"})
    assert metadata.model_dump(exclude_unset=True) == {"created_at": 1, "source": "hub"}
    assert metadata.schema_version == "1.0.0"
