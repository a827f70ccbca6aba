"""Whether the door and what is behind it are well, and what kind of door it is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from refsync.http.answers import answer
from refsync.http.door import TheDoor
from refsync.use_cases.readiness import Readiness, readiness
from refsync.use_cases.reading import mode

router = APIRouter(tags=["health"])


@router.get("/livez", response_model=dict[str, str])
async def livez() -> Response:
    """Whether the process answers."""
    return answer({"status": "ok"})


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
def readyz(door: TheDoor) -> Response:
    """Whether the store answers, the clones can be read, and the daemon makes its passes."""
    found = readiness(door.application)
    return answer(found, 200 if found.ready else 503)


@router.get("/heartbeat", response_model=dict[str, Any])
async def heartbeat(door: TheDoor) -> Response:
    """How the identity provider is that people are looked up at."""
    breaker = door.gate.horde.breaker
    horde = {
        "degraded": breaker.is_open,
        "consecutive_failures": breaker.failures,
        "seconds_until_retry": round(breaker.seconds_until_retry, 1),
    }
    return answer({"status": "ok", "ai_horde": horde})


@router.get("/replicate_mode", response_model=dict[str, Any] | str)
async def replicate_mode(door: TheDoor) -> Response:
    """That changes may be proposed here, and the format that they are written in."""
    found = mode(door.application)
    return answer(found.replicate_mode if door.application.config.serve.replicate_mode == "string" else found)
