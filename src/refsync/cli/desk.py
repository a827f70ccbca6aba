"""Where a command's questions are answered: by this machine's own store, or by the door."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel

    from refsync.application import Application
    from refsync.pending_queue.models import Actor, PendingChangeRecord
    from refsync.use_cases.questions.question import Arguments, Question

    A = TypeVar("A", bound=Arguments)
    R = TypeVar("R", bound=BaseModel)

_PART = 500


class Desk(Protocol):
    """Answers questions."""

    def ask(self, question: Question[A, R], **given: Any) -> R:
        """The answer to a question with these arguments.

        Raises:
            RefsyncError: it is refused.
        """
        ...


@dataclass(frozen=True)
class Here:
    """The store of this machine, and who acts."""

    application: Application
    actor: Actor

    def ask(self, question: Question[A, R], **given: Any) -> R:
        """Call the use case."""
        asked: Any = question.arguments.model_construct(**given)  # of the right types: the options saw to that
        return question.call(self.application, asked, self.actor)


def every_change(desk: Desk, wanted: dict[str, Any]) -> Iterator[PendingChangeRecord]:
    """All hits by id, as they are asked for; from a door in parts."""
    from refsync.use_cases.changes import all_changes
    from refsync.use_cases.questions.listing import LIST, Filter

    if isinstance(desk, Here):
        yield from all_changes(desk.application, Filter.model_construct(**wanted).of(desk.application))
        return
    offset = 0
    while True:
        page = desk.ask(LIST, **wanted, offset=offset, limit=_PART)
        yield from page.items
        if page.next is None:
            return
        offset = page.next
