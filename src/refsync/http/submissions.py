"""Changes submitted, record by record. Which routes there are is the ecosystem's."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from refsync.categories import CanonicalFormat
from refsync.http.answers import answer
from refsync.http.bodies import documented, record_in
from refsync.http.door import TheDoor
from refsync.http.failures import InvalidBodyError, fault
from refsync.http.persons import Requestor
from refsync.pending_queue.models import PendingChangeRecord
from refsync.use_cases.proposing import check_written_as, propose_edit, propose_new, propose_removal

Body = Annotated[dict[str, Any], Depends(record_in)]
_TAKEN: dict[str, Any] = {"status_code": 202, "response_model": PendingChangeRecord, "tags": ["submit"]}

router = APIRouter(prefix="/model_references")


@router.post("/v2/{category}/add", openapi_extra=documented(), **_TAKEN)
@router.post("/v2/{category}", openapi_extra=documented(), **_TAKEN)
def submit_new(door: TheDoor, person: Requestor, category: str, record: Body) -> Response:
    """Submit a new model; the record names it."""
    change = propose_new(door.application, door.named(category), _name(record), record, actor=person.actor)
    return answer(change, 202)


@router.put("/v2/{category}/model/{name:path}", openapi_extra=documented(), **_TAKEN)
def submit_edit(door: TheDoor, person: Requestor, category: str, name: str, record: Body) -> Response:
    """Submit a model's new record; the path says whose it is."""
    return answer(propose_edit(door.application, door.named(category), name, record, actor=person.actor), 202)


@router.post("/v1/{category}", openapi_extra=documented(), **_TAKEN)
def submit_new_legacy(door: TheDoor, person: Requestor, category: str, record: Body) -> Response:
    """Submit a new model by its legacy record, which names it."""
    held = door.named(category)
    check_written_as(door.application, held, CanonicalFormat.legacy)
    return answer(propose_new(door.application, held, _name(record), record, actor=person.actor), 202)


@router.put("/v1/{category}", openapi_extra=documented(), **_TAKEN)
def submit_edit_legacy(door: TheDoor, person: Requestor, category: str, record: Body) -> Response:
    """Submit a model's new legacy record, which names it."""
    held = door.named(category)
    check_written_as(door.application, held, CanonicalFormat.legacy)
    return answer(propose_edit(door.application, held, _name(record), record, actor=person.actor), 202)


@router.delete("/v1/{category}/model/{name:path}", **_TAKEN)
@router.delete("/v2/{category}/model/{name:path}", **_TAKEN)
def submit_removal(door: TheDoor, person: Requestor, category: str, name: str) -> Response:
    """Submit that a model is to go."""
    return answer(propose_removal(door.application, door.named(category), name, actor=person.actor), 202)


def _name(record: dict[str, Any]) -> str:
    if "name" not in record:
        raise InvalidBodyError([fault(["name"], "Field required", "missing")])
    if not isinstance(record["name"], str):
        raise InvalidBodyError([fault(["name"], "Input should be a valid string", "string_type")])
    return record["name"]
