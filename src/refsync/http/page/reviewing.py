"""Changes approved, rejected, withdrawn: from the queue several at once, from its own screen one."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response

from refsync.errors import RequestError
from refsync.http.failures import FAILURES, Failure, failure_of
from refsync.http.page.change import show_change
from refsync.http.page.forms import Form
from refsync.http.page.queue import Wanted, show_queue
from refsync.http.page.visitor import PageRoute, TheForm, TheVisitor, Visitor, done, refused_screen
from refsync.ranges import render_ranges
from refsync.use_cases.questions.changes import APPROVE, REJECT, WITHDRAW

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.post("/review/approve")
def approve(request: Request, visitor: TheVisitor, form: TheForm) -> Response:
    """Approve into the open batch."""

    def move() -> str:
        result = visitor.ask(APPROVE, change_ids=_chosen(form), title=form.text("title"))
        ids = render_ranges(change.change_id for change in result.approved)
        return f"approved {ids} into batch {result.batch_id}: {result.batch_title}"

    return _reviewed(request, visitor, form, move)


@router.post("/review/reject")
def reject(request: Request, visitor: TheVisitor, form: TheForm) -> Response:
    """Reject, with the reason that the proposer reads."""

    def move() -> str:
        result = visitor.ask(REJECT, change_ids=_chosen(form), reason=form.text("reason"))
        return f"rejected {render_ranges(change.change_id for change in result.rejected)}"

    return _reviewed(request, visitor, form, move)


@router.post("/review/withdraw")
def withdraw(request: Request, visitor: TheVisitor, form: TheForm) -> Response:
    """Take approvals back."""

    def move() -> str:
        changes = visitor.ask(WITHDRAW, change_ids=_chosen(form)).root
        return f"{render_ranges(change.change_id for change in changes)}: pending again"

    return _reviewed(request, visitor, form, move)


def _chosen(form: Form) -> list[int]:
    if ids := form.numbers("id"):
        return ids
    raise RequestError("no change is selected: tick those that you mean")


def _reviewed(request: Request, visitor: Visitor, form: Form, move: Callable[[], str]) -> Response:
    """Back where it was asked from: told what was done, or there why not, with all that was typed."""
    try:
        return done(request, form.text("to"), move())
    except FAILURES as problem:
        return _again(request, visitor, form, failure_of(request, problem))


def _again(request: Request, visitor: Visitor, form: Form, refused: Failure) -> Response:
    path = urlsplit(form.text("to")).path
    if found := re.fullmatch(r"/changes/([0-9]{1,18})", path):
        return show_change(request, visitor, int(found[1]), refused=refused, form=form)
    if path != "/":
        return refused_screen(request, refused)
    wanted = Wanted.at(form.text("to"))
    return show_queue(request, visitor, wanted, refused=refused, form=form, chosen=form.numbers("id"))
