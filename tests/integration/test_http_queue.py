"""Changes submitted, reviewed and applied through the door, by the ecosystem's contract."""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from refsync.pending_queue.models import PendingChangeRecord
from refsync.pending_queue.store import database
from refsync.tokens import add_token
from tests.support.door import bearer, open_door, passes
from tests.support.published import PublishedReference
from tests.support.reference import Reference

V1, V2 = "/model_references/v1", "/model_references/v2"
P = f"{V2}/pending_queue"
CLIP = b'{\n    "a": {"name": "a", "x": 1},\n    "b/c": {"name": "b/c", "x": 1},\n    "old": {"x": 1}\n}\n'
SETTINGS = '[apply]\nwhen = "manual"\n[serve]\ntokens_file = "tokens"\napply_seconds = 20.0\n'
new_name = map("new {}".format, itertools.count()).__next__


@dataclass
class Desk:
    """A reference with its door, and the people who come to it: each a client that shows their token."""

    reference: Reference
    nobody: httpx.Client
    ada: httpx.Client
    bob: httpx.Client
    carol: httpx.Client
    guest: httpx.Client

    def submit(self, name: str | None = None, **fields: Any) -> int:
        record = {"name": name or new_name(), **fields}
        got = self.ada.post(f"{V2}/clip/add", json=record)
        assert got.status_code == 202, got.text
        number: int = got.json()["change_id"]
        return number

    def approve(self, *ids: int, title: str = "New models") -> int:
        got = self.bob.post(f"{P}/batches", json={"batch_title": title, "approved_ids": ids})
        assert got.status_code == 200, got.text
        number: int = got.json()["batch_id"]
        return number


def people(folder: Path, door: httpx.Client) -> Iterator[httpx.Client]:
    for name, role in (("ada", "requestor"), ("bob", "approver"), ("carol", "approver"), ("guest", "none")):
        token = add_token(folder / "tokens", id=name, username=name.title(), role=role)
        yield bearer(door, token)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("queue")
    reference = Reference(folder, {"clip.json": CLIP, "blip.json": {"BLIP": {"name": "BLIP"}}}, more=SETTINGS)
    with open_door(reference.application, folder, port=True) as door:
        clients = list(people(folder, door))
        yield Desk(reference, door, *clients)
        for client in clients:
            client.close()
    reference.close()


def told(got: httpx.Response) -> tuple[int, str]:
    """The status and the one line of a refusal."""
    assert list(got.json()) == ["detail"], got.text
    return got.status_code, got.json()["detail"]


def faults(got: httpx.Response) -> list[list[Any]]:
    """Where a body does not validate."""
    assert got.status_code == 422, got.text
    assert all(set(each) == {"loc", "msg", "type"} for each in got.json()["detail"])
    return [each["loc"] for each in got.json()["detail"]]


# who may


ASKED_BY_ANYBODY_KNOWN: list[tuple[str, str, Any]] = [
    ("GET", f"{P}/changes", None),
    ("GET", f"{P}/changes/999", None),
    ("GET", f"{P}/changes/999/diff", None),
    ("GET", f"{P}/diffs?change_ids=1", None),
    ("GET", f"{P}/changes/diff?change_ids=1", None),
    ("GET", f"{P}/audit/current", None),
    ("GET", f"{P}/audit/batches", None),
    ("GET", f"{P}/audit/batches/999", None),
    ("GET", f"{P}/audit/batches/999/net_changes", None),
]
FOR_REQUESTORS: list[tuple[str, str, Any]] = [
    ("GET", f"{P}/my_changes", None),
    ("POST", f"{V2}/clip/add", {}),
    ("POST", f"{V2}/controlnet", {}),
    ("PUT", f"{V2}/clip/model/nobody", {}),
    ("DELETE", f"{V2}/clip/model/nobody", None),
    ("POST", f"{V1}/clip", {}),
    ("PUT", f"{V1}/clip", {}),
    ("DELETE", f"{V1}/clip/model/nobody", None),
]
FOR_APPROVERS: list[tuple[str, str, Any]] = [
    ("POST", f"{P}/batches", {}),
    ("POST", f"{P}/changes/999/apply", {}),
    ("POST", f"{P}/apply", {"change_ids": [999]}),
    ("POST", f"{P}/apply_batch/999", None),
    ("POST", f"{P}/purge", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), ASKED_BY_ANYBODY_KNOWN + FOR_REQUESTORS + FOR_APPROVERS)
def test_each_route_lets_in_whom_the_contract_names(desk: Desk, method: str, path: str, body: Any) -> None:
    def status(client: httpx.Client) -> int:
        return client.request(method, path, json=body).status_code

    assert status(desk.nobody) == 401
    may = [True, True, (method, path, body) not in FOR_APPROVERS, (method, path, body) in ASKED_BY_ANYBODY_KNOWN]
    for client, is_let_in in zip((desk.bob, desk.carol, desk.ada, desk.guest), may, strict=True):
        assert (status(client) != 403) is is_let_in
    older = path.replace(P, f"{V1}/pending_queue")
    assert desk.bob.request(method, older, json=body).status_code == status(desk.bob)


# submitting


def test_a_new_model_is_submitted_and_waits_as_it_was_typed(desk: Desk) -> None:
    name = new_name()
    body = f'{{"name": "{name}", "x": 1.50, "y": null, "z": {{"w": 1E5}}}}'
    got = desk.ada.post(f"{V2}/clip/add", content=body)
    assert got.status_code == 202
    assert f'"payload": {body}' in got.text  # the numbers' text and the record's null stay
    change = got.json()
    assert None not in change.values()
    assert (change["status"], change["requested_by"], change["requested_username"]) == ("pending", "ada", "Ada")
    assert PendingChangeRecord.model_validate(change).requested_provider == "token"
    shown = desk.guest.get(f"{P}/changes/{change['change_id']}").json()
    assert {**shown, "history": 0} == {**change, "history": 0}


def test_an_edit_goes_by_the_path_and_keeps_the_name(desk: Desk) -> None:
    got = desk.ada.put(f"{V2}/clip/model/b/c", json={"x": 2})
    assert (got.status_code, got.json()["payload"]) == (202, {"name": "b/c", "x": 2})
    assert got.json()["base"] == {"name": "b/c", "x": 1}
    assert desk.ada.put(f"{V2}/clip/model/b%2Fc", json={"name": "b/c", "x": 2}).status_code == 202
    assert told(desk.ada.put(f"{V2}/clip/model/a", json={"name": "z", "x": 2}))[0] == 400
    assert told(desk.ada.put(f"{V2}/clip/model/nobody", json={"x": 2}))[0] == 404
    assert desk.ada.put(f"{V1}/clip", json={"name": "a", "x": 3}).json()["operation"] == "update"


def test_a_removal_names_what_is_there(desk: Desk) -> None:
    for version in (V1, V2):
        got = desk.ada.delete(f"{version}/clip/model/old")
        assert (got.status_code, got.json()["operation"], got.json()["model_name"]) == (202, "delete", "old")
        assert told(desk.ada.delete(f"{version}/clip/model/nobody"))[0] == 404


def test_a_model_that_exists_is_not_new(desk: Desk) -> None:
    for path in (f"{V2}/clip/add", f"{V2}/clip", f"{V1}/clip"):
        assert told(desk.ada.post(path, json={"name": "a"})) == (409, "clip has a model 'a' already; edit it instead")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", ["body"]),
        (b"{", ["body"]),
        (b"[]", ["body"]),
        (b"null", ["body"]),
        (b"\xff", ["body"]),
        (b'{"name": "a", "name": "b"}', ["body"]),
        (b'{"name": "n", "x": NaN}', ["body"]),
        (b'{"name": "n", "x": 1e999}', ["body"]),
        (b'{"name": "n", "x": ' + b"[" * 200 + b"]" * 200 + b"}", ["body"]),
        (b'{"name": "n", "x": ' + b"[" * 100_000, ["body"]),
        (b'{"name": "n", "x": "\\ud800"}', ["body"]),
        (b'{"x": 1}', ["body", "name"]),
        (b'{"name": 1}', ["body", "name"]),
        (b'{"name": "a\\nb"}', ["body"]),
        (b'{"name": ""}', ["body"]),
        (b'{"name": "' + b"n" * 300 + b'"}', ["body"]),
    ],
)
def test_a_body_that_is_no_record_is_told_where(desk: Desk, body: bytes, where: list[str]) -> None:
    before = desk.ada.get(f"{P}/my_changes?limit=0").json()["total"]
    for method, path in (("POST", f"{V2}/clip/add"), ("POST", f"{V1}/clip")):
        assert faults(desk.ada.request(method, path, content=body)) == [where]
    assert desk.ada.get(f"{P}/my_changes?limit=0").json()["total"] == before


def test_a_body_has_an_end(desk: Desk) -> None:
    huge = json.dumps({"name": "n", "x": "y" * 1024 * 1024}).encode()
    assert told(desk.ada.post(f"{V2}/clip/add", content=huge))[0] == 413
    assert told(desk.ada.post(f"{V2}/clip/add", content=iter([huge])))[0] == 413  # and says not how long it is


@pytest.mark.parametrize("category", ["nothing", "lora", "..%2fclip", "%00"])
def test_a_category_that_is_not_held_is_not_there(desk: Desk, category: str) -> None:
    assert told(desk.ada.post(f"{V2}/{category}/add", json={"name": "n"}))[0] == 404


# listing and comparing


def test_a_list_is_filtered_and_paged(desk: Desk) -> None:
    ids = [desk.submit(f"paged {number}") for number in range(4)]

    def listed(query: str, client: httpx.Client = desk.guest) -> list[int]:
        page = client.get(f"{P}/changes?model_name=PAGED&{query}").json()
        assert set(page) == {"items", "total", "offset", "limit"}
        return [change["change_id"] for change in page["items"]]

    assert listed("") == ids
    assert listed("offset=1&limit=2") == ids[1:3]
    assert listed("statuses=pending,approved&categories=clip&requested_by=ada") == ids
    assert listed("statuses=approved&statuses=applied") == []
    assert listed("statuses=&categories=&batch_id=99999999999999999999") == []
    assert listed("requested_by=bob") == []
    mine = desk.bob.get(f"{P}/my_changes").json()
    assert (mine["total"], mine["limit"]) == (0, 50)
    assert {each["requested_by"] for each in desk.ada.get(f"{P}/my_changes").json()["items"]} == {"ada"}
    for wrong in ("statuses=gone", "categories=nothing", "limit=501", "offset=-1", "limit=x", "batch_id=x"):
        assert desk.guest.get(f"{P}/changes?{wrong}").status_code == 422


def test_changes_are_compared_with_what_is_there_now(desk: Desk) -> None:
    change = desk.ada.put(f"{V2}/clip/model/a", json={"name": "a", "x": 7}).json()["change_id"]
    one = desk.guest.get(f"{P}/changes/{change}/diff").json()
    assert (one["current_state"], one["proposed_state"], one["net_operation"]) == (
        {"name": "a", "x": 1},
        {"name": "a", "x": 7},
        "modified",
    )
    assert one["field_diffs"] == [{"field_path": "x", "old_value": 1, "new_value": 7, "change_type": "modified"}]
    for path in ("diffs", "changes/diff"):
        page = desk.guest.get(f"{P}/{path}", params={"change_ids": [change, 999]}).json()
        assert (page["total"], page["diffs"]) == (2, [one])
        assert [(each["change_id"], each["error_type"]) for each in page["errors"]] == [(999, "NotFound")]
        assert desk.guest.get(f"{P}/{path}?change_ids={change},999").json() == page
        for wrong in ("", "?change_ids=", "?change_ids=x", "?change_ids=" + "1," * 600):
            assert told(desk.guest.get(f"{P}/{path}{wrong}"))[0] == 400
    assert told(desk.guest.get(f"{P}/changes/999/diff"))[0] == 404
    assert told(desk.guest.get(f"{P}/changes/999"))[0] == 404


# reviewing


def test_one_review_approves_and_rejects_and_the_second_is_told_who_was_first(desk: Desk) -> None:
    good, bad = desk.submit(), desk.submit()
    asked = {"batch_title": "T", "approved_ids": [good], "rejected_ids": [bad], "reject_reason": "not ours"}
    result = desk.bob.post(f"{P}/batches", json=asked).json()
    assert [each["status"] for each in result["approved"] + result["rejected"]] == ["approved", "rejected"]
    assert result["batch_id"] == result["approved"][0]["batch_id"]
    status, line = told(desk.carol.post(f"{P}/batches", json={"batch_title": "T", "approved_ids": [good]}))
    assert (status, line.split(";")[0]) == (400, f"change {good} is approved, not pending (Bob was first)")
    alone = {"rejected_ids": [desk.submit()], "reject_reason": "no"}
    rejected = desk.bob.post(f"{P}/batches", json=alone).json()
    assert (rejected["batch_id"], rejected["batch_title"]) == (None, "")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"batch_title": "T", "approved_ids": [999]}, 400),
        ({"approved_ids": [999]}, 422),
        ({"batch_title": "", "approved_ids": [999]}, 422),
        ({"batch_title": " ", "approved_ids": [999]}, 422),
        ({"batch_title": "t" * 121, "approved_ids": [999]}, 422),
        ({"batch_title": "T", "approved_ids": ["1"]}, 422),
        ({"batch_title": "T", "approved_ids": [True]}, 422),
        ({"batch_title": "T", "approved_ids": 1}, 422),
        ({"rejected_ids": [999]}, 422),
        ({"rejected_ids": [999], "reject_reason": " "}, 422),
        ({"rejected_ids": [999], "reject_reason": "r" * 501}, 422),
        ({"rejected_ids": [2**70], "reject_reason": "r"}, 400),
        ({"batch_title": "T", "approved_ids": [1], "what": 1}, 422),
        ({"batch_title": "a\nb", "approved_ids": [1]}, 400),
    ],
)
def test_a_review_that_cannot_be_is_refused_whole(desk: Desk, body: Any, status: int) -> None:
    got = desk.bob.post(f"{P}/batches", json=body)
    assert got.status_code == status, got.text
    assert (told(got)[0] == 400) if status == 400 else faults(got)


def test_a_purge_names_what_goes(desk: Desk) -> None:
    ids = [desk.submit("purged 1"), desk.submit("purged 2")]
    assert told(desk.bob.post(f"{P}/purge", json={}))[0] == 400
    assert told(desk.bob.post(f"{P}/purge", json={"dry_run": True}))[0] == 400
    assert faults(desk.bob.post(f"{P}/purge", json={"statuses": ["gone"]}))
    asked = {"model_name": "purged", "statuses": ["pending"], "requested_by": "ada"}
    for dry_run in (True, False):
        gone = desk.bob.post(f"{P}/purge", json={**asked, "dry_run": dry_run}).json()
        assert gone == {"removed_count": 2, "removed_change_ids": ids, "dry_run": dry_run}
    assert told(desk.bob.get(f"{P}/changes/{ids[0]}"))[0] == 404


# applying, and what is told of it afterwards


def test_without_a_daemon_nothing_is_applied_and_nothing_moves(desk: Desk) -> None:
    change = desk.submit()
    batch = desk.approve(change)
    for path, body in (
        (f"changes/{change}/apply", {}),
        ("apply", {"change_ids": [change]}),
        (f"apply_batch/{batch}", None),
    ):
        status, line = told(desk.bob.post(f"{P}/{path}", json=body))
        assert (status, line.split(",")[0]) == (503, "no daemon serves this store")
    assert desk.reference.change(change).status == "approved"
    assert desk.reference.application.queue.get_batch(batch).state == "open"


def test_what_cannot_be_applied_is_told(desk: Desk) -> None:
    pending = desk.submit()
    assert told(desk.bob.post(f"{P}/changes/{pending}/apply"))[0] == 400
    assert told(desk.bob.post(f"{P}/changes/999/apply"))[0] == 404
    assert told(desk.bob.post(f"{P}/apply", json={"change_ids": [999]}))[0] == 400
    assert told(desk.bob.post(f"{P}/apply", json={"change_ids": []}))[0] == 400
    assert faults(desk.bob.post(f"{P}/apply", json={"change_ids": ["1"]}))
    assert told(desk.bob.post(f"{P}/apply_batch/999"))[0] == 404


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Desk]:
    """A desk of the test's own, with a daemon at work."""
    reference = Reference(tmp_path, {"clip.json": CLIP}, more=SETTINGS)
    with open_door(reference.application, tmp_path, port=True) as door, passes(reference.application):
        clients = list(people(tmp_path, door))
        yield Desk(reference, door, *clients)
        for client in clients:
            client.close()
    reference.close()


def test_a_batch_is_applied_as_one_commit_and_its_history_is_what_git_has(own: Desk) -> None:
    ids = [own.submit("n", x=1), own.ada.put(f"{V2}/clip/model/a", json={"x": 5}).json()["change_id"]]
    ids.append(own.ada.delete(f"{V2}/clip/model/old").json()["change_id"])
    batch = own.approve(*ids, title="Three")
    got = own.bob.post(f"{P}/apply_batch/{batch}")
    assert (got.status_code, [each["change_id"] for each in got.json()["applied"]]) == (200, ids)
    assert not got.json()["batch_split_occurred"]
    assert own.reference.clone.records("clip.json").keys() == {"a", "b/c", "n"}
    assert own.bob.post(f"{P}/apply_batch/{batch}").json() == {"applied": [], "batch_split_occurred": False}

    told_of = own.guest.get(f"{P}/audit/batches/{batch}").json()
    assert (told_of["batch_title"], told_of["approved_by"], told_of["applied_change_count"]) == ("Three", "bob", 3)
    actions = [each["action"] for each in told_of["changes"][0]["events"]]
    assert (actions[:2], actions[-1]) == (["enqueue", "approve"], "apply")
    page = own.guest.get(f"{P}/audit/batches?limit=1").json()
    figures = {key: value for key, value in told_of.items() if key != "changes"}
    assert page == {"domain": "legacy", "batches": [figures]}
    net = own.guest.get(f"{P}/audit/batches/{batch}/net_changes").json()
    assert [(each["model_name"], each["net_operation"]) for each in net["model_changes"]] == [
        ("n", "added"),
        ("a", "modified"),
        ("old", "deleted"),
    ]
    assert (net["models_added"], net["models_modified"], net["models_deleted"]) == (1, 1, 1)
    assert net["model_changes"][1]["before_state"] == {"name": "a", "x": 1}
    assert net["model_changes"][1]["after_state"] == {"name": "a", "x": 5}
    v2 = own.guest.get(f"{P}/audit/batches/{batch}/net_changes?domain_override=v2").json()
    assert (v2["domain"], v2["model_changes"]) == ("v2", [])


def test_one_change_of_an_open_batch_is_split_off_and_the_rest_stays_open(own: Desk) -> None:
    first, second, third = own.submit(), own.submit(), own.submit()
    batch = own.approve(first, second, third)
    got = own.bob.post(f"{P}/changes/{second}/apply", json={"job_id": "job"}).json()
    assert (got["record"]["status"], got["record"]["batch_id"]) == ("applied", batch)
    split = {key: value for key, value in got.items() if key.startswith("batch_split")}
    rest = split["batch_split_new_batch_id"]
    assert split == {
        "batch_split_occurred": True,
        "batch_split_original_batch_id": batch,
        "batch_split_new_batch_id": rest,
        "batch_split_reassigned_count": 2,
    }
    assert own.reference.application.queue.get_batch(rest).state == "open"
    assert own.approve(own.submit()) == rest
    mixed = own.bob.post(f"{P}/apply", json={"change_ids": [first, third]}).json()
    assert [each["change_id"] for each in mixed["applied"]] == [first, third]
    assert mixed["batch_split_occurred"]


def test_a_conflict_is_told_with_both_values(own: Desk) -> None:
    change = own.ada.put(f"{V2}/clip/model/a", json={"x": 5}).json()["change_id"]
    own.reference.clone.commit({"clip.json": CLIP.replace(b'"a", "x": 1', b'"a", "x": 9')})
    batch = own.approve(change)
    got = own.bob.post(f"{P}/apply_batch/{batch}")
    assert (got.status_code, got.json()["applied"], got.json()["failed_change_id"]) == (200, [], change)
    assert "9" in got.json()["failed_error"]
    assert "5" in got.json()["failed_error"]
    assert own.reference.change(change).status == "rejected"


def test_a_hold_is_told_by_what_it_waits_for(own: Desk) -> None:
    change = own.submit()
    batch = own.approve(change)
    own.reference.clone.write("clip.json", CLIP + b"\n")
    got = own.bob.post(f"{P}/changes/{change}/apply")
    assert (got.status_code, got.json()["record"]["status"]) == (200, "approved")
    assert "local edits" in got.json()["failed_error"]
    held = own.guest.get(f"{P}/audit/batches/{batch}/net_changes")
    assert told(held)[0] == 404


def test_what_is_not_done_in_time_goes_on_without_the_caller(tmp_path: Path) -> None:
    settings = SETTINGS.replace("20.0", "0.1")
    reference = Reference(tmp_path, {"clip.json": CLIP}, more=settings)
    with open_door(reference.application, tmp_path, port=True) as door, reference.application.state.serve():
        own = Desk(reference, door, *people(tmp_path, door))
        batch = own.approve(own.submit())
        got = own.bob.post(f"{P}/apply_batch/{batch}")
        assert (got.status_code, got.json()) == (202, {"applied": [], "batch_split_occurred": False})
        assert reference.application.queue.get_batch(batch).state == "sealed"
        for client in (own.ada, own.bob, own.carol, own.guest):
            client.close()
    reference.close()


def test_what_waits_is_told_with_its_history(own: Desk) -> None:
    change = own.submit()
    current = own.guest.get(f"{P}/audit/current").json()
    assert (current["domain"], current["total_pending"]) == ("legacy", 1)
    (told_of,) = current["pending_changes"]
    assert (told_of["change_id"], told_of["status"], "approved_by" in told_of) == (change, "pending", False)
    (event,) = told_of["events"]
    assert (event["action"], event["logical_user_id"], event["payload"]["provider"]) == ("enqueue", "ada", "token")
    own.approve(change)
    pages = own.guest.get(f"{P}/audit/batches", params={"cursor": 1}).json()
    assert pages == {"domain": "legacy", "batches": []}


def test_a_token_counts_as_an_entry_of_the_people_when_the_daemon_asks_again(tmp_path: Path) -> None:
    settings = f'{SETTINGS}[people]\ncategory_approvers = {{ blip = ["token:ada"] }}\n'
    reference = Reference(tmp_path, {"clip.json": CLIP, "blip.json": {}}, more=settings)
    with open_door(reference.application, tmp_path, port=True) as door, passes(reference.application):
        own = Desk(reference, door, *people(tmp_path, door))
        change = own.submit("landed")
        assert told(own.ada.post(f"{P}/batches", json={"batch_title": "T", "approved_ids": [change]})) == (
            403,
            "token:ada may not review changes of clip; who may: token:bob, token:carol",
        )
        assert own.bob.post(f"{P}/apply_batch/{own.approve(change)}").json()["applied"]
        assert "landed" in reference.clone.records("clip.json")
        for client in (own.ada, own.bob, own.carol, own.guest):
            client.close()
    reference.close()


def test_what_goes_out_as_a_proposal_is_told_with_its_branch_and_not_applied_yet(tmp_path: Path) -> None:
    reference = PublishedReference(tmp_path, "branch", {"clip.json": CLIP}, more=SETTINGS)
    with open_door(reference.application, tmp_path, port=True) as door, passes(reference.application):
        own = Desk(reference, door, *people(tmp_path, door))
        change = own.submit()
        got = own.bob.post(f"{P}/apply_batch/{own.approve(change)}")
        (branch,) = reference.remote.branches
        assert (got.status_code, got.json()["applied"], got.json()["proposal"]) == (202, [], {"branch": branch})
        assert reference.change(change).status == "approved"
        for client in (own.ada, own.bob, own.carol, own.guest):
            client.close()
    reference.close()


def test_a_store_that_somebody_keeps_locked_is_told_and_reading_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    reference = Reference(tmp_path, {"clip.json": CLIP}, more=SETTINGS)
    with open_door(reference.application, tmp_path, port=True) as door:
        own = Desk(reference, door, *people(tmp_path, door))
        with contextlib.closing(sqlite3.connect(reference.application.state.path / "queue.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            got = own.ada.post(f"{V2}/clip/add", json={"name": "n"})
            assert told(got)[0] == 503
            assert got.headers["retry-after"] == "5"
            assert own.guest.get(f"{P}/changes").json()["total"] == 0
            other.rollback()
        assert own.submit() == 1
        for client in (own.ada, own.bob, own.carol, own.guest):
            client.close()
    reference.close()
