"""Log in by a token, or a key of another provider; and out."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from refsync.http.door import TheDoor
from refsync.http.failures import DoorError, failure_of
from refsync.http.identity.gate import caller_of
from refsync.http.page import cookies
from refsync.http.page.forms import form_in
from refsync.http.page.screens import HEADERS, screen
from refsync.http.page.sessions import new_id
from refsync.http.page.shown import local
from refsync.http.page.visitor import Page, PageRoute, TheForm, ThePage, TheVisitor, check_token

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/login")
async def login_screen(request: Request, page: ThePage, to: str = "/") -> Response:
    """The form; its token is bound to an id that nobody has logged in by yet."""
    return _screen(request, page, to)


@router.post("/login")
async def log_in(request: Request, door: TheDoor, page: ThePage) -> Response:
    """Begin a session, under a new id."""
    form = await form_in(request)
    to, key = local(form.text("to")), form.text("key").strip()
    visitor = request.cookies.get(cookies.LOGIN)
    try:
        if not visitor:
            raise DoorError(400, "the browser sent no cookie: allow them, and use https beyond this machine")
        check_token(form, page.seal.of("login", visitor))
        if not key:
            raise DoorError(401, "type your token")
        await door.gate.identify(replace(caller_of(request), key=key))
    except DoorError as problem:
        return _screen(request, page, to, problem)
    response = RedirectResponse(to, 303, HEADERS)
    cookies.set_session(request, response, page.sessions.begin(key))
    return response


@router.post("/logout")
async def log_out(request: Request, page: ThePage, visitor: TheVisitor, form: TheForm) -> Response:
    """End the session."""
    page.sessions.end(request.cookies.get(cookies.SESSION, ""))
    response = RedirectResponse("/login", 303, HEADERS)
    cookies.end_session(request, response)
    return response


def _screen(request: Request, page: Page, to: str, problem: DoorError | None = None) -> Response:
    visitor = request.cookies.get(cookies.LOGIN) or new_id()
    refused = failure_of(request, problem) if problem else None
    response = screen(request, "login.html", refused=refused, to=local(to), token=page.seal.of("login", visitor))
    cookies.set_login(request, response, visitor)
    return response
