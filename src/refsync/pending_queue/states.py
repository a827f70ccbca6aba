"""What a change does, and how far it, or a batch, has come; ``lifecycle`` says which moves are allowed."""

from __future__ import annotations

from enum import StrEnum


class AuditOperation(StrEnum):
    """What a change does to its model.

    >>> AuditOperation("delete") is AuditOperation.DELETE
    True
    """

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class PendingChangeStatus(StrEnum):
    """How far a change has come; ``lifecycle`` says which moves are allowed.

    >>> [status.value for status in PendingChangeStatus]
    ['pending', 'approved', 'applying', 'applied', 'rejected']
    """

    PENDING = "pending"
    """Waits for review."""
    APPROVED = "approved"
    """Accepted, not yet written."""
    APPLYING = "applying"
    """Locked for the short time of the write."""
    APPLIED = "applied"
    """Landed. Final."""
    REJECTED = "rejected"
    """Refused. Final."""


class BatchState(StrEnum):
    """How far a batch has come.

    >>> [state.value for state in BatchState]
    ['open', 'sealed', 'proposed', 'held', 'landed', 'abandoned']
    """

    open = "open"
    """Approvals join it; there is at most one."""
    sealed = "sealed"
    """Its set of changes is fixed; the daemon works on it."""
    proposed = "proposed"
    """A pull request is open."""
    held = "held"
    """It waits, and its hold says for what."""
    landed = "landed"
    """The target branch contains it. Final."""
    abandoned = "abandoned"
    """Given up, and its reason says why. Final."""
