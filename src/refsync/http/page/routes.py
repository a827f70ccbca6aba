"""The screens put together."""

from __future__ import annotations

from fastapi import APIRouter

from refsync.http.page import batches, change, login, models, queue, reviewing, static_files, status, submit

SCREENS = (static_files, login, queue, reviewing, change, submit, batches, models, status)


def page_router() -> APIRouter:
    """All of them, none of which is for programs."""
    router = APIRouter()
    for each in SCREENS:
        router.include_router(each.router)
    return router
