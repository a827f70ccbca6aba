"""What people ask for, as data: changes, batches, filters, pages, diffs.

Times of a change are whole Unix seconds (UTC); those of a batch keep their fractions.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from pydantic import Field, model_validator

from refsync.categories import CategoryName
from refsync.deferred import Deferred
from refsync.pending_queue.actors import REFSYNC as REFSYNC
from refsync.pending_queue.actors import SYSTEM as SYSTEM
from refsync.pending_queue.actors import Actor as Actor
from refsync.pending_queue.holds import Hold, HoldKind, tell_with_command
from refsync.pending_queue.proposal import Overlap as Overlap
from refsync.pending_queue.proposal import Proposal as Proposal
from refsync.pending_queue.proposal import ProposalState as ProposalState
from refsync.pending_queue.proposal import RefusedOnce as RefusedOnce
from refsync.pending_queue.proposal import Wait as Wait
from refsync.pending_queue.proposal import WaitKind as WaitKind
from refsync.pending_queue.repository_note import MassDeletion as MassDeletion
from refsync.pending_queue.repository_note import RepositoryNote as RepositoryNote
from refsync.pending_queue.states import AuditOperation as AuditOperation
from refsync.pending_queue.states import BatchState as BatchState
from refsync.pending_queue.states import PendingChangeStatus as PendingChangeStatus


def now_ts() -> int:
    """The present time in whole Unix seconds (UTC).

    >>> abs(now_ts() - time.time()) < 10
    True
    """
    return int(time.time())


def ensure_seq(items: Collection[int] | None) -> list[int]:
    """A new list of the items; empty for ``None``.

    >>> ensure_seq(None), ensure_seq((2, 1))
    ([], [2, 1])
    """
    return list(items or ())


class ChangeEvent(Deferred):
    """One move of one change.

    ``from_status`` is ``None`` for the submission, ``to_status`` is ``None`` for a purge; both are the same
    where the change only went to another batch.
    """

    event_id: int | None = Field(default=None, exclude=True)
    """Its number in the store, which is this store's own."""
    at: int = Field(default_factory=now_ts)
    from_status: PendingChangeStatus | None = None
    to_status: PendingChangeStatus | None = None
    why: str | None = None
    by: str
    username: str
    provider: str = SYSTEM
    os_user: str | None = None
    batch_id: int | None = None


class PendingChangeRecord(Deferred):
    """One proposed change of one model, from its submission to its end.

    >>> change = PendingChangeRecord(
    ...     change_id=0,
    ...     category="clip",
    ...     model_name="ViT-L/14",
    ...     operation=AuditOperation.DELETE,
    ...     requested_by="1",
    ...     requested_username="Ada",
    ... )
    >>> change.status.value, change.payload
    ('pending', None)
    """

    change_id: int
    """Given by the store, which replaces the sentinel 0."""
    category: CategoryName
    model_name: str
    operation: AuditOperation
    payload: dict[str, Any] | None = None
    """The full record to write."""
    requested_by: str
    requested_username: str
    requested_at: int = Field(default_factory=now_ts)
    status: PendingChangeStatus = PendingChangeStatus.PENDING
    notes: str | None = None
    batch_id: int | None = None
    batch_title: str | None = None
    approved_by: str | None = None
    approved_username: str | None = None
    approved_at: int | None = None
    rejected_by: str | None = None
    rejected_username: str | None = None
    rejected_at: int | None = None
    reject_reason: str | None = None
    applied_at: int | None = None
    applied_by: str | None = None
    applied_username: str | None = None
    applied_job_id: str | None = None
    """The token of the job, or the attempt at its batch, that reserved it; once it is applied, of its batch or job."""
    updated_at: int = Field(default_factory=now_ts)
    request_metadata: dict[str, Any] | None = None
    related_models: list[str] | None = None
    """Names of the backend variants that are written in the same step (``text_generation``)."""
    base: dict[str, Any] | None = None
    """The record that the change was made from; ``None`` where there was none, or none is known."""
    base_known: bool = False
    """Whether ``base`` was looked up; without it the change skips the comparison with the present record."""
    commit: str | None = None
    """The commit that it landed in."""
    os_user: str | None = None
    """The person of the operating system who submitted it."""
    requested_provider: str = SYSTEM
    """Who vouches for ``requested_by``: ``system``, or where people are known by tokens or accounts."""
    reverts: int | None = None
    """The number of the batch that it is to undo a part of."""
    after: str | None = None
    """The model right behind which a new one is to stand."""
    before: str | None = None
    """The model right ahead of which a new one is to stand."""
    lands_with: int | None = None
    """The other half of a rename: the change that lands together with it, or not at all."""
    remarks: list[str] | None = None
    """What was noticed when it was submitted, a line each."""
    conflicts_with: list[int] | None = None
    """Other open proposals for the same model; computed when the change is read."""
    history: list[ChangeEvent] | None = None
    """Every move, oldest first; filled where one change is shown whole."""

    @property
    def requester(self) -> Actor:
        """Who submitted it."""
        return Actor(self.requested_by, self.requested_username, self.os_user, self.requested_provider)


class Member(NamedTuple):
    """A change of a batch, as far as its moves ask for it: a batch may have thousands."""

    change_id: int
    status: PendingChangeStatus
    batch_id: int | None
    applied_job_id: str | None
    lands_with: int | None
    approved_username: str | None
    rejected_username: str | None
    record: PendingChangeRecord | None = None
    """The change itself, without ``payload`` and ``base``, where somebody is told of each that moves."""

    @classmethod
    def of(cls, record: PendingChangeRecord) -> Self:
        """The change that this is."""
        return cls._make([*(getattr(record, field) for field in cls._fields[:-1]), record])

    def model_copy(self, *, update: Mapping[str, Any]) -> Member:
        """The same with these fields, as of a record; those that it lacks are its record's."""
        record = self.record and self.record.model_copy(update=update)
        return self._replace(record=record, **{field: update[field] for field in self._fields if field in update})


_ENDED_UNLANDED = frozenset({ProposalState.closed, ProposalState.gone, ProposalState.left})


class Batch(Deferred):
    """Approved changes that land together.

    >>> Batch(number=1, title="New models").job is None
    True
    """

    number: int
    title: str
    state: BatchState = BatchState.open
    repository: str | None = None
    """The repository that holds its categories; ``None`` before sealing, or where the config names none."""
    job: str | None = None
    """Its token, unique in the world, which its commit and pull request carry; given when the batch is sealed."""
    hold: Hold | None = None
    """What it waits for, while it is held."""
    reason: str | None = None
    """The same in words, with a command where only that helps; why one was abandoned."""
    base_commit: str | None = None
    commit: str | None = None
    is_confirmed: bool = False
    """Whether a person has said that it may delete as much as it does."""
    split_from: int | None = None
    proposal: Proposal | None = None
    """Its branch and pull request, once it was proposed."""
    opened_at: float = Field(default_factory=time.time)
    last_approved_at: float | None = None
    sealed_at: float | None = None
    landed_at: float | None = None

    @model_validator(mode="after")
    def _tell_hold(self) -> Self:
        if self.state is BatchState.held and self.hold is None:  # an older refsync had the words only
            self.hold = Hold(kind=HoldKind.other, reason=self.reason or "")
        if self.hold:
            self.reason = tell_with_command(self.hold, self.number)
        return self

    @property
    def waits_for_people(self) -> bool:
        """Whether it is held for what happens to its proposal, and not for a pass to try it again."""
        ended = self.proposal is not None and self.proposal.state in _ENDED_UNLANDED
        return self.state is BatchState.held and ended


@dataclass(frozen=True)
class Agenda:
    """What a pass finds in the queue, all read at one time.

    ``batches`` are those that have not ended, in their turn; ``reserved`` the numbers of those of which a job holds
    changes; ``notes`` what is noted of each repository, by its name.
    """

    batches: Sequence[Batch]
    reserved: Collection[int]
    notes: Mapping[str, RepositoryNote]

    @property
    def open_batch(self) -> Batch | None:
        """The batch that accepts approvals."""
        return next((batch for batch in self.batches if batch.state is BatchState.open), None)


@dataclass(frozen=True)
class Submission:
    """The arguments of one submitted change, for submitting many at once."""

    category: CategoryName
    model_name: str
    operation: AuditOperation
    payload: dict[str, Any] | None
    requestor_id: str
    requestor_username: str
    notes: str | None = None
    request_metadata: dict[str, Any] | None = None
    related_models: list[str] | None = None
    base: dict[str, Any] | None = None
    base_known: bool = False
    os_user: str | None = None
    reverts: int | None = None
    after: str | None = None
    before: str | None = None
    remarks: tuple[str, ...] = ()
    provider: str = SYSTEM


class PendingQueueFilter(Deferred):
    """Which changes; conditions hold together, ``None`` does not restrict, an empty set matches nothing.

    >>> PendingQueueFilter(model_name="vit").statuses is None
    True
    """

    statuses: set[PendingChangeStatus] | None = None
    categories: set[CategoryName] | None = None
    batch_id: int | None = None
    model_name: str | None = None
    """Part of the name, upper and lower case alike."""
    requested_by: set[str] | None = None
    requested_provider: str | None = None
    """Who vouches for those."""
    reverts: int | None = None
    """Made to undo this batch."""


class PendingBatchResult(Deferred):
    """What one review did.

    >>> PendingBatchResult(batch_id=None, batch_title="", approved=[], rejected=[]).batch_id is None
    True
    """

    batch_id: int | None
    batch_title: str
    approved: list[PendingChangeRecord]
    rejected: list[PendingChangeRecord]


class BatchSplitInfo(Deferred):
    """Which changes left a batch for which other.

    >>> BatchSplitInfo(original_batch_id=1, new_batch_id=2).reassigned_change_ids
    []
    """

    original_batch_id: int
    new_batch_id: int
    reassigned_change_ids: list[int] = Field(default_factory=list)


class MarkAppliedResult(Deferred):
    """The applied change, and the split of its batch if this call made one.

    >>> MarkAppliedResult.model_fields["batch_split"].default is None
    True
    """

    record: PendingChangeRecord
    batch_split: BatchSplitInfo | None = None


class PendingQueuePage(Deferred):
    """A page of changes by ascending id; ``total`` counts the hits before paging.

    >>> PendingQueuePage(items=[], total=7, offset=7, limit=None).total
    7
    """

    items: list[PendingChangeRecord]
    total: int
    offset: int
    limit: int | None


class PendingChangeDiff(Deferred):
    """A change against the record as it is now, field by field.

    >>> diff = PendingChangeDiff(
    ...     change_id=1,
    ...     category="clip",
    ...     model_name="m",
    ...     operation=AuditOperation.DELETE,
    ...     net_operation="unchanged",
    ... )
    >>> diff.field_diffs, diff.is_critical
    ([], False)
    """

    change_id: int
    category: CategoryName
    model_name: str
    operation: AuditOperation
    current_state: dict[str, Any] | None = None
    proposed_state: dict[str, Any] | None = None
    net_operation: str
    """``added``, ``modified``, ``deleted`` or ``unchanged``."""
    field_diffs: list[dict[str, Any]] = Field(default_factory=list)
    """Each with ``field_path``, ``old_value``, ``new_value``, ``change_type``."""
    is_critical: bool = False
    fields_added: list[str] = Field(default_factory=list)
    fields_removed: list[str] = Field(default_factory=list)
    fields_modified: list[str] = Field(default_factory=list)


class PendingChangeDiffPage(Deferred):
    """Diffs of many changes; each id without one has an entry in ``errors``.

    >>> PendingChangeDiffPage(total=1, errors=[{"change_id": 9, "error_type": "NotFound"}]).diffs
    []
    """

    diffs: list[PendingChangeDiff] = Field(default_factory=list)
    total: int = 0
    errors: list[dict[str, Any]] = Field(default_factory=list)


class AuditPayload(Deferred):
    """What an audit event says: the state before and after."""

    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
