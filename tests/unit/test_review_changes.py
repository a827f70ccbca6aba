"""What happened to which models, and who gave them their values."""

from __future__ import annotations

from typing import Any

import pytest

from refsync.categories import MODEL_REFERENCE_CATEGORY as CATEGORY
from refsync.categories import SPECIFIED
from refsync.review.blame import origins
from refsync.review.category_files import category_files
from refsync.review.changes import ModelChange, model_changes
from refsync.review.conventions import USUAL

Record = dict[str, Any]


def changes(
    old: dict[str, Record], new: dict[str, Record], category: CATEGORY = CATEGORY.image_generation
) -> list[ModelChange]:
    return model_changes(SPECIFIED[category], old, new, USUAL.critical_fields(category))


def test_models_are_created_updated_and_deleted() -> None:
    found = changes({"a": {}, "b": {"x": 1}, "same": {}}, {"same": {}, "b": {"x": 2}, "c": {}})
    assert [(each.operation, each.model) for each in found] == [("delete", "a"), ("update", "b"), ("create", "c")]


def test_an_update_is_told_field_by_field() -> None:
    (found,) = changes({"a": {"a.b": 1, "deep": {"x": 1}}}, {"a": {"a.b": 1, "deep": {"x": True, "y": None}}})
    told = [(each["field_path"], each["old_value"], each["new_value"], each["change_type"]) for each in found.fields]
    assert told == [("deep.x", 1, True, "modified"), ("deep.y", None, None, "added")]


@pytest.mark.parametrize(("fields", "critical"), [({"nsfw": True}, True), ({"description": "new"}, False)])
def test_critical_fields_are_marked(fields: Record, critical: bool) -> None:
    (found,) = changes({"a": {"name": "a"}}, {"a": {"name": "a"} | fields})
    assert found.critical is critical
    assert [each["critical"] for each in found.fields] == [critical]


def test_what_programs_stamp_is_told_too() -> None:
    (found,) = changes({"a": {"metadata": {"at": 1}}}, {"a": {"metadata": {"at": 2}}})
    assert [each["field_path"] for each in found.fields] == ["metadata.at"]


def test_the_records_of_a_text_model_are_one_if_the_same_happened_to_them() -> None:
    names = ("org/model", "aphrodite/org/model", "koboldcpp/model")
    old = {name: {"name": name, "nsfw": False} for name in names}
    new = {name: record | {"nsfw": True} for name, record in old.items()}
    (found,) = changes(old, new, CATEGORY.text_generation)
    assert found.variants == ["aphrodite/org/model", "koboldcpp/model"]
    new["koboldcpp/model"]["more"] = 1
    assert [each.model for each in changes(old, new, CATEGORY.text_generation)] == ["org/model", "koboldcpp/model"]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["clip.json", "other.json", "lora.json"], ["clip.json"]),
        (["clip.json", "legacy/clip.json"], ["clip.json", "legacy/clip.json"]),
        (["clip.json", "legacy/other.json"], ["clip.json"]),
        (["models.csv", "db.json"], ["db.json"]),
        (["db.json"], []),
        (["models.csv"], []),
        (["legacy/models.csv"], ["legacy/models.csv"]),
        (["legacy/clip.json", "legacy/text_generation.json"], ["legacy/clip.json", "legacy/text_generation.json"]),
        (["text_generation.json", "legacy/models.csv", "legacy/db.json"], ["text_generation.json", "legacy/db.json"]),
    ],
)
def test_category_files_are_known_by_their_usual_names(paths: list[str], expected: list[str]) -> None:
    assert [each.path for each in category_files(paths)] == expected


def blamed(*versions: Record | None) -> dict[str, int]:
    return {each.field_path: each.commit for each in origins(enumerate(versions))}


def test_each_field_comes_from_the_commit_that_gave_it_its_value() -> None:
    assert blamed({"a": 1, "b": {"c": 1}}, {"a": 2, "b": {"c": 1}}, {"a": 2, "b": {"c": 1, "d": []}}) == {
        "a": 1,
        "b.c": 0,
        "b.d": 2,
    }


def test_a_value_that_came_back_comes_from_who_brought_it_back() -> None:
    assert blamed({"a": 1}, {"a": 2}, {"a": 1}) == {"a": 2}


def test_true_is_not_one() -> None:
    assert blamed({"a": 1}, {"a": True}) == {"a": 1}


def test_a_record_that_was_made_again_owes_nothing_to_the_old_one() -> None:
    assert blamed({"a": 1}, None, {"a": 1}) == {"a": 2}
    assert blamed({"a": 1}, None) == {}


def test_a_file_is_known_by_its_name_wherever_it_stands_in_the_list() -> None:
    old = {"config": {"files": [{"path": "x", "sum": 1}, {"path": "y", "sum": 2}]}}
    new = {"config": {"files": [{"path": "y", "sum": 2}, {"path": "x", "sum": 3}]}}
    origin = blamed(old, new)
    assert origin["config.files.x.sum"] == 1
    assert origin["config.files.y.sum"] == 0
