"""Who may do what with the queue: roles as data, and how a refusal reads. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from refsync.errors import NotAllowedError
from refsync.pending_queue.actors import REFSYNC, SYSTEM, Actor

_NAMED_AT_MOST = 8


class Role(StrEnum):
    """What somebody may be.

    >>> Role("approver") is Role.approver
    True
    """

    requestor = "requestor"
    """May submit changes."""
    approver = "approver"
    """May review changes, of all categories or of some; and submit them."""
    operator = "operator"
    """Is trusted like the service: all of that, and acting as somebody else."""


class Identity(NamedTuple):
    """One person: who vouches for them, and their id there. The system's ``ada`` and a token's ``ada`` are two.

    >>> str(Identity.parse("ada")), Identity.parse("horde:12")
    ('ada', Identity(provider='horde', id='12'))
    """

    provider: str
    id: str

    @classmethod
    def parse(cls, text: str) -> Identity:
        """``PROVIDER:ID``, or the login name of the operating system's user."""
        provider, colon, own = text.partition(":")
        return cls(provider, own) if colon else cls(SYSTEM, text)

    @classmethod
    def of(cls, actor: Actor) -> Identity:
        """Whom an actor says to be."""
        return cls(actor.provider, actor.id)

    def __str__(self) -> str:
        return self.id if self.provider == SYSTEM else f"{self.provider}:{self.id}"


def is_same_person(one: Actor, other: Actor) -> bool:
    """Whether two actors are, or may be, one person: the same identity, or the same operating system's user.

    >>> is_same_person(Actor("ada", "Ada"), Actor("ada", "Ada", provider="horde"))
    False
    >>> is_same_person(Actor("ada", "Ada", "eve"), Actor("bob", "Bob", "eve"))
    True
    """
    return Identity.of(one) == Identity.of(other) or (one.os_user is not None and one.os_user == other.os_user)


@dataclass(frozen=True)
class People:
    """Who has which role; nobody else has it.

    >>> team = People(requestors=frozenset({Identity.parse("ada")}), approvers=frozenset({Identity.parse("bob")}))
    >>> team.why_not(Actor("ada", "Ada", "ada"), Role.approver, ["clip"])
    'ada may not review changes of clip; who may: bob'
    """

    requestors: frozenset[Identity] = frozenset()
    approvers: frozenset[Identity] = frozenset()
    category_approvers: Mapping[str, frozenset[Identity]] = field(default_factory=dict)
    operators: frozenset[Identity] = frozenset()
    others: Callable[[Role], frozenset[Identity]] = lambda role: frozenset()
    """Who has a role besides, asked each time: whose token says so."""

    def having(self, role: Role, category: str | None = None) -> frozenset[Identity]:
        """Who has a role; for an approver of a category, ``None`` for one of them all."""
        if role is Role.operator:
            return self.operators
        reviewing = self.operators | self.approvers | self.others(Role.approver)
        if role is Role.approver:
            return reviewing | (self.category_approvers.get(category, frozenset()) if category else frozenset())
        named = frozenset().union(*self.category_approvers.values())
        return reviewing | self.requestors | self.others(Role.requestor) | named

    def why_not(self, actor: Actor, role: Role, categories: Collection[str] = ()) -> str | None:
        """Why somebody may not act in a role, for one category at least; one line that names who may.

        Args:
            actor: who acts. Who claims to be somebody else than the operating system's user has to be an operator.
            role: that it takes.
            categories: of the changes that an approver acts on; none for what concerns all of them.
        """
        if falsely := self._false_claim(actor):
            return falsely
        who = Identity.of(actor)
        for category in sorted(categories) if role is Role.approver else ():
            if who not in (may := self.having(role, category)):
                return f"{who} may not review changes of {category}; who may: {_named(may)}"
        if (role is not Role.approver or not categories) and who not in (may := self.having(role)):
            return f"{who} may not {_DEEDS[role]}; who may: {_named(may)}"
        return None

    def _false_claim(self, actor: Actor) -> str | None:
        if actor.os_user is None and actor.provider != SYSTEM:
            return None  # its provider has seen to it
        user = None if actor.os_user is None else Identity(SYSTEM, actor.os_user)
        if user == Identity.of(actor) or user in self.operators:
            return None
        whoever = user or "who does not say whose process it is"
        return f"{whoever} may not act as {Identity.of(actor)}; who may act as others: {_named(self.operators)}"


_DEEDS = {
    Role.requestor: "submit changes",
    Role.approver: "review changes of every category",
    Role.operator: "do that",
}


@dataclass(frozen=True)
class ReviewRules:
    """What a team has switched on; without ``people`` everybody who can reach the store may do everything."""

    people: People | None = None
    two_persons: bool = False

    @property
    def restrict(self) -> bool:
        """Whether anybody may not do something."""
        return self.people is not None or self.two_persons

    def why_not(self, actor: Actor, role: Role, categories: Collection[str] = ()) -> str | None:
        """Why somebody may not act in a role, as :meth:`People.why_not`."""
        return self.people.why_not(actor, role, categories) if self.people else None

    def why_not_alone(self, change_id: int, submitter: Actor, approver: Actor) -> str | None:
        """Why an approval takes another person; ``None`` where it does not."""
        if not self.two_persons or not is_same_person(submitter, approver):
            return None
        alike = "" if Identity.of(submitter) == Identity.of(approver) else f", the same user as {_who(approver)}"
        return f"change {change_id} was proposed by {_who(submitter)}{alike}; another person has to approve it"

    def check(self, actor: Actor, role: Role, categories: Collection[str] = ()) -> None:
        """See that somebody may act in a role; refsync itself may.

        Raises:
            NotAllowedError: they may not; names who may.
        """
        if actor is not REFSYNC and (refusal := self.why_not(actor, role, categories)):
            raise NotAllowedError(refusal)

    def check_two_persons(self, change_id: int, submitter: Actor, approver: Actor) -> None:
        """See that nobody approves what they asked for, where two persons are needed.

        Raises:
            NotAllowedError: they would.
        """
        if refusal := self.why_not_alone(change_id, submitter, approver):
            raise NotAllowedError(refusal)


def _who(actor: Actor) -> str:
    via = f" (user {actor.os_user})" if actor.os_user not in (None, actor.id) else ""
    return f"{Identity.of(actor)}{via}"


def _named(identities: Iterable[Identity]) -> str:
    names = sorted(map(str, identities))
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return ", ".join(names[:_NAMED_AT_MOST]) + more or "nobody"
