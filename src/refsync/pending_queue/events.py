"""What a transaction did, as data, and who is told of it.

Once it is done: the audit, and who waits for changes. In the transaction itself: the outbox, whence people are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from refsync.categories import CategoryName
from refsync.pending_queue.models import (
    AuditOperation,
    AuditPayload,
    Batch,
    BatchSplitInfo,
    BatchState,
    ChangeEvent,
    PendingChangeRecord,
    PendingChangeStatus,
)

if TYPE_CHECKING:
    from refsync.pending_queue.store.transaction import QueueTransaction

_S = PendingChangeStatus
_AUDIT_NAME = "pending_queue"


@dataclass(frozen=True)
class ChangesMoved:
    """A move that stands in the history of each of the changes; they are as they are now, or were when purged.

    Those of a batch are there only where somebody is told of each.
    """

    changes: Sequence[PendingChangeRecord]
    event: ChangeEvent


@dataclass(frozen=True)
class BatchMoved:
    """A batch that came into the state that it has; ``before`` is ``None`` where it was made in it.

    ``is_news`` says whether people are to hear of it: not where a batch waits again for what it had waited for.
    """

    batch: Batch
    before: BatchState | None
    is_news: bool = True


@dataclass(frozen=True)
class BatchReviewable:
    """A batch can be looked at: its pull request is open, or its branch there where it gets none."""

    batch: Batch


@dataclass(frozen=True)
class BatchSplit:
    """Changes that left a batch for another; ``by`` is the id of who did it."""

    split: BatchSplitInfo
    by: str


@dataclass(frozen=True)
class ModelChanged:
    """What a commit did to a model; ``fields`` are those that differ, as a diff of the queue has them."""

    category: CategoryName
    model: str
    operation: str
    fields: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ForeignCommit:
    """A commit that landed in a repository and that no batch of this queue brought; ``author`` is a name."""

    repository: str
    commit: str
    author: str
    subject: str
    models: Sequence[ModelChanged]


@dataclass(frozen=True)
class PassFailing:
    """Passes fail in a repository, which they did not before."""

    repository: str
    problem: str


Event = ChangesMoved | BatchMoved | BatchReviewable | BatchSplit | ForeignCommit | PassFailing


class AuditWriter(Protocol):
    """Where every successful action is told."""

    def append_event(
        self,
        *,
        domain: str,
        category: str,
        model_name: str,
        operation: AuditOperation,
        logical_user_id: str,
        payload: AuditPayload,
    ) -> Any:
        """Keep one event."""


@dataclass(frozen=True)
class Listeners:
    """Who is told; one that fails is logged, and what was done stands."""

    audit_writer: AuditWriter | None = None
    on_change: Callable[[], None] | None = None
    outbox: Callable[[QueueTransaction], None] | None = None
    """Keeps news of what a transaction did, as a part of it; an error in it is one of the transaction."""

    @property
    def are_told_of_each(self) -> bool:
        """Whether anybody is told of the single changes that a transaction moves."""
        return self.audit_writer is not None or self.outbox is not None

    def write_down(self, queue: QueueTransaction) -> None:
        """Keep news of what the transaction did, before it ends."""
        if self.outbox is not None and queue.events:
            self.outbox(queue)

    def tell(self, events: Iterable[Event]) -> None:
        """Audit what the specification wants audited, and wake who waits if anything was done."""
        happened = list(events)
        for event in happened if self.audit_writer is not None else ():
            match event:
                case ChangesMoved(changes, moved) if action := _action_of(moved):
                    for change in changes:
                        self._audit(change.change_id, moved.by, {"action": action, **_told_of(change)})
                case BatchSplit(split, by):
                    self._audit(split.original_batch_id, by, {"action": "batch_split", **split.model_dump()})
        if happened:
            self.wake()

    def wake(self) -> None:
        """Wake who waits for the queue to change."""
        if self.on_change is None:
            return
        try:
            self.on_change()
        except Exception as error:
            from loguru import logger  # slow, and hardly ever needed

            logger.error("waking the daemon failed, the action stands: {!r}", error)

    def _audit(self, number: int, user_id: str, after: dict[str, Any]) -> None:
        if self.audit_writer is None:
            return
        try:
            self.audit_writer.append_event(
                domain=_AUDIT_NAME,
                category=_AUDIT_NAME,
                model_name=str(number),
                operation=AuditOperation.UPDATE,
                logical_user_id=user_id,
                payload=AuditPayload(after=after),
            )
        except Exception as error:
            from loguru import logger

            logger.error("audit of {} {} failed, the action stands: {!r}", after["action"], number, error)


_ACTIONS: Mapping[tuple[PendingChangeStatus | None, PendingChangeStatus | None], str] = {
    (None, _S.PENDING): "enqueue",
    (_S.PENDING, _S.APPROVED): "approve",
    (_S.APPROVED, _S.PENDING): "withdraw",
    **{(status, _S.REJECTED): "reject" for status in _S},
    **{(status, _S.APPLIED): "apply" for status in _S},
    **{(status, None): "purge" for status in _S},
}
"""The actions that are audited; a reservation is none."""


def _action_of(event: ChangeEvent) -> str | None:
    if event.from_status is event.to_status:  # it went to another batch, or was only noted
        return None
    return _ACTIONS.get((event.from_status, event.to_status))


def _told_of(change: PendingChangeRecord) -> dict[str, Any]:
    return change.model_dump(mode="json", exclude_none=True, exclude={"payload", "base", "conflicts_with"})
