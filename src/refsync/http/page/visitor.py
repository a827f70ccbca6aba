"""Who looks: by the session of a log-in, or let in by the Unix socket's proxy or the kernel; and what they ask."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel

from refsync.categories import CanonicalFormat, CategoryName
from refsync.http.api import arguments_of
from refsync.http.door import Door, TheDoor
from refsync.http.failures import FAILURES, DoorError, Failure, failure_of
from refsync.http.identity.callers import Person
from refsync.http.identity.gate import caller_of
from refsync.http.identity.roles import Roles, roles_of
from refsync.http.page import cookies
from refsync.http.page.forms import Form, form_in
from refsync.http.page.screens import HEADERS, fragment, here, screen
from refsync.http.page.sessions import Seal, Sessions
from refsync.http.page.shown import address, local
from refsync.http.persons import check_role
from refsync.use_cases.questions.question import Arguments, Question
from refsync.use_cases.reading import held_categories

A = TypeVar("A", bound=Arguments)
R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True)
class Page:
    """What the page keeps between requests; one per process."""

    sessions: Sessions = field(default_factory=Sessions)
    seal: Seal = field(default_factory=Seal)


@dataclass(frozen=True)
class Visitor:
    """Somebody known who looks at the page; ``token`` goes into each form, so that no other page sends it for them."""

    door: Door
    person: Person
    token: str
    has_session: bool

    @property
    def roles(self) -> Roles:
        """What they may do."""
        return roles_of(self.door.application.people, self.person)

    @property
    def categories(self) -> list[CategoryName]:
        """The categories that there are here."""
        return held_categories(self.door.application, CanonicalFormat.v2)

    def ask(self, question: Question[A, R], **given: Any) -> R:
        """The answer to a question.

        Raises:
            DoorError: they may not ask it.
            InvalidBodyError: its arguments are none.
            RefsyncError: it is refused.
        """
        check_role(self.door, self.person, question.who)
        return question.call(self.door.application, arguments_of(question, given), self.person.actor)


class LogInFirstError(Exception):
    """Nobody knows who looks."""


async def page_of(request: Request) -> Page:
    """What is kept between requests."""
    return cast(Page, request.app.state.page)


ThePage = Annotated[Page, Depends(page_of)]


async def _visitor(request: Request, door: TheDoor, page: ThePage) -> Visitor:
    session = request.cookies.get(cookies.SESSION, "")
    key = page.sessions.key_of(session)
    try:
        person = await door.gate.identify(replace(caller_of(request), key=key))
    except DoorError as problem:
        if problem.status != 401:
            raise
        page.sessions.end(session)
        raise LogInFirstError from None
    bound_to = f"{person.provider}:{person.id}" if key is None else session
    visitor = Visitor(door, person, page.seal.of("form", bound_to), has_session=key is not None)
    request.state.visitor = visitor
    return visitor


TheVisitor = Annotated[Visitor, Depends(_visitor)]


async def _form(request: Request, visitor: TheVisitor) -> Form:
    form = await form_in(request)
    check_token(form, visitor.token)
    return form


def check_token(form: Form, token: str) -> None:
    """See that a form is one that we gave to who sends it.

    Raises:
        DoorError: it is not.
    """
    if not hmac.compare_digest(form.text("token").encode(), token.encode()):
        raise DoorError(403, "the form is not from this page, or older than its process; load it again, and repeat it")


TheForm = Annotated[Form, Depends(_form)]


def done(request: Request, to: str, text: str) -> Response:
    """Go on to a screen, which tells what was done."""
    response = RedirectResponse(local(to), 303, HEADERS)
    cookies.tell_next(request, response, request.app.state.page.seal, text)
    return response


class PageRoute(APIRoute):
    """A route whose failures are screens, and which lets nobody in that nobody knows."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """What answers."""
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await answer(request)
            except LogInFirstError:
                return _log_in_first(request)
            except FAILURES as problem:
                return refused_screen(request, failure_of(request, problem))

        return answered


def refused_screen(request: Request, failure: Failure) -> Response:
    """A screen that has nothing but a refusal."""
    return screen(request, "refused.html", getattr(request.state, "visitor", None), refused=failure)


def _log_in_first(request: Request) -> Response:
    """To the form; of a link on another site, with which no browser sends our cookie, once more from here."""
    if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
        return fragment("arriving.html", here=here(request))
    if request.method == "GET" and "hx-request" not in request.headers:
        return RedirectResponse(address("/login", to=here(request)), 303, HEADERS)
    return refused_screen(request, Failure(401, "your session has ended; log in again"))
