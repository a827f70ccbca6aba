"""What somebody who was recognised may do. An empty list means nobody; approvers are requestors."""

from __future__ import annotations

from dataclasses import dataclass

from refsync.http.identity.callers import Person
from refsync.pending_queue.people import Identity, People, Role


@dataclass(frozen=True)
class Roles:
    """What they are; an approver may be one of some categories only, which is for the queue to see to."""

    is_requestor: bool
    is_approver: bool

    @property
    def names(self) -> list[str]:
        """The roles by name, as the ecosystem lists them."""
        return ["approver"] * self.is_approver + ["requestor"] * self.is_requestor


def roles_of(people: People, person: Person) -> Roles:
    """The one place that says so."""
    who = Identity(person.provider, person.id)
    is_approver = who in people.having(Role.approver).union(*people.category_approvers.values())
    return Roles(who in people.having(Role.requestor), is_approver)
