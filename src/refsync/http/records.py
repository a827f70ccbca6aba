"""Records and their counters: what anybody may read."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from refsync.categories import CanonicalFormat
from refsync.http.answers import Content, answer, conditional, json_body
from refsync.http.door import Door, TheDoor
from refsync.http.failures import DoorError
from refsync.metadata.models import CategoryMetadata
from refsync.use_cases.reading import category_counters, held_categories

LEGACY, V2 = CanonicalFormat.legacy, CanonicalFormat.v2
Record = dict[str, Any]


def records_router(version: str, format: CanonicalFormat) -> APIRouter:
    """The routes of one version of the API, which serves one format."""
    router = APIRouter(prefix=f"/model_references/{version}", tags=[f"records {version}"])

    @router.get("/model_categories", response_model=list[str])
    def model_categories(request: Request, door: TheDoor) -> Response:
        """The categories that can be read."""
        return conditional(request, Content(json_body(held_categories(door.application, format))))

    @router.get("/info", response_model=dict[str, str])
    def info(request: Request, door: TheDoor) -> Response:
        """What is served here."""
        return conditional(request, Content(json_body({"message": f"refsync serves {format.value} records"})))

    _add_metadata(router, format)

    @router.head("/{category}", include_in_schema=False)
    @router.get("/{category}", response_model=dict[str, Record])
    def category_records(request: Request, door: TheDoor, category: str) -> Response:
        """All records of a category, byte for byte as its file has them."""
        return conditional(request, door.category(door.named(category), format).content)

    if format is V2:
        _add_record(router)
    return router


def _add_record(router: APIRouter) -> None:
    @router.head("/{category}/model/{name:path}", include_in_schema=False)
    @router.get("/{category}/model/{name:path}", response_model=Record)
    def one_record(request: Request, door: TheDoor, category: str, name: str) -> Response:
        """One record; its name may hold slashes."""
        record = door.category(door.named(category), V2).record(name)
        if record is None:
            raise DoorError(404, f"{category} has no model {name!r}")
        return conditional(request, Content(json_body(record)))


def _add_metadata(router: APIRouter, format: CanonicalFormat) -> None:
    @router.get("/metadata/last_updated", response_model=dict[str, int | None])
    def last_updated(door: TheDoor) -> Response:
        """When the newest operation of any category was."""
        times = [each.last_updated for each in _all_counters(door, format).values()]
        return answer({"last_updated": max(times, default=None)})

    @router.get("/metadata/metadata", response_model=dict[str, CategoryMetadata])
    def all_metadata(door: TheDoor) -> Response:
        """The counters of every category that was recorded."""
        return answer({name: each.model_dump() for name, each in _all_counters(door, format).items()})

    @router.get("/metadata/{category}/last_updated", response_model=dict[str, str | int | None])
    def category_last_updated(door: TheDoor, category: str) -> Response:
        """When the newest operation of a category was."""
        counters = category_counters(door.application, door.named(category), format)
        return answer({"category": category, "last_updated": counters and counters.last_updated})

    @router.get("/metadata/{category}", response_model=CategoryMetadata)
    def category_metadata(door: TheDoor, category: str) -> Response:
        """The counters of a category."""
        counters = category_counters(door.application, door.named(category), format)
        if counters is None:
            raise DoorError(404, f"nothing of {category} is recorded yet; a pass of the daemon does so")
        return answer(counters)


def _all_counters(door: Door, format: CanonicalFormat) -> dict[str, CategoryMetadata]:
    held = held_categories(door.application, format)
    counted = ((each, category_counters(door.application, each, format)) for each in held)
    return {name: counters for name, counters in counted if counters is not None}
