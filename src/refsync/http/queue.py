"""The queue: changes listed, shown, compared, reviewed, purged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field, field_validator

from refsync.errors import BatchNotFoundError, ChangeNotFoundError
from refsync.http.answers import answer
from refsync.http.bodies import Asked, body_as, documented
from refsync.http.door import Door, TheDoor
from refsync.http.failures import DoorError, InvalidBodyError, fault
from refsync.http.persons import Approver, Known, Requestor
from refsync.pending_queue.models import (
    PendingBatchResult,
    PendingChangeDiff,
    PendingChangeDiffPage,
    PendingChangeRecord,
    PendingChangeStatus,
    PendingQueueFilter,
    PendingQueuePage,
)
from refsync.plain_text import shortened
from refsync.use_cases.answer import Answer
from refsync.use_cases.changes import compare_changes, list_changes, show_change
from refsync.use_cases.reviewing import purge_changes, purgeable_changes, review_changes

PAGE = 50
LONGEST_PAGE = 500

_Kind = TypeVar("_Kind")
Words = Annotated[list[str] | None, Query()]
Offset = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=0, le=LONGEST_PAGE)]


class Review(Asked):
    """Changes approved into the open batch, and others rejected, in one step."""

    batch_title: str | None = Field(None, min_length=1, max_length=120)
    approved_ids: list[int] = Field(default_factory=list)
    rejected_ids: list[int] = Field(default_factory=list)
    reject_reason: str | None = Field(None, max_length=500)

    @field_validator("batch_title", "reject_reason")
    @classmethod
    def _not_blank(cls, text: str | None) -> str | None:
        if text is not None and not text.strip():
            raise ValueError("is blank")
        return text


class Purge(Asked):
    """Which changes are removed; ``dry_run`` only tells."""

    statuses: list[str] | None = None
    categories: list[str] | None = None
    model_name: str | None = None
    requested_by: str | list[str] | None = None
    purge_all: bool = False
    dry_run: bool = False


class Purged(Answer):
    """What was removed, or would be."""

    removed_count: int
    removed_change_ids: list[int]
    dry_run: bool


def queue_router(prefix: str) -> APIRouter:
    """The routes, which answer under both versions of the API."""
    router = APIRouter(prefix=prefix, tags=["queue"])
    _add_lists(router)
    _add_single(router)
    _add_moves(router)
    return router


def _add_lists(router: APIRouter) -> None:
    @router.get("/changes", response_model=PendingQueuePage)
    def changes(
        door: TheDoor,
        person: Known,
        statuses: Words = None,
        categories: Words = None,
        batch_id: int | None = None,
        model_name: str | None = None,
        requested_by: Words = None,
        offset: Offset = 0,
        limit: Limit = PAGE,
    ) -> Response:
        """A page of the queue, by id."""
        wanted = filter_of(door, statuses, categories, batch_id, model_name, _words(requested_by))
        return answer(_page(door, wanted, offset, limit))

    @router.get("/my_changes", response_model=PendingQueuePage)
    def my_changes(
        door: TheDoor,
        person: Requestor,
        statuses: Words = None,
        categories: Words = None,
        offset: Offset = 0,
        limit: Limit = PAGE,
    ) -> Response:
        """A page of what the asking person has submitted."""
        wanted = filter_of(door, statuses, categories, None, None, [person.id])
        wanted.requested_provider = person.provider
        return answer(_page(door, wanted, offset, limit))

    @router.get("/changes/diff", response_model=PendingChangeDiffPage)
    @router.get("/diffs", response_model=PendingChangeDiffPage)
    def diffs(door: TheDoor, person: Known, change_ids: Words = None) -> Response:
        """Changes compared with the reference as it is now."""
        return answer(compare_changes(door.application, _ids(change_ids)))


def _add_single(router: APIRouter) -> None:
    @router.get("/changes/{change_id}", response_model=PendingChangeRecord)
    def change(door: TheDoor, person: Known, change_id: int) -> Response:
        """One change with its history."""
        return answer(show_change(door.application, change_id))

    @router.get("/changes/{change_id}/diff", response_model=PendingChangeDiff)
    def diff(door: TheDoor, person: Known, change_id: int) -> Response:
        """One change compared with the reference as it is now."""
        show_change(door.application, change_id)
        page = compare_changes(door.application, [change_id])
        if page.errors:
            raise DoorError(503, str(page.errors[0]["message"]))
        return answer(page.diffs[0])


def _add_moves(router: APIRouter) -> None:
    @router.post("/batches", response_model=PendingBatchResult, openapi_extra=documented(Review))
    def review(door: TheDoor, person: Approver, asked: Annotated[Review, Depends(body_as(Review))]) -> Response:
        """Approve changes into the open batch, and reject others, in one step."""
        if asked.rejected_ids and asked.reject_reason is None:
            raise InvalidBodyError([fault(["reject_reason"], "a rejection needs a reason", "missing")])
        if asked.approved_ids and asked.batch_title is None:
            raise InvalidBodyError([fault(["batch_title"], "an approval needs a title", "missing")])
        with named_in_body():
            result = review_changes(
                door.application,
                title=asked.batch_title or "",
                approved=asked.approved_ids,
                rejected=asked.rejected_ids,
                reason=asked.reject_reason,
                actor=person.actor,
            )
        return answer(result)

    @router.post("/purge", response_model=Purged, openapi_extra=documented(Purge))
    def purge(door: TheDoor, person: Approver, asked: Annotated[Purge, Depends(body_as(Purge))]) -> Response:
        """Remove changes for good."""
        requesters = [asked.requested_by] if isinstance(asked.requested_by, str) else asked.requested_by
        wanted = filter_of(door, asked.statuses, asked.categories, None, asked.model_name, requesters)
        if wanted == PendingQueueFilter() and not asked.purge_all:
            raise DoorError(400, "name what to purge, or say purge_all")
        if asked.dry_run:
            hits = purgeable_changes(door.application, wanted)
        else:
            hits = purge_changes(door.application, wanted, actor=person.actor)
        ids = [change.change_id for change in hits.root]
        return answer(Purged(removed_count=len(ids), removed_change_ids=ids, dry_run=asked.dry_run))


def filter_of(
    door: Door,
    statuses: list[str] | None,
    categories: list[str] | None,
    batch_id: int | None,
    model_name: str | None,
    requested_by: list[str] | None,
) -> PendingQueueFilter:
    """What is asked for; an absent condition does not restrict, an empty word is none.

    Raises:
        InvalidBodyError: there is no such status or category.
    """
    return PendingQueueFilter(
        statuses=_all_of("statuses", PendingChangeStatus, statuses),
        categories=_all_of("categories", door.named, categories),
        batch_id=batch_id,
        model_name=model_name or None,
        requested_by=None if requested_by is None else set(requested_by),
    )


def _page(door: Door, wanted: PendingQueueFilter, offset: int, limit: int) -> PendingQueuePage:
    page = list_changes(door.application, wanted, offset=offset, limit=limit)
    return PendingQueuePage(**{name: getattr(page, name) for name in PendingQueuePage.model_fields})


@contextmanager
def named_in_body() -> Iterator[None]:
    """What a body names and is not there is the body's fault, not the path's."""
    try:
        yield
    except (ChangeNotFoundError, BatchNotFoundError) as problem:
        raise DoorError(400, str(problem)) from None


def _all_of(what: str, known: Callable[[str], _Kind], words: list[str] | None) -> set[_Kind] | None:
    try:
        return {known(word) for word in given} if (given := _words(words)) else None
    except ValueError as problem:
        raise InvalidBodyError([{"loc": [what], "msg": shortened(str(problem)), "type": "enum"}]) from None


def _words(given: list[str] | None) -> list[str] | None:
    """Words that are repeated, or stand in one with commas."""
    return [word for each in given or () for word in each.split(",") if word] or None


def _ids(given: list[str] | None) -> list[int]:
    words = _words(given) or []
    if not words or len(words) > LONGEST_PAGE or not all(re.fullmatch(r"-?[0-9]{1,19}", word) for word in words):
        raise DoorError(400, f"change_ids: name 1 to {LONGEST_PAGE} changes by their ids")
    return [int(word) for word in words]
