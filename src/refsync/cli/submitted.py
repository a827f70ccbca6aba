"""What commands that submit changes have in common."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from refsync.cli.output import note

if TYPE_CHECKING:
    from refsync.cli.desk import Desk
    from refsync.pending_queue.models import PendingChangeRecord


def read_source(source: str) -> bytes:
    """The content of a file, ``-`` being stdin."""
    return sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()


def say_if_unserved(desk: Desk) -> None:
    """Say that no daemon will do what was asked for, if that is so."""
    from refsync.use_cases.questions.changes import SERVED

    if not desk.ask(SERVED).served:
        note("note: no daemon serves this store; `refsync sync` applies approved changes, `refsync run` keeps doing so")


def tell_conflicts(change: PendingChangeRecord) -> None:
    """Say what was noticed of a change."""
    for remark in change.remarks or ():
        note(f"note: {remark}")
    if change.conflicts_with:
        others = ", ".join(map(str, change.conflicts_with))
        note(f"note: other open proposals for {change.model_name!r}: {others}")
    if change.operation == "create" and change.base is not None:
        note(
            f"note: {change.category} {change.model_name!r} exists already; creating it conflicts unless it is deleted"
        )
