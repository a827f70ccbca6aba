"""A queue brought from one machine, or from the ecosystem's folder, to this one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from refsync.application import Application
from refsync.pending_queue.exchange import ImportReport
from refsync.pending_queue.models import Actor
from refsync.use_cases.answer import AnswerOf


class ImportedQueue(AnswerOf[ImportReport]):
    """What an import took, and what it has to say."""


def is_export(content: bytes) -> bool:
    """Whether the lines are what :func:`export_queue` gave: its first line is a header."""
    return content[:200].lstrip().startswith(b'{"refsync_queue"')


def export_queue(application: Application) -> Iterator[dict[str, Any]]:
    """The whole queue as JSON objects, one a line: a header, then each change with its history and batch."""
    return application.queue.export_changes()


def import_queue(application: Application, content: bytes, *, actor: Actor) -> ImportedQueue:
    """Take an export into an empty store; all or nothing.

    Raises:
        NotAllowedError: the actor is no operator.
        PayloadError: a line is no JSON object, or the first one no header.
        RequestError: the store is not empty.
    """
    return ImportedQueue(application.queue.import_changes(content.splitlines(), actor=actor))


def import_folder(application: Application, folder: Path, *, actor: Actor) -> ImportedQueue:
    """Take the ecosystem's queue folder into an empty store; all or nothing.

    Raises:
        NotAllowedError: the actor is no operator.
        StoreError: ``changes.json`` is missing or damaged.
        RequestError: the store is not empty.
    """
    return ImportedQueue(application.queue.import_folder(folder, actor=actor))
