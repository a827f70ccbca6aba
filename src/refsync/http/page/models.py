"""Models: found by name; each with its record, who gave every field its value, and its history."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import APIRouter, Request, Response

from refsync.errors import RequestError
from refsync.http.failures import DoorError
from refsync.http.page.screens import screen
from refsync.http.page.visitor import PageRoute, TheVisitor
from refsync.use_cases.questions.models import BLAME, HISTORY, LINKS, NAMES

T = TypeVar("T")

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/models")
def models_screen(request: Request, visitor: TheVisitor, category: str = "", model: str = "") -> Response:
    """Those whose names hold a text; a category's first ones without any."""
    names = visitor.ask(NAMES, category=category, text=model).root if category else []
    return screen(
        request, "models.html", visitor, categories=visitor.categories, category=category, model=model, names=names
    )


@router.get("/model")
def model_screen(request: Request, visitor: TheVisitor, category: str, model: str) -> Response:
    """One model, also one that is gone."""
    asked = {"category": category, "model": model}
    history = _if_there_is_any(lambda: visitor.ask(HISTORY, **asked).root)
    if not history:
        raise DoorError(404, f"no commit ever touched {category} {model!r}")
    return screen(
        request,
        "model.html",
        visitor,
        category=category,
        model=model,
        fields=_if_there_is_any(lambda: visitor.ask(BLAME, **asked).root),
        links=_if_there_is_any(lambda: visitor.ask(LINKS, **asked).root),
        history=history[::-1],
    )


def _if_there_is_any(ask: Callable[[], list[T]]) -> list[T]:
    """What the history has; nothing where there is no such model."""
    try:
        return ask()
    except RequestError:
        return []
