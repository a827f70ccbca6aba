"""Approved changes applied: the batch is sealed, the daemon woken, and waited for as long as the config says."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.concurrency import run_in_threadpool

from refsync.http.answers import answer
from refsync.http.bodies import Asked, body_as, documented
from refsync.http.door import Door, TheDoor
from refsync.http.persons import Approver
from refsync.http.queue import named_in_body
from refsync.pending_queue.models import PendingChangeRecord
from refsync.use_cases.applying import Applied, Begun, begin_batch, begin_changes, look
from refsync.use_cases.changes import show_change

_LOOKS_EVERY_SECONDS = 0.1


class ApplyOne(Asked):
    """``job_id`` is the caller's own word for it, which refsync needs not: a batch has a token of its own."""

    job_id: str | None = None


class ApplyMany(ApplyOne):
    """Changes of one batch, or of several."""

    change_ids: list[int]
    allow_mixed_batch: bool = False


class AppliedOne(Applied):
    """What became of one change."""

    record: PendingChangeRecord


def applying_router(prefix: str) -> APIRouter:
    """The routes, which answer under both versions of the API."""
    router = APIRouter(prefix=prefix, tags=["apply"])

    @router.post("/changes/{change_id}/apply", response_model=AppliedOne, openapi_extra=documented(ApplyOne))
    async def apply_one(
        door: TheDoor, person: Approver, change_id: int, asked: Annotated[ApplyOne, Depends(body_as(ApplyOne))]
    ) -> Response:
        """Apply one approved change; of an open batch it is split off first."""
        begun = await run_in_threadpool(begin_changes, door.application, [change_id], actor=person.actor)
        outcome, ready = await _wait(door, begun)
        record = await run_in_threadpool(show_change, door.application, change_id)
        return _told(AppliedOne(**dict(outcome), record=record), ready)

    @router.post("/apply", response_model=Applied, openapi_extra=documented(ApplyMany))
    async def apply_many(
        door: TheDoor, person: Approver, asked: Annotated[ApplyMany, Depends(body_as(ApplyMany))]
    ) -> Response:
        """Apply approved changes."""
        with named_in_body():
            begun = await run_in_threadpool(
                begin_changes,
                door.application,
                asked.change_ids,
                actor=person.actor,
                allow_mixed_batch=asked.allow_mixed_batch,
            )
        return _told(*await _wait(door, begun))

    @router.post("/apply_batch/{batch_id}", response_model=Applied)
    async def apply_batch(door: TheDoor, person: Approver, batch_id: int, job_id: str | None = None) -> Response:
        """Apply all that is approved in a batch."""
        begun = await run_in_threadpool(begin_batch, door.application, batch_id, actor=person.actor)
        return _told(*await _wait(door, begun))

    return router


async def _wait(door: Door, begun: Begun) -> tuple[Applied, bool]:
    """What has become of it once it is done with, or when the time is over."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + door.application.config.serve.apply_seconds
    while True:
        outcome, ready = await run_in_threadpool(look, door.application, begun)
        if ready or loop.time() >= deadline:
            return outcome, ready
        await asyncio.sleep(_LOOKS_EVERY_SECONDS)


def _told(outcome: Applied, ready: bool) -> Response:
    """202 where it goes on without the caller: it is not done with, or people review it in git."""
    return answer(outcome, 200 if ready and outcome.proposal is None else 202)
