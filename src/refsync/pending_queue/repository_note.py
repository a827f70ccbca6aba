"""What is noted of a repository, for ``status``, beyond what git says."""

from __future__ import annotations

import time

from pydantic import Field

from refsync.deferred import Deferred


class MassDeletion(Deferred):
    """Many models that others deleted from a category in one commit."""

    commit: str
    category: str
    deleted: int
    models: int
    """How many there were before."""
    seen_at: float = Field(default_factory=time.time)


def tell(gone: MassDeletion) -> str:
    """What happened, in one line.

    >>> tell(MassDeletion(commit="3f2a9c" * 5, category="clip", deleted=8, models=15))
    'others deleted 8 of the 15 models of clip in 3f2a9c3f2a9c'
    """
    return f"others deleted {gone.deleted} of the {gone.models} models of {gone.category} in {gone.commit[:12]}"


class RepositoryNote(Deferred):
    """What ``status`` tells of a repository beyond what git says."""

    name: str
    last_landed_commit: str | None = None
    last_landed_at: float | None = None
    last_error: str | None = None
    last_error_at: float | None = None
    last_pass_at: float | None = None
    last_good_pass_at: float | None = None
    """When one ended in which nothing went wrong as a whole, or landed a batch."""
    mass_deletion: MassDeletion | None = None
    """The newest one that landed."""
    told_commit: str | None = Field(default=None, exclude=True)
    """Up to which people were told of commits that no batch brought, while a target wants that."""
