"""What becomes of failures: a status and one line, in the shape that the ecosystem reads."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from loguru import logger
from starlette.exceptions import HTTPException

from refsync.errors import (
    BatchNotFoundError,
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
_NOT_FOUND = (UnknownCategoryError, ModelNotFoundError, ChangeNotFoundError, BatchNotFoundError)
_INVALID = (PayloadError, ModelNameError)


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


def fault(where: list[int | str], what: str, type_: str, place: str = "body") -> dict[str, Any]:
    """One fault of a body, or of another part of a request."""
    return {"loc": [place, *where], "msg": shortened(what), "type": type_}


def refusal(status: int, text: str | list[dict[str, Any]], headers: dict[str, str] | None = None) -> Response:
    """A failure as an answer."""
    detail = one_line(text) if isinstance(text, str) else text
    kept_by_nobody = {"Cache-Control": PRIVATE, **(headers or {})}
    return Response(json_body({"detail": detail}), status, kept_by_nobody, JSON)


def handle_failures(app: FastAPI) -> None:
    """Have every failure answered here."""
    app.add_exception_handler(DoorError, _door)  # type: ignore[arg-type]
    app.add_exception_handler(InvalidBodyError, _body)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _parameters)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http)  # type: ignore[arg-type]
    app.add_exception_handler(RefsyncError, _refsync)  # type: ignore[arg-type]
    app.add_exception_handler(OSError, _system)  # type: ignore[arg-type]


async def _door(request: Request, problem: DoorError) -> Response:
    return refusal(problem.status, problem.text, problem.headers)


async def _body(request: Request, problem: InvalidBodyError) -> Response:
    return refusal(422, problem.faults)


async def _parameters(request: Request, problem: RequestValidationError) -> Response:
    faults = [{"loc": list(each["loc"]), "msg": each["msg"], "type": each["type"]} for each in problem.errors()]
    return refusal(422, faults)


async def _http(request: Request, problem: HTTPException) -> Response:
    return refusal(problem.status_code, str(problem.detail), dict(problem.headers or {}))


async def _refsync(request: Request, problem: RefsyncError) -> Response:
    if isinstance(problem, _NOT_FOUND):
        return refusal(404, str(problem))
    if isinstance(problem, NotAllowedError):
        return refusal(403, str(problem))
    if isinstance(problem, ModelExistsError):
        return refusal(409, str(problem))
    if isinstance(problem, _INVALID):
        return refusal(422, [fault([], str(problem), "value_error")])
    if isinstance(problem, RequestError):
        return refusal(400, str(problem))
    return _unavailable(request, problem)


async def _system(request: Request, problem: OSError) -> Response:
    return _unavailable(request, problem)


def _unavailable(request: Request, problem: RefsyncError | OSError) -> Response:
    """What the machine, the store or a clone cannot do now is no fault of who asked."""
    logger.warning("{} {}: {}", request.method, request.url.path, told(problem))
    return refusal(503, told(problem), {"Retry-After": str(RETRY_SECONDS)})
