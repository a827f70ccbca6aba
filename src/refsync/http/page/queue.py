"""The queue: what waits, by category, status and person; several are approved or rejected at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Request, Response

from refsync.errors import RequestError
from refsync.http.failures import Failure
from refsync.http.page.forms import NOTHING_TYPED, Form
from refsync.http.page.screens import screen
from refsync.http.page.shown import address
from refsync.http.page.visitor import PageRoute, TheForm, TheVisitor, Visitor, done
from refsync.pending_queue.models import PendingChangeStatus
from refsync.use_cases.questions.changes import PURGE
from refsync.use_cases.questions.listing import LIST

PAGE = 50
ANY = "any"

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True)
class Wanted:
    """Which changes; what is empty restricts nothing, but without a word on their status those that wait are meant."""

    status: str = PendingChangeStatus.PENDING.value
    category: str = ""
    person: str = ""
    model: str = ""
    batch: str = ""
    offset: str = ""

    @classmethod
    def of(cls, words: Mapping[str, str]) -> Self:
        """As the words of a screen's address have it."""
        given = {name: words[name].strip() for name in cls.__dataclass_fields__ if name in words}
        return cls(**given | {"status": given.get("status", cls.status) or ANY})

    @classmethod
    def at(cls, address: str) -> Self:
        """As the address of a screen has it."""
        return cls.of(dict(parse_qsl(urlsplit(address).query, keep_blank_values=True)))

    def filter(self) -> dict[str, object]:
        """As the queue is asked.

        Raises:
            RequestError: the batch is no number.
        """
        return {
            "statuses": [] if self.status == ANY else [self.status],
            "categories": [self.category] if self.category else [],
            "requested_by": [self.person] if self.person else [],
            "model_name": self.model or None,
            "batch_id": _number("batch", self.batch) if self.batch else None,
        }

    def address(self, offset: int | None = None) -> str:
        """The screen of these, or of another part of them."""
        at = self if offset is None else replace(self, offset=str(offset))
        return address("/", **asdict(at))


@router.get("/")
def queue_screen(request: Request, visitor: TheVisitor) -> Response:
    """What waits, the oldest first."""
    return show_queue(request, visitor, Wanted.of(request.query_params))


@router.post("/purge")
def purge(request: Request, visitor: TheVisitor, form: TheForm) -> Response:
    """Remove what a filter hits, for good."""
    wanted = Wanted.at(form.text("to"))
    if not form.text("sure"):
        raise RequestError("nothing was removed: tick that you mean it")
    hits = wanted.filter()
    everything = not any(hits.values())
    removed = visitor.ask(PURGE, **hits, everything=everything).root
    return done(request, wanted.address(), f"{len(removed)} removed for good")


def show_queue(
    request: Request,
    visitor: Visitor,
    wanted: Wanted,
    *,
    refused: Failure | None = None,
    form: Form = NOTHING_TYPED,
    chosen: Collection[int] = (),
) -> Response:
    """The screen; after a refusal with what was typed and chosen."""
    offset = _number("offset", wanted.offset or "0")
    page = visitor.ask(LIST, **wanted.filter(), offset=offset, limit=PAGE)
    return screen(
        request,
        "queue.html",
        visitor,
        refused=refused,
        page=page,
        wanted=wanted,
        statuses=[*PendingChangeStatus],
        categories=visitor.categories,
        chosen=chosen,
        title=form.text("title"),
        reason=form.text("reason"),
    )


def _number(what: str, word: str) -> int:
    if not (word.isascii() and word.isdecimal() and len(word) < 19):
        raise RequestError(f"{what}: expected a number")
    return int(word)
