"""Bodies: read to their end in time and size, parsed as strictly as the queue parses, and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError

from refsync.errors import PayloadError
from refsync.http.failures import DoorError, InvalidBodyError, fault
from refsync.pending_queue.payloads import MAX_PAYLOAD_BYTES, parse_json

BODY_SECONDS = 20.0
"""How long a body may take to arrive."""

_Asked = TypeVar("_Asked", bound=BaseModel)


class Asked(BaseModel):
    """What a body asks for; nothing that nobody knows."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


async def record_in(request: Request) -> dict[str, Any]:
    """The body as a record: a JSON object, its numbers with the text that was written for them.

    Raises:
        InvalidBodyError: it is none.
        DoorError: it is too large, or too slow.
    """
    given = await json_in(request)
    if not isinstance(given, dict):
        raise InvalidBodyError([fault([], "must be a JSON object", "dict_type")])
    return given


def body_as(model: type[_Asked]) -> Callable[[Request], Awaitable[_Asked]]:
    """What reads a body as this model, for a route to depend on; an absent one is an empty object."""

    async def read(request: Request) -> _Asked:
        given = await json_in(request, empty={})
        try:
            return model.model_validate(given)
        except ValidationError as problem:
            raise InvalidBodyError(body_faults(problem)) from None

    return read


def documented(model: type[BaseModel] | None = None) -> dict[str, Any]:
    """What OpenAPI tells of a body that a route reads by itself; without a model a record."""
    record: dict[str, Any] = {"type": "object", "additionalProperties": True}
    schema = record if model is None else model.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def body_faults(problem: ValidationError, place: str = "body") -> list[dict[str, Any]]:
    """What does not validate in a body, or another part of a request."""
    faults = problem.errors(include_url=False, include_context=False, include_input=False)
    return [fault(list(each["loc"]), each["msg"], each["type"], place) for each in faults]


async def json_in(request: Request, empty: Any = None) -> Any:
    """The body as any JSON, or ``empty`` where there is none.

    Raises:
        InvalidBodyError: it is no JSON.
        DoorError: it is too large, or too slow.
    """
    content = await bytes_of(request, MAX_PAYLOAD_BYTES)
    if not content and empty is not None:
        return empty
    try:
        return parse_json(content, what="body")
    except PayloadError as problem:
        raise InvalidBodyError([fault([], str(problem), "json_invalid")]) from None


async def bytes_of(request: Request, most: int) -> bytes:
    """The body, of ``most`` bytes.

    Raises:
        DoorError: it is too large, or too slow.
    """
    content = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                content += part
                if len(content) > most:
                    raise DoorError(413, f"the body is larger than {most} bytes", {"Connection": "close"})
    except TimeoutError:
        raise DoorError(408, f"the body did not arrive within {BODY_SECONDS:g} seconds") from None
    return bytes(content)
