"""One change: field by field, the lines of its file, and what was done to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import APIRouter, Request, Response

from refsync.errors import RefsyncError, told
from refsync.http.failures import Failure
from refsync.http.page.forms import NOTHING_TYPED, Form
from refsync.http.page.screens import screen
from refsync.http.page.shown import diff_lines
from refsync.http.page.visitor import PageRoute, TheVisitor, Visitor
from refsync.pending_queue.lifecycle import OPEN_STATUSES
from refsync.pending_queue.models import BatchState, PendingChangeRecord, PendingChangeStatus
from refsync.use_cases.questions import batches
from refsync.use_cases.questions.changes import FIELDS, LINES, SHOW

router = APIRouter(route_class=PageRoute, include_in_schema=False)
T = TypeVar("T")


@router.get("/changes/{change_id}")
def change_screen(request: Request, visitor: TheVisitor, change_id: int) -> Response:
    """One change with all that a reviewer has to know."""
    return show_change(request, visitor, change_id)


def show_change(
    request: Request, visitor: Visitor, change_id: int, *, refused: Failure | None = None, form: Form = NOTHING_TYPED
) -> Response:
    """The screen; after a refusal with what was typed. What a clone cannot tell now is said in its place."""
    change = visitor.ask(SHOW, change_id=change_id)
    fields, no_fields = _as_far_as_it_goes(lambda: visitor.ask(FIELDS, change_id=change_id))
    lines, no_lines = _as_far_as_it_goes(lambda: visitor.ask(LINES, change_id=change_id))
    return screen(
        request,
        "change.html",
        visitor,
        refused=refused,
        change=change,
        is_open=change.status in OPEN_STATUSES,
        may_withdraw=_may_be_withdrawn(visitor, change),
        fields=fields,
        no_fields=no_fields,
        lines=lines,
        no_lines=no_lines,
        diff=diff_lines(lines.diff) if lines else None,
        title=form.text("title"),
        reason=form.text("reason"),
    )


def _may_be_withdrawn(visitor: Visitor, change: PendingChangeRecord) -> bool:
    """Whether its batch is open still; only of an approved change is the batch, with all its changes, asked for."""
    if change.status is not PendingChangeStatus.APPROVED or change.batch_id is None:
        return False
    return visitor.ask(batches.SHOW, number=change.batch_id).state is BatchState.open


def _as_far_as_it_goes(ask: Callable[[], T]) -> tuple[T | None, str | None]:
    """An answer, or why there is none."""
    try:
        return ask(), None
    except (RefsyncError, OSError) as problem:
        return None, told(problem)
