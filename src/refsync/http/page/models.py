"""Models: found by name; each with its record, who gave every field its value, and its history."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from refsync.errors import RequestError
from refsync.http.page.screens import screen
from refsync.http.page.visitor import PageRoute, TheVisitor, Visitor
from refsync.use_cases.drafting import MOST_NAMES
from refsync.use_cases.questions.models import LINKS, NAMES, SHOW, STORY

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/models")
def models_screen(request: Request, visitor: TheVisitor, category: str = "", model: str = "") -> Response:
    """Those whose names hold a text; a category's first ones without any."""
    names = visitor.ask(NAMES, category=category, text=model).root if category else []
    return screen(
        request,
        "models.html",
        visitor,
        categories=visitor.categories,
        category=category,
        model=model,
        names=names,
        most=MOST_NAMES,
    )


@router.get("/model")
def model_screen(request: Request, visitor: TheVisitor, category: str, model: str, told: str = "") -> Response:
    """One model: its record at once, and where it is ``told`` or gone its history, which takes long to read."""
    asked = {"category": category, "model": model}
    record = _record(visitor, asked)
    story = visitor.ask(STORY, **asked) if told or record is None else None
    return screen(
        request,
        "model.html",
        visitor,
        category=category,
        model=model,
        record=record,
        links=visitor.ask(LINKS, **asked).root if record is not None else [],
        fields=story and story.fields,
        history=story and story.history[::-1],
    )


def _record(visitor: Visitor, asked: dict[str, str]) -> dict[str, Any] | None:
    """The record that is there now, if there is one."""
    try:
        return visitor.ask(SHOW, **asked).root
    except RequestError:
        return None
