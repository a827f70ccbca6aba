"""Reading many submissions from JSON Lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from refsync.categories import parse_category
from refsync.errors import PayloadError, RequestError
from refsync.pending_queue.models import Actor, AuditOperation, Submission
from refsync.pending_queue.payloads import parse_json

_NEEDED = ("operation", "category", "model_name")
_KNOWN = {*_NEEDED, "payload", "notes", "request_metadata", "related_models"}


def is_export(content: bytes) -> bool:
    """Whether the lines are what `queue export` wrote: its first line is a header."""
    return content[:200].lstrip().startswith(b'{"refsync_queue"')


def read_submissions(content: bytes, actor: Actor) -> list[Submission]:
    """The submissions of JSON Lines; blank lines are passed over.

    Raises:
        PayloadError: a line is no JSON object, or lacks or has a key that it must or must not; names the line.
    """
    lines = enumerate(content.splitlines(), start=1)
    return [_submission(number, line, actor) for number, line in lines if line.strip()]


def _submission(number: int, line: bytes, actor: Actor) -> Submission:
    given = parse_json(line, what=f"line {number}")
    if not isinstance(given, dict):
        raise PayloadError(f"line {number}: must be a JSON object, one change a line")
    _check_keys(number, given)
    try:
        return Submission(
            category=parse_category(str(given["category"])),
            model_name=given["model_name"],
            operation=AuditOperation(given["operation"]),
            payload=given.get("payload"),
            requestor_id=actor.id,
            requestor_username=actor.username,
            notes=given.get("notes"),
            request_metadata=given.get("request_metadata"),
            related_models=given.get("related_models"),
            os_user=actor.os_user,
        )
    except RequestError:
        raise
    except ValueError as problem:
        raise PayloadError(f"line {number}: {problem}") from None


def _check_keys(number: int, given: dict[str, Any]) -> None:
    if missing := [key for key in _NEEDED if key not in given]:
        raise PayloadError(f"line {number}: lacks {', '.join(missing)}")
    if unknown := sorted(set(given) - _KNOWN):
        raise PayloadError(f"line {number}: unknown key {unknown[0]!r}; known are {', '.join(sorted(_KNOWN))}")


@contextmanager
def progress_bar(what: str, *, shown: bool) -> Iterator[Callable[[int], None] | None]:
    """Counts on a terminal's stderr how many are done; nothing elsewhere."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done: bar.update(task, completed=done)
