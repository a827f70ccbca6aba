"""What somebody who was recognised may do. An empty list means nobody; approvers are requestors."""

from __future__ import annotations

from dataclasses import dataclass

from refsync.http.identity.callers import Person
from refsync.http.identity.gate import Gate


@dataclass(frozen=True)
class Roles:
    """What they are."""

    is_requestor: bool
    is_approver: bool

    @property
    def names(self) -> list[str]:
        """The roles by name, as the ecosystem lists them."""
        return ["approver"] * self.is_approver + ["requestor"] * self.is_requestor


def roles_of(gate: Gate, person: Person) -> Roles:
    """The one place that says so."""
    found = gate.tokens.roles(person.id) if person.provider == gate.tokens.name else set()
    is_approver = "approver" in found
    return Roles(is_approver or "requestor" in found, is_approver)
