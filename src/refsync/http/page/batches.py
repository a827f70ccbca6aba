"""Batches: open, held, under review in git, landed; and the button that each of them wants."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from refsync.http.failures import Failure
from refsync.http.page.screens import screen
from refsync.http.page.visitor import PageRoute, TheForm, TheVisitor, done
from refsync.pending_queue.models import BatchState
from refsync.ranges import render_ranges
from refsync.use_cases.questions.batches import ABANDON, LIST, RETRY, REVERT, SEAL, SHOW

ENDED = (BatchState.landed, BatchState.abandoned)
PAGE = 20

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/batches")
def batches_screen(request: Request, visitor: TheVisitor, before: int | None = None) -> Response:
    """Those that have not ended, and the newest that have; ``before`` a number for older ones."""
    batches = visitor.ask(LIST).root[::-1]
    ended = [batch for batch in batches if batch.state in ENDED and (before is None or batch.number < before)]
    return screen(
        request,
        "batches.html",
        visitor,
        under_way=[batch for batch in batches if batch.state not in ENDED],
        ended=ended[:PAGE],
        older=ended[PAGE - 1].number if len(ended) > PAGE else None,
        is_first=before is None,
    )


@router.get("/batches/{number}")
def batch_screen(request: Request, visitor: TheVisitor, number: int) -> Response:
    """One batch with its changes."""
    return screen(request, "batch.html", visitor, batch=visitor.ask(SHOW, number=number))


@router.post("/batches/seal")
def seal(request: Request, visitor: TheVisitor, form: TheForm) -> Response:
    """Let the open batch land, or be proposed, with the next pass."""
    sealed = visitor.ask(SEAL).root
    return done(request, "/batches", f"batch {render_ranges(batch.number for batch in sealed)} sealed")


@router.post("/batches/{number}/retry")
def retry(request: Request, visitor: TheVisitor, form: TheForm, number: int) -> Response:
    """Let a held batch be worked on again."""
    visitor.ask(RETRY, number=number, confirmed=bool(form.text("confirmed")))
    return done(request, "/batches", f"batch {number} goes on with the next pass")


@router.post("/batches/{number}/abandon")
def abandon(request: Request, visitor: TheVisitor, form: TheForm, number: int) -> Response:
    """Give a batch up; its changes are rejected."""
    visitor.ask(ABANDON, number=number, reason=form.text("reason"))
    return done(request, "/batches", f"batch {number} is abandoned")


@router.post("/batches/{number}/revert")
def revert(request: Request, visitor: TheVisitor, form: TheForm, number: int) -> Response:
    """Submit what undoes a landed batch."""
    reversal = visitor.ask(REVERT, number=number)
    if not reversal.conflicts:
        ids = render_ranges(change.change_id for change in reversal.changes)
        what = f"changes {ids} undo batch {number}, once they are approved"
        return done(request, "/", "; ".join((what, *reversal.remarks)))
    batch = visitor.ask(SHOW, number=number)
    return screen(request, "batch.html", visitor, refused=Failure(409, "; ".join(reversal.conflicts)), batch=batch)
