"""What is known of a process that works on a queue which several share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from refsync.deferred import Deferred


class DaemonRole(StrEnum):
    """What a process does there.

    A worker seals and publishes, a reader follows and never publishes; a single pass is a command's, which then ends.
    """

    worker = "worker"
    reader = "reader"
    single_pass = "pass"


class DaemonNote(Deferred):
    """A process among those that share a queue.

    ``repositories`` are those of its config, each with its way out; ``lease_seconds`` is how long it counts as alive
    after it was heard; times are Unix seconds by the clock of the database.
    """

    daemon_id: str
    host: str
    pid: int
    user: str
    state_directory: str
    role: DaemonRole
    repositories: Mapping[str, str]
    lease_seconds: float
    joined_at: float = 0.0
    heard_at: float = 0.0
    is_alive: bool = True
    """Whether it was heard within its lease."""
    holds: Sequence[str] = ()
    """The repositories that it works on now."""

    @property
    def place(self) -> tuple[str, str]:
        """Host and state directory, in which one daemon serves at a time."""
        return self.host, self.state_directory


def tell(note: DaemonNote) -> str:
    """Who it is, for a person.

    >>> tell(DaemonNote(daemon_id="a", host="node-1", pid=7, user="refsync", state_directory="/srv/state",
    ...     role=DaemonRole.worker, repositories={}, lease_seconds=30))
    'process 7 of refsync on node-1 (/srv/state)'
    """
    return f"process {note.pid} of {note.user} on {note.host} ({note.state_directory})"
