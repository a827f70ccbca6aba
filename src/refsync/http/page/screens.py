"""Screens made of templates, and the headers that keep a browser to what is ours."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from refsync.http.answers import PRIVATE
from refsync.http.page import cookies, shown

if TYPE_CHECKING:
    from refsync.http.failures import Failure
    from refsync.http.page.visitor import Visitor

FOLDER = Path(__file__).parent
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": PRIVATE,
}


def screen(
    request: Request,
    template: str,
    visitor: Visitor | None = None,
    *,
    refused: Failure | None = None,
    **given: Any,
) -> Response:
    """A screen.

    Args:
        request: what asks for it.
        template: its file.
        visitor: who looks, where that is known.
        refused: why what was asked was not done: its line leads the screen, and its status is the answer's.
        given: what the template shows.
    """
    response = Response(status_code=refused.status if refused else 200, headers=HEADERS, media_type="text/html")
    for name, value in refused.headers.items() if refused else ():
        response.headers[name] = value
    given |= {"visitor": visitor, "refused": refused, "here": here(request)}
    told = cookies.told(request, response, request.app.state.page.seal)
    text = templates().get_template(template).render(given, told=told)
    response.body = text.encode("utf-8", "backslashreplace")
    response.headers["Content-Length"] = str(len(response.body))
    return response


def fragment(template: str, **given: Any) -> Response:
    """A part of a screen, for one that is there."""
    text = templates().get_template(template).render(**given)
    return Response(text.encode("utf-8", "backslashreplace"), 200, HEADERS, "text/html")


def here(request: Request) -> str:
    """The path and the words of what is asked for, as they were sent."""
    path, words = (request.scope[part].decode("latin-1") for part in ("raw_path", "query_string"))
    return f"{path}?{words}" if words else path


@cache
def templates() -> Environment:
    """The templates: whatever they show is escaped, and something that is not there is a bug."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown.shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"json": shown.json_text, "moment": shown.moment, "paragraph": shown.paragraph}
    made.tests |= {"web": shown.is_web}
    made.globals |= {"address": shown.address, "version": version("refsync")}
    return made
