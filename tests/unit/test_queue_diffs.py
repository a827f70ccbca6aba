from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.categories import CategoryName
from refsync.documents.field_paths import join_path, split_path
from refsync.documents.values import same_value
from refsync.errors import DocumentError
from refsync.pending_queue.diffs import PendingChangeDiffService, diff_records
from refsync.pending_queue.models import AuditOperation, PendingChangeDiff, PendingChangeRecord

Json = dict[str, Any]

scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([1.0, 0.0, -0.0]) | st.sampled_from("ab")
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b.c", "\\", "0"]), inner),
    max_leaves=8,
)
records = st.dictionaries(st.sampled_from(["a", "b.c", "\\", "config"]), values, max_size=4)


def change(
    payload: Json | None, operation: AuditOperation = AuditOperation.UPDATE, category: CategoryName = Category.clip
) -> PendingChangeRecord:
    return PendingChangeRecord(
        change_id=1,
        category=category,
        model_name="m",
        operation=operation,
        payload=payload,
        requested_by="1",
        requested_username="Ada",
    )


def diff(current: Json | None, payload: Json | None, *critical: str) -> PendingChangeDiff:
    return diff_records(change(payload), current, critical_fields=critical)


def lines(found: PendingChangeDiff) -> list[tuple[str, str, Any, Any]]:
    return [(d["change_type"], d["field_path"], d["old_value"], d["new_value"]) for d in found.field_diffs]


def test_nested_objects_are_walked_and_paths_joined_by_dots() -> None:
    found = diff({"config": {"x": 1, "y": 2}}, {"config": {"x": 3, "z": 4}})
    assert lines(found) == [
        ("modified", "config.x", 1, 3),
        ("removed", "config.y", 2, None),
        ("added", "config.z", None, 4),
    ]
    assert (found.fields_modified, found.fields_removed, found.fields_added) == (
        ["config.x"],
        ["config.y"],
        ["config.z"],
    )
    assert found.net_operation == "modified"


def test_a_new_record_shows_every_field() -> None:
    found = diff(None, {"a": {"b": 1}, "c": []})
    assert lines(found) == [("added", "a.b", None, 1), ("added", "c", None, [])]
    assert (found.net_operation, found.current_state, found.proposed_state) == ("added", None, {"a": {"b": 1}, "c": []})


def test_a_delete_shows_every_field_whatever_its_payload_is() -> None:
    found = diff_records(
        change({"a": 9}, AuditOperation.DELETE), {"a": 1, "metadata": {"x": 1}, "nsfw": True}, critical_fields=["nsfw"]
    )
    assert found.fields_removed == ["a", "metadata.x", "nsfw"]
    assert (found.net_operation, found.proposed_state, found.is_critical) == ("deleted", None, True)


def test_an_empty_object_and_a_null_show_when_they_come_or_go() -> None:
    found = diff({"gone": {}, "null": None}, {"new": None, "also": {}})
    assert lines(found) == [
        ("removed", "gone", {}, None),
        ("removed", "null", None, None),
        ("added", "new", None, None),
        ("added", "also", None, {}),
    ]


@pytest.mark.parametrize(("old", "new"), [(True, 1), (1, 1.0), (False, 0), ("1", 1), ({}, []), (None, {})])
def test_values_of_another_type_differ(old: object, new: object) -> None:
    assert lines(diff({"a": old}, {"a": new})) == [("modified", "a", old, new)]


def test_lists_go_by_position() -> None:
    found = diff({"trigger": ["a", "b"]}, {"trigger": ["a", "c", "d"]})
    assert lines(found) == [("modified", "trigger.1", "b", "c"), ("added", "trigger.2", None, "d")]


def test_files_and_downloads_go_by_file_name() -> None:
    old = {"config": {"files": [{"path": "a.ckpt", "sha": 1}, {"path": "b.ckpt"}], "download": [{"file_name": "x"}]}}
    new = {
        "config": {
            "files": [{"path": "b.ckpt"}, {"path": "a.ckpt", "sha": 2}],
            "download": [{"file_name": "x", "u": 1}],
        }
    }
    found = diff(old, new)
    assert [(kind, path) for kind, path, *_ in lines(found)] == [
        ("modified", r"config.files.a\.ckpt.sha"),
        ("modified", "config.files"),  # another order
        ("added", "config.download.x.u"),
    ]


def test_a_list_with_nameless_or_doubled_elements_goes_by_position() -> None:
    for files in ([{"path": "a"}, {"path": "a"}], [{"path": "a"}, {}], [{"path": "a"}, 5]):
        assert (
            diff({"config": {"files": files}}, {"config": {"files": []}}).fields_removed[0].startswith("config.files.0")
        )


def test_a_key_with_a_dot_is_not_taken_for_nesting() -> None:
    assert diff({}, {"a.b": 1, "a": {"b": 1}, "a\\": {"b": 1}}).fields_added == [r"a\.b", "a.b", r"a\\.b"]


def test_critical_is_the_field_itself_and_all_below_but_no_namesake() -> None:
    assert diff({"trigger": ["a"]}, {"trigger": ["b"]}, "trigger").is_critical
    assert diff({"nsfw": True}, {}, "nsfw").is_critical
    assert not diff({"nsfw_note": 1}, {}, "nsfw").is_critical
    assert not diff({"a": {"nsfw": 1}}, {}, "nsfw").is_critical


def test_downloads_are_critical_everywhere_but_their_note_is_not() -> None:
    assert diff({"config": {"download": [1]}}, {"config": {"download": [2]}}).is_critical
    assert not diff({"config": {"download_note": 1}}, {"config": {"download_note": 2}}).is_critical
    assert diff({"config": {"download": [1]}}, {"config": "gone"}).is_critical
    assert not diff({"config": {"files": [1]}}, {"config": "gone"}).is_critical


def test_stamps_take_no_part_in_comparing() -> None:
    stamped = {"a": 1, "metadata": {"created_at": 5}}
    found = diff_records(change({"a": 1}), stamped, critical_fields=(), stamps={"metadata": ["created_at"]})
    assert (found.net_operation, found.field_diffs) == ("unchanged", [])
    assert diff(stamped, {"a": 1}).fields_removed == ["metadata.created_at"]


@given(st.lists(st.text(), min_size=1))
def test_a_path_splits_into_the_keys_it_was_joined_from(keys: list[str]) -> None:
    assert split_path(join_path(keys)) == tuple(keys)


@given(records, records)
def test_there_is_no_difference_exactly_where_records_are_the_same(old: Json, new: Json) -> None:
    assert (diff(old, new).net_operation == "unchanged") == same_value(old, new)


@given(records, records)
@example({"a": [[], []]}, {"a": [None, [], None]})
@example({"a": ["a", "b", "c", "d", {"e": 1}]}, {"a": ["b", "d", {"e": 2}]})
def test_the_way_back_shows_the_opposite(old: Json, new: Json) -> None:
    there, back = diff(old, new), diff(new, old)
    assert set(there.fields_added) == set(back.fields_removed)
    assert len(there.fields_modified) == len(back.fields_modified)  # each at the place where it is afterwards
    paths = [d["field_path"] for d in there.field_diffs]
    assert len(paths) == len(set(paths))


class Queue:
    """Three changes: one sound, one whose category file is broken, one of a category without critical fields."""

    def get_change(self, change_id: int) -> PendingChangeRecord | None:
        found = {
            1: change({"style": "b"}),
            2: change({"a": 1}, category=Category.blip),
            3: change({"style": "b"}, category=Category.lora),
        }
        return found.get(change_id)


def current(category: CategoryName, name: str) -> Json | None:
    if category is Category.blip:
        raise DocumentError("not JSON", line=1, column=2)
    return {"style": "a"}


def test_the_service_gives_diffs_beside_errors() -> None:
    page = PendingChangeDiffService(queue_service=Queue(), current_record=current).compute_bulk_diffs([1, 9, 2, 3])
    assert [(found.category, found.is_critical) for found in page.diffs] == [("clip", True), ("lora", False)]
    assert page.total == 4
    assert page.errors == [
        {"change_id": 9, "error_type": "NotFound", "message": "no change has the id 9"},
        {"change_id": 2, "error_type": "DocumentError", "message": "line 1, column 2: not JSON"},
    ]


def test_an_unknown_id_has_no_diff_and_critical_fields_can_be_set() -> None:
    service = PendingChangeDiffService(
        queue_service=Queue(), current_record=current, critical_fields={Category.lora: ["style"], Category.clip: []}
    )
    assert service.compute_change_diff(9) is None
    lora, clip = service.compute_change_diff(3), service.compute_change_diff(1)
    assert lora is not None
    assert clip is not None
    assert (lora.is_critical, clip.is_critical) == (True, False)


class Manager:
    """The ecosystem's manager, as far as diffs ask it."""

    def __init__(self, canonical_format: str) -> None:
        self.canonical_format = canonical_format
        self.backend = self

    def get_legacy_json(self, category: CategoryName) -> dict[str, Json]:
        return {"m": {"from": "legacy"}}

    def get_raw_model_json(self, *, category: CategoryName, model_name: str) -> Json | None:
        return {"from": "v2"}


@pytest.mark.parametrize(
    ("change_id", "canonical", "source"), [(1, "legacy", "legacy"), (1, "v2", "v2"), (3, "legacy", "v2")]
)
def test_the_manager_is_asked_in_the_canonical_format(change_id: int, canonical: str, source: str) -> None:
    found = PendingChangeDiffService(manager=Manager(canonical), queue_service=Queue()).compute_change_diff(change_id)
    assert found is not None
    assert found.current_state == {"from": source}


def test_a_service_without_a_source_is_a_mistake_of_the_program() -> None:
    with pytest.raises(TypeError):
        PendingChangeDiffService(queue_service=Queue())
