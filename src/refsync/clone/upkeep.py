"""A clone kept tidy."""

from __future__ import annotations

from refsync.clone.git_locks import TIDYING_LOCKS, writing
from refsync.clone.repository import Repository
from refsync.durable_steps import durable_step


@durable_step("tidy the clone")
def tidy(clone: Repository) -> None:
    """Let git pack what it wants to, and wait for its end."""
    with writing(clone, TIDYING_LOCKS):
        clone.run("-c", "gc.autoDetach=false", "maintenance", "run", "--auto", "--quiet")
