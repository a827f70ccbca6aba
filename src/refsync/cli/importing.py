"""Reading many submissions from JSON Lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from refsync.categories import parse_category
from refsync.errors import PayloadError, RequestError, UnknownCategoryError
from refsync.pending_queue.models import Actor, AuditOperation, PendingChangeRecord, Submission
from refsync.pending_queue.payloads import check_model_name, check_old_name, parse_json

Submit = Callable[[Iterable[Submission], Callable[[int], None]], list[PendingChangeRecord]]

_NEEDED = ("operation", "category", "model_name")
_KNOWN = {*_NEEDED, "payload", "notes", "request_metadata", "related_models", "after", "before"}


def is_export(content: bytes) -> bool:
    """Whether the lines are what `queue export` wrote: its first line is a header."""
    return content[:200].lstrip().startswith(b'{"refsync_queue"')


class Line(NamedTuple):
    """A submission and the number of the line that it stands on."""

    number: int
    submission: Submission


def read_lines(content: bytes, actor: Actor) -> list[Line]:
    """The submissions of JSON Lines; blank lines are passed over.

    Raises:
        RequestError: a line is no JSON object, or lacks or has a key that it must or must not; names the line.
    """
    lines = enumerate(content.splitlines(), start=1)
    return [Line(number, _submission(number, line, actor)) for number, line in lines if line.strip()]


def submit_lines(lines: list[Line], submit: Submit, progress: Callable[[int], None]) -> list[PendingChangeRecord]:
    """Hand the submissions over, and name the line of the one that is refused.

    Args:
        lines: the submissions.
        submit: takes all or none, and tells after each one how many it has checked.
        progress: told the same.
    """
    checked = 0

    def count(done: int) -> None:
        nonlocal checked
        checked = done
        progress(done)

    try:
        return submit((line.submission for line in lines), count)
    except (RequestError, UnknownCategoryError) as refusal:
        if checked == len(lines):
            raise
        raise RequestError(f"line {lines[checked].number}: {refusal}") from None


def _submission(number: int, line: bytes, actor: Actor) -> Submission:
    given = parse_json(line, what=f"line {number}")
    if not isinstance(given, dict):
        raise PayloadError(f"line {number}: must be a JSON object, one change a line")
    _check_keys(number, given)
    try:
        return Submission(
            category=parse_category(str(given["category"])),
            model_name=_name(given),
            operation=operation_named(given["operation"]),
            payload=given.get("payload"),
            requestor_id=actor.id,
            requestor_username=actor.username,
            notes=given.get("notes"),
            request_metadata=given.get("request_metadata"),
            related_models=given.get("related_models"),
            os_user=actor.os_user,
            after=given.get("after"),
            before=given.get("before"),
        )
    except ValueError as problem:
        raise RequestError(f"line {number}: {problem}") from None


def operation_named(name: Any) -> AuditOperation:
    """The operation with this name.

    Raises:
        RequestError: there is none.
    """
    try:
        return AuditOperation(name)
    except ValueError:
        raise RequestError(f"unknown operation {name!r}; it is one of {', '.join(AuditOperation)}") from None


def _name(given: dict[str, Any]) -> str:
    deletes = given["operation"] == AuditOperation.DELETE
    return check_old_name(given["model_name"]) if deletes else check_model_name(given["model_name"])


def _check_keys(number: int, given: dict[str, Any]) -> None:
    if missing := [key for key in _NEEDED if key not in given]:
        raise PayloadError(f"line {number}: lacks {', '.join(missing)}")
    if unknown := sorted(set(given) - _KNOWN):
        raise PayloadError(f"line {number}: unknown key {unknown[0]!r}; known are {', '.join(sorted(_KNOWN))}")
