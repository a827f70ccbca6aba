"""A repository as somebody sees it who only looks: in its turn in a pass, or in a rehearsal of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from refsync.clone.repository import Repository
from refsync.pending_queue.queue_door import QueueDoor
from refsync.reference.versions import Versions
from refsync.sync.plan import Model
from refsync.sync.reference import ReferenceRepository


class Look(Protocol):
    """One repository, on which nothing can be done.

    What takes it may add objects to the clone and fill ``versions``, of which nobody sees anything; it moves, holds
    and reports nothing, for which it would need a ``Turn``.
    """

    @property
    def reference(self) -> ReferenceRepository:
        """Which repository it is."""
        ...

    @property
    def clone(self) -> Repository:
        """Its clone."""
        ...

    @property
    def versions(self) -> Versions:
        """The files that were read."""
        ...

    @property
    def tip(self) -> str:
        """The commit that the batch in hand is planned on."""
        ...

    @property
    def awaited(self) -> Mapping[Model, int]:
        """The models whose batch has not landed, with its number."""
        ...

    @property
    def queue(self) -> QueueDoor:
        """The queue, to read."""
        ...
