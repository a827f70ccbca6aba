"""The stylesheets, scripts and pictures of the page: its own, htmx and Pico, none from elsewhere."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter, Request, Response

from refsync.http.answers import Content, conditional
from refsync.http.failures import DoorError
from refsync.http.page.screens import FOLDER

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

router = APIRouter(include_in_schema=False)


@router.get("/static/{name}")
def static_file(request: Request, name: str) -> Response:
    """One of them."""
    found = _files().get(name)
    if found is None:
        raise DoorError(404, "there is no such file")
    content, kind = found
    response = conditional(request, content, kind)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@cache
def _files() -> dict[str, tuple[Content, str]]:
    folder = FOLDER / "static"
    return {
        path.name: (Content(path.read_bytes()), _TYPES[path.suffix])
        for path in folder.iterdir()
        if path.suffix in _TYPES
    }
