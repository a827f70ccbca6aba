"""How everything stands: the daemon, the repositories, what is held and why."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from refsync.http.page.screens import screen
from refsync.http.page.visitor import PageRoute, TheVisitor
from refsync.use_cases.questions.state import STATUS

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/status")
def status_screen(request: Request, visitor: TheVisitor) -> Response:
    """All of it."""
    return screen(request, "status.html", visitor, status=visitor.ask(STATUS))
