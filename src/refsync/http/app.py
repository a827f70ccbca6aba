"""The routes put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from refsync.application import Application
from refsync.http import health, metrics, persons, submissions
from refsync.http.api import api_router
from refsync.http.applying import applying_router
from refsync.http.audit import audit_router
from refsync.http.door import Door
from refsync.http.failures import handle_failures
from refsync.http.guard import Guard
from refsync.http.identity.gate import Gate
from refsync.http.page.routes import page_router
from refsync.http.page.visitor import Page
from refsync.http.queue import queue_router
from refsync.http.records import LEGACY, V2, records_router

LONGEST_SECONDS = 60.0
"""How long an answer may take; one that waits for a batch to land takes as long as the config says on top."""


def create_app(application: Application, gate: Gate | None = None) -> FastAPI:
    """The door of an installation, which the caller opened and closes.

    Args:
        application: the parts.
        gate: recognises who asks; by default by the providers of the config.
    """
    app = FastAPI(
        title="refsync",
        version=version("refsync"),
        description="A model reference: read, proposed, reviewed.",
        docs_url=None,  # pages that load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_watching,
    )
    door = app.state.door = Door(application, gate or Gate(application.config.serve))
    handle_failures(app)
    longest = LONGEST_SECONDS + application.config.serve.apply_seconds
    app.add_middleware(Guard, seconds=longest, answered=door.answered)
    if origins := application.config.serve.origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["apikey", "content-type"]
        )
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(persons.router)
    for prefix in ("/model_references/v1/pending_queue", "/model_references/v2/pending_queue"):
        for routes in (queue_router, applying_router, audit_router):
            app.include_router(routes(prefix))
    app.include_router(submissions.router)
    app.include_router(api_router())
    app.include_router(records_router("v1", LEGACY))
    app.include_router(records_router("v2", V2))
    app.state.page = Page()
    app.include_router(page_router())
    return app


@asynccontextmanager
async def _watching(app: FastAPI) -> AsyncIterator[None]:
    """Keep what is read true by file events for as long as the door is open."""
    application: Application = app.state.door.application
    settings = application.config.watch
    async with AsyncExitStack() as stack:
        for backend in application.backends.values():
            watcher = backend.watch(mode=settings.mode, rescan_seconds=settings.rescan_seconds)
            stack.callback(watcher.stop)
        stack.push_async_callback(app.state.door.gate.close)
        yield
