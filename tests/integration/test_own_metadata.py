"""A record's own field called metadata, where refsync stamps nothing and where it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refsync.errors import PayloadError
from refsync.pending_queue.models import AuditOperation, PendingChangeStatus
from tests.support.command_line import Desk
from tests.support.reference import CLIP, Reference

FILES = {"clip.json": {"a": {"x": 1, "metadata": {"notes": "old"}}, "b": {"x": 1}}}
NOTED: dict[str, Any] = {"x": 1, "metadata": {"notes": "new"}}
DELETE = AuditOperation.DELETE
APPLIED, REJECTED = PendingChangeStatus.APPLIED, PendingChangeStatus.REJECTED


@pytest.fixture
def plain(tmp_path: Path, bare_git: None) -> Iterator[Reference]:
    made = Reference(tmp_path, FILES)
    yield made
    made.close()


@pytest.fixture
def stamped(tmp_path: Path, bare_git: None) -> Iterator[Reference]:
    made = Reference(tmp_path, FILES, repository="stamp_records = true")
    yield made
    made.close()


def net(reference: Reference, change: int) -> tuple[str, list[str]]:
    diff = reference.application.diffs().compute_change_diff(change)
    assert diff
    return diff.net_operation, [*diff.fields_added, *diff.fields_modified, *diff.fields_removed]


@pytest.mark.parametrize("name", ["plain", "stamped"])
def test_an_edit_of_a_records_own_metadata_lands(name: str, request: pytest.FixtureRequest) -> None:
    reference: Reference = request.getfixturevalue(name)
    change = reference.update("a", NOTED)
    assert net(reference, change) == ("modified", ["metadata.notes"])
    [landed] = reference.sync_image().landed
    assert landed.commit
    assert reference.clone.records("clip.json")["a"]["metadata"]["notes"] == "new"


def test_what_somebody_did_to_metadata_meanwhile_stops_a_delete(plain: Reference) -> None:
    change = plain.delete("a")
    plain.clone.commit({"clip.json": FILES["clip.json"] | {"a": NOTED}})
    plain.sync()
    assert plain.statuses([change]) == [REJECTED]
    assert 'metadata.notes: was "old", is now "new"' in (plain.change(change).reject_reason or "")


@pytest.mark.parametrize("name", ["plain", "stamped"])
def test_two_edits_of_one_note_conflict_and_both_values_are_told(name: str, request: pytest.FixtureRequest) -> None:
    reference: Reference = request.getfixturevalue(name)
    change = reference.update("a", NOTED)
    reference.clone.commit({"clip.json": FILES["clip.json"] | {"a": {"x": 1, "metadata": {"notes": "other"}}}})
    reference.sync()
    told = 'metadata.notes: was "old", is now "other", wanted "new"'
    assert told in (reference.change(change).reject_reason or "")


def test_the_stamps_alone_are_apart(stamped: Reference) -> None:
    made = stamped.update("a", NOTED)
    stamped.sync()
    first = stamped.clone.records("clip.json")["a"]
    assert first["metadata"] == {"notes": "new", "updated_at": stamped.change(made).approved_at, "updated_by": "Ada"}
    again = stamped.update("a", NOTED | {"metadata": {"notes": "new", "updated_by": "Eve"}})
    assert net(stamped, again) == ("unchanged", [])
    deleted = stamped.submit("a", None, DELETE)
    stamped.clone.commit({"clip.json": {"a": first | {"metadata": {"notes": "new", "updated_at": 1}}}})
    stamped.approve(deleted)
    tip = stamped.clone.tip
    stamped.sync()
    assert stamped.statuses([again, deleted]) == [APPLIED, APPLIED]
    assert stamped.clone.records("clip.json") == {}
    assert stamped.clone.tip != tip


def test_a_note_left_out_goes_and_the_stamps_stay(stamped: Reference) -> None:
    created = stamped.create("new", {"x": 1, "metadata": {"notes": "mine"}})
    stamped.sync()
    change = stamped.update("new", {"x": 2})
    assert net(stamped, change) == ("modified", ["x", "metadata.notes"])
    stamped.sync()
    at = stamped.change(created).approved_at
    landed = stamped.clone.records("clip.json")["new"]["metadata"]
    assert (landed["created_at"], landed["created_by"], landed["updated_at"], "notes" in landed) == (
        at,
        "Ada",
        stamped.change(change).approved_at,
        False,
    )


def test_metadata_that_cannot_be_stamped_is_refused_instead_of_replaced(stamped: Reference) -> None:
    with pytest.raises(PayloadError, match="metadata: has to be an object"):
        stamped.submit("b", {"x": 1, "metadata": "mine"})


def test_reverting_a_batch_undoes_an_edit_of_metadata(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, files=FILES)
    desk.land(desk.add("update", "a", NOTED))
    assert desk("batch", "revert", 1).done
    desk.land(2)
    assert desk.clone.records("clip.json") == FILES["clip.json"]


def test_a_change_that_asks_for_what_is_there_says_so_in_its_history(plain: Reference) -> None:
    change, other = plain.update("a", {"metadata": {"notes": "old"}, "x": 1}), plain.update("b", {"x": 2})
    plain.sync()
    told = [event.why for each in (change, other) for event in plain.application.queue.history_of(each)[-1:]]
    landed = f"landed in {plain.clone.tip}"
    assert told == [f"{landed}; what it asks for was there already: nothing was written for it", landed]


def test_a_change_made_where_nothing_was_does_not_overwrite_what_came(plain: Reference) -> None:
    asked: dict[str, Any] = {"base": None, "base_known": True, "requestor_id": "1", "requestor_username": "Ada"}
    queue = plain.application.queue
    update, delete = (
        queue.enqueue_change(category=CLIP, model_name="a", operation=operation, payload=payload, **asked).change_id
        for operation, payload in ((AuditOperation.UPDATE, {"x": 2}), (DELETE, None))
    )
    plain.approve(update, delete)
    plain.sync()
    assert plain.statuses([update, delete]) == [REJECTED, REJECTED]
    assert plain.clone.records("clip.json") == FILES["clip.json"]
