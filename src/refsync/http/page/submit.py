"""Changes asked for: a record edited and checked as one types, a model removed or renamed, or many lines at once."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from refsync.http.failures import FAILURES, Failure, failure_of
from refsync.http.page.forms import NOTHING_TYPED, Form
from refsync.http.page.screens import fragment, screen
from refsync.http.page.shown import json_text
from refsync.http.page.visitor import PageRoute, TheForm, TheVisitor, Visitor, done
from refsync.pending_queue.models import PendingChangeRecord
from refsync.pending_queue.payloads import parse_payload
from refsync.ranges import render_ranges
from refsync.use_cases.questions.changes import EXAMINE, RENAME, SUBMIT, SUBMIT_LINES
from refsync.use_cases.questions.models import DRAFT, NAMES

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/submit")
def submit_screen(request: Request, visitor: TheVisitor, category: str = "", model: str = "") -> Response:
    """Choose a model, or edit the record that it begins with."""
    if not (category and model):
        return _screen(request, visitor, category, model)
    draft = visitor.ask(DRAFT, category=category, model=model)
    return _screen(request, visitor, category, model, draft=draft, record=json_text(draft.record))


@router.get("/submit/names")
def names(visitor: TheVisitor, category: str = "", model: str = "") -> Response:
    """What completes a name."""
    found = visitor.ask(NAMES, category=category, text=model).root if category else []
    return fragment("names.html", names=found)


@router.post("/submit/check")
def check(request: Request, visitor: TheVisitor, form: TheForm) -> Response:
    """What would become of the record as it is typed now."""
    try:
        change = visitor.ask(EXAMINE, **_asked(form))
    except FAILURES as problem:
        return fragment("verdict.html", problem=failure_of(request, problem).line, change=None)
    return fragment("verdict.html", problem=None, change=change)


@router.post("/submit")
def submit(request: Request, visitor: TheVisitor, form: TheForm) -> Response:
    """Submit it; what is refused stays in the editor."""
    try:
        return _submitted(request, [visitor.ask(SUBMIT, **_asked(form))])
    except FAILURES as problem:
        return _again(request, visitor, form, failure_of(request, problem))


@router.post("/submit/rename")
def rename(request: Request, visitor: TheVisitor, form: TheForm) -> Response:
    """Submit a model's new name: two changes that land together."""
    words = {name: form.text(name) for name in ("category", "old", "new")}
    return _submitted(request, visitor.ask(RENAME, **words, notes=form.text("notes") or None).root)


@router.post("/submit/lines")
def submit_lines(request: Request, visitor: TheVisitor, form: TheForm) -> Response:
    """Submit many, one JSON object a line; all or none."""
    try:
        return _submitted(request, visitor.ask(SUBMIT_LINES, lines=form.text("lines")).root)
    except FAILURES as problem:
        refused = failure_of(request, problem)
        return _screen(request, visitor, "", "", refused=refused, lines=form.text("lines"))


def _asked(form: Form) -> dict[str, Any]:
    """The change that a form asks for; raises PayloadError where the record is none."""
    operation = form.text("operation")
    words = {name: form.text(name) or None for name in ("notes", "after", "before")}
    record = None if operation == "delete" else parse_payload(form.text("record").encode("utf-8", "surrogatepass"))
    return {
        "operation": operation,
        "category": form.text("category"),
        "model_name": form.text("model"),
        "payload": record,
        **words,
    }


def _again(request: Request, visitor: Visitor, form: Form, refused: Failure) -> Response:
    """The editor with all that was typed."""
    category, model = form.text("category"), form.text("model")
    try:
        draft = visitor.ask(DRAFT, category=category, model=model)
    except FAILURES:
        return _screen(request, visitor, category, model, refused=refused)
    record = form.text("record")
    return _screen(request, visitor, category, model, draft=draft, record=record, form=form, refused=refused)


def _screen(
    request: Request,
    visitor: Visitor,
    category: str,
    model: str,
    *,
    draft: Any = None,
    record: str = "",
    lines: str = "",
    form: Form = NOTHING_TYPED,
    refused: Failure | None = None,
) -> Response:
    return screen(
        request,
        "submit.html",
        visitor,
        refused=refused,
        categories=visitor.categories,
        category=category,
        model=model,
        draft=draft,
        record=record,
        lines=lines,
        typed={name: form.text(name) for name in ("notes", "after", "before")},
    )


def _submitted(request: Request, changes: list[PendingChangeRecord]) -> Response:
    """On to the change, or to all that wait."""
    ids = render_ranges(change.change_id for change in changes)
    to = f"/changes/{changes[0].change_id}" if len(changes) == 1 else "/"
    return done(request, to, f"submitted {ids}: waiting for review")
