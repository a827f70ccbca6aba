"""Figures for Prometheus: the daemon's, as it wrote them last, and the door's own."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from refsync.http.door import TheDoor
from refsync.metrics.measures import check_installed

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(door: TheDoor) -> Response:
    """The file that ``[metrics] textfile`` names, if it is there, and how this process does."""
    check_installed()
    from refsync.metrics.door import served  # prometheus_client, only where somebody asks

    return Response(
        served(door.application.config.metrics.textfile, door.answered),
        media_type="text/plain; version=0.0.4; charset=utf-8",
    )
