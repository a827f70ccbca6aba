"""What was done in the queue."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from refsync.categories import CanonicalFormat
from refsync.http.answers import answer
from refsync.http.door import TheDoor
from refsync.http.persons import Known
from refsync.use_cases.audit import (
    BATCHES,
    AuditBatches,
    AuditBatchWithChanges,
    CurrentAudit,
    audit_batch,
    audit_batches,
    current_audit,
)
from refsync.use_cases.net_changes import NetChanges, net_changes

LONGEST_PAGE = 200


def audit_router(prefix: str) -> APIRouter:
    """The routes, which answer under both versions of the API."""
    router = APIRouter(prefix=f"{prefix}/audit", tags=["history"])

    @router.get("/current", response_model=CurrentAudit)
    def current(door: TheDoor, person: Known) -> Response:
        """The changes that wait for review, with all that was done to them."""
        return answer(current_audit(door.application))

    @router.get("/batches", response_model=AuditBatches)
    def batches(
        door: TheDoor,
        person: Known,
        cursor: int | None = None,
        limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = BATCHES,
    ) -> Response:
        """Batches in figures, the newest first."""
        return answer(audit_batches(door.application, cursor=cursor, limit=limit))

    @router.get("/batches/{batch_id}", response_model=AuditBatchWithChanges)
    def batch(door: TheDoor, person: Known, batch_id: int) -> Response:
        """One batch with its changes and all that was done to them."""
        return answer(audit_batch(door.application, batch_id))

    @router.get("/batches/{batch_id}/net_changes", response_model=NetChanges)
    def net(door: TheDoor, person: Known, batch_id: int, domain_override: CanonicalFormat | None = None) -> Response:
        """What a batch made of its models, as git has it."""
        return answer(net_changes(door.application, batch_id, domain_override))

    return router
