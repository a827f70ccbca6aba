"""Who has to be behind a request: somebody known, a requestor, an approver. Routes name one of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import APIKeyHeader

from refsync.http.answers import answer
from refsync.http.door import Door, TheDoor
from refsync.http.failures import DoorError
from refsync.http.identity.callers import Person
from refsync.http.identity.gate import caller_of
from refsync.http.identity.roles import roles_of
from refsync.use_cases.answer import Answer
from refsync.use_cases.questions.question import Who

_KEY = APIKeyHeader(name="apikey", auto_error=False, description="A token, or a key of a provider of the config.")

router = APIRouter(prefix="/model_references/v2/me", tags=["who you are"])


async def _anybody_known(request: Request, door: TheDoor, _: Annotated[str | None, Depends(_KEY)]) -> Person:
    return await door.gate.identify(caller_of(request))


Known = Annotated[Person, Depends(_anybody_known)]


def check_role(door: Door, person: Person, who: Who) -> None:
    """See that somebody may ask what is for these.

    Raises:
        DoorError: they may not.
    """
    roles = roles_of(door.application.people, person)
    if who is Who.requestor and not roles.is_requestor:
        raise DoorError(403, f"{person.username} may not submit changes")
    if who is Who.approver and not roles.is_approver:
        raise DoorError(403, f"{person.username} may not review changes")


def _requestor(door: TheDoor, person: Known) -> Person:
    check_role(door, person, Who.requestor)
    return person


def _approver(door: TheDoor, person: Known) -> Person:
    check_role(door, person, Who.approver)
    return person


Requestor = Annotated[Person, Depends(_requestor)]
Approver = Annotated[Person, Depends(_approver)]


def ask_for(who: Who) -> Callable[..., Any]:
    """What a route depends on that is for these."""
    asked: dict[Who, Callable[..., Any]] = {
        Who.known: _anybody_known,
        Who.requestor: _requestor,
        Who.approver: _approver,
    }
    return asked[who]


class MyRoles(Answer):
    """Who one is here, and what one may do."""

    user_id: str
    username: str
    roles: list[str]
    is_approver: bool
    is_requestor: bool


@router.get("/roles", response_model=MyRoles)
def my_roles(door: TheDoor, person: Known) -> Response:
    """Who the key is, and what they may do."""
    found = roles_of(door.application.people, person)
    return answer(
        MyRoles(
            user_id=person.id,
            username=person.username,
            roles=found.names,
            is_approver=found.is_approver,
            is_requestor=found.is_requestor,
        )
    )
