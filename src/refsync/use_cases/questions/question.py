"""A use case that can be asked from elsewhere: what it takes, what it answers, and where the door has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from refsync.application import Application
from refsync.deferred import Deferred
from refsync.pending_queue.models import Actor


class Arguments(Deferred):
    """What a question takes besides who asks; nothing that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


A = TypeVar("A", bound=Arguments)
R = TypeVar("R", bound=BaseModel)


class Who(StrEnum):
    """Who may ask a question through the door."""

    known = "known"
    """Anybody whom a provider knows."""
    requestor = "requestor"
    approver = "approver"


@dataclass(frozen=True)
class Question(Generic[A, R]):
    """One use case.

    ``path`` names arguments in braces; the others are the query of a GET, the body of a POST. ``call`` is what
    answers, given the parts, the arguments and who asks.
    """

    method: Literal["GET", "POST"]
    path: str
    who: Who
    arguments: type[A]
    answer: type[R]
    call: Callable[[Application, A, Actor], R]

    @property
    def name(self) -> str:
        """What it is called in listings: the words of its path and whether it does something."""
        words = self.path.replace(":path", "").translate(str.maketrans("/{}-", "    ")).split()
        return "_".join((*words, self.method.lower()))
