"""What becomes of failures: a status and one line, in the shape that the ecosystem reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from loguru import logger
from starlette.exceptions import HTTPException

from refsync.errors import (
    BatchNotFoundError,
    BrokenRulesError,
    ChangeNotFoundError,
    ModelExistsError,
    ModelNameError,
    ModelNotFoundError,
    NotAllowedError,
    PayloadError,
    RefsyncError,
    RequestError,
    UnknownCategoryError,
    told,
)
from refsync.http.answers import JSON, PRIVATE, json_body
from refsync.plain_text import one_line, shortened

RETRY_SECONDS = 5


class DoorError(Exception):
    """A refusal of the door's own, with its status."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        """Keep what is answered."""
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers or {}


class InvalidBodyError(Exception):
    """A body that does not validate; ``faults`` says for each fault where it is, what, and of which type."""

    def __init__(self, faults: list[dict[str, Any]]) -> None:
        """Keep the faults."""
        super().__init__("the body does not validate")
        self.faults = faults


FAILURES = (DoorError, InvalidBodyError, RequestValidationError, HTTPException, RefsyncError, OSError)
"""What is answered here; anything else is a bug."""


def fault(where: list[int | str], what: str, type_: str, place: str = "body") -> dict[str, Any]:
    """One fault of a body, or of another part of a request."""
    return {"loc": [place, *where], "msg": shortened(what), "type": type_}


class Failure(NamedTuple):
    """What is answered: a status, one line or the faults of a body, and headers."""

    status: int
    detail: str | list[dict[str, Any]]
    headers: Mapping[str, str] = {}

    @property
    def line(self) -> str:
        """All of it on one line, for people."""
        if isinstance(self.detail, str):
            return one_line(self.detail)
        return one_line("; ".join(": ".join(filter(None, (_place(each), each["msg"]))) for each in self.detail))


def _place(fault: dict[str, Any]) -> str:
    return ".".join(str(each) for each in fault["loc"] if each not in ("body", "query", "path"))


def refusal(status: int, text: str | list[dict[str, Any]], headers: Mapping[str, str] | None = None) -> Response:
    """A failure as an answer."""
    detail = one_line(text) if isinstance(text, str) else text
    kept_by_nobody = {"Cache-Control": PRIVATE, **(headers or {})}
    return Response(json_body({"detail": detail}), status, kept_by_nobody, JSON)


def handle_failures(app: FastAPI) -> None:
    """Have every failure answered here."""
    for kind in FAILURES:
        app.add_exception_handler(kind, _answered)


async def _answered(request: Request, problem: Exception) -> Response:
    return refusal(*failure_of(request, problem))


def failure_of(request: Request, problem: Exception) -> Failure:
    """What is answered to one of ``FAILURES``; what the machine cannot do now is logged."""
    match problem:
        case DoorError():
            return Failure(problem.status, problem.text, problem.headers)
        case InvalidBodyError():
            return Failure(422, problem.faults)
        case RequestValidationError():
            return Failure(422, [{key: each[key] for key in ("loc", "msg", "type")} for each in problem.errors()])
        case HTTPException():
            return Failure(problem.status_code, str(problem.detail), problem.headers or {})
        case UnknownCategoryError() | ModelNotFoundError() | ChangeNotFoundError() | BatchNotFoundError():
            return Failure(404, str(problem))
        case NotAllowedError():
            return Failure(403, str(problem))
        case ModelExistsError():
            return Failure(409, str(problem))
        case BrokenRulesError():
            return Failure(422, [fault(list(place), what, "broken_rule") for place, what in problem.faults])
        case PayloadError() | ModelNameError():
            return Failure(422, [fault([], str(problem), "value_error")])
        case RequestError():
            return Failure(400, str(problem))
        case RefsyncError() | OSError():
            return _unavailable(request, problem)
    raise problem


def _unavailable(request: Request, problem: RefsyncError | OSError) -> Failure:
    """What the machine, the store or a clone cannot do now is no fault of who asked."""
    logger.warning("{} {}: {}", request.method, request.scope["path"], told(problem))
    return Failure(503, told(problem), {"Retry-After": str(RETRY_SECONDS)})
