"""Our own routes under ``/api``: a question each, answered by the document that the command line prints as JSON."""

from __future__ import annotations

from typing import Any, get_origin

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from refsync.http.answers import document
from refsync.http.bodies import body_faults, json_in
from refsync.http.door import TheDoor
from refsync.http.failures import InvalidBodyError
from refsync.http.identity.callers import Person
from refsync.http.persons import ask_for
from refsync.use_cases.questions import batches, changes, models, state
from refsync.use_cases.questions.question import Arguments, Question

QUESTIONS: tuple[Question[Any, Any], ...] = (
    *changes.QUESTIONS,
    *batches.QUESTIONS,
    *models.QUESTIONS,
    *state.QUESTIONS,
)


def api_router() -> APIRouter:
    """A route for each question."""
    router = APIRouter(tags=["api"])
    for question in QUESTIONS:
        router.add_api_route(
            question.path,
            _endpoint(question),
            methods=[question.method],
            response_model=question.answer,
            name=question.name,
            openapi_extra=_documented(question),
        )
    return router


def _endpoint(question: Question[Any, Any]) -> Any:
    who = Depends(ask_for(question.who))

    async def answer_question(request: Request, door: TheDoor, person: Person = who) -> Response:
        asked = await _arguments(question, request)
        return document(await run_in_threadpool(question.call, door.application, asked, person.actor))

    answer_question.__doc__ = question.arguments.__doc__
    return answer_question


async def _arguments(question: Question[Any, Any], request: Request) -> Any:
    """Those of the path win over those of the query or the body."""
    given: Any = _query(question.arguments, request)
    if question.method == "POST":
        given = await json_in(request, empty={})
    return arguments_of(question, {**given, **request.path_params} if isinstance(given, dict) else given)


def arguments_of(question: Question[Any, Any], given: Any) -> Any:
    """The arguments of a question.

    Raises:
        InvalidBodyError: they are none.
    """
    try:
        return question.arguments.model_validate(given)
    except ValidationError as problem:
        raise InvalidBodyError(body_faults(problem, "body" if question.method == "POST" else "query")) from None


def _query(arguments: type[Arguments], request: Request) -> dict[str, Any]:
    given = request.query_params
    known = arguments.model_fields
    lists = {name for name, field in known.items() if get_origin(field.annotation) is list}
    return {name: given.getlist(name) if name in lists else given[name] for name in given}


def _documented(question: Question[Any, Any]) -> dict[str, Any]:
    """What the arguments are, each where it is given."""
    schema = question.arguments.model_json_schema()
    in_path = {name for name in schema.get("properties", {}) if f"{{{name}" in question.path}
    placed = [
        {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in schema.get("required", ()),
            "schema": each,
        }
        for name, each in schema.get("properties", {}).items()
        if question.method == "GET" or name in in_path
    ]
    if question.method == "GET":
        return {"parameters": placed}
    rest = {name: each for name, each in schema.get("properties", {}).items() if name not in in_path}
    body = {"type": "object", "properties": rest, "additionalProperties": False}
    body["required"] = [name for name in schema.get("required", ()) if name in rest]
    return {"parameters": placed, "requestBody": {"content": {"application/json": {"schema": body}}}}
