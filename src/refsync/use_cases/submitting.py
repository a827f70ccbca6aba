"""Changes submitted: one, or many of them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from refsync.application import Application
from refsync.categories import Catalogue
from refsync.errors import PayloadError, RequestError, UnknownCategoryError
from refsync.pending_queue.models import Actor, AuditOperation, PendingChangeRecord, Submission
from refsync.pending_queue.payloads import check_model_name, check_old_name, parse_json, parse_operation
from refsync.use_cases.answer import AnswerOf
from refsync.use_cases.links.advice import ask_at_submission

_NEEDED = ("operation", "category", "model_name")
_KNOWN = {*_NEEDED, "payload", "notes", "request_metadata", "related_models", "after", "before"}


class SubmittedChanges(AnswerOf[list[PendingChangeRecord]]):
    """What was submitted, in its order."""


class Line(NamedTuple):
    """A submission and the number of the line that it stands on."""

    number: int
    submission: Submission


def submit_change(application: Application, submission: Submission) -> PendingChangeRecord:
    """Submit a change; what it is made from is looked up, and hosts are asked about the links that it brings.

    Raises:
        UnknownCategoryError: no repository holds the category.
        RequestError: it is refused.
    """
    [change] = application.queue.enqueue_many([submission])
    ask_at_submission(application, [change])
    return change


def examine_change(application: Application, submission: Submission) -> PendingChangeRecord:
    """The change that a submission would make, its id 0, with what is noticed of it; nothing is stored.

    Raises:
        UnknownCategoryError: no repository holds the category.
        RequestError: it would be refused.
    """
    return application.queue.examine(submission)


def read_lines(content: bytes, catalogue: Catalogue, *, actor: Actor) -> list[Line]:
    """The submissions of JSON Lines; blank lines are passed over.

    Raises:
        RequestError: a line is no JSON object, or lacks or has a key that it must or must not; names the line.
    """
    lines = enumerate(content.splitlines(), start=1)
    return [Line(number, _submission(number, line, catalogue, actor)) for number, line in lines if line.strip()]


def submit_lines(
    application: Application, lines: Sequence[Line], progress: Callable[[int, int], None] | None = None
) -> SubmittedChanges:
    """Submit what stands on lines, all or nothing.

    Args:
        application: the parts.
        lines: the submissions.
        progress: told of how many are checked, and how many there are.

    Raises:
        UnknownCategoryError: no repository holds a category.
        RequestError: one is refused; names its line.
    """
    checked = 0

    def count(done: int) -> None:
        nonlocal checked
        checked = done
        if progress is not None:
            progress(done, len(lines))

    try:
        changes = application.queue.enqueue_many((line.submission for line in lines), count)
    except (RequestError, UnknownCategoryError) as refusal:
        if checked == len(lines):
            raise
        raise RequestError(f"line {lines[checked].number}: {refusal}") from None
    ask_at_submission(application, changes)
    return SubmittedChanges(changes)


def _submission(number: int, line: bytes, catalogue: Catalogue, actor: Actor) -> Submission:
    given = parse_json(line, what=f"line {number}")
    if not isinstance(given, dict):
        raise PayloadError(f"line {number}: must be a JSON object, one change a line")
    _check_keys(number, given)
    try:
        return Submission(
            category=catalogue.parse(str(given["category"])),
            model_name=_name(given),
            operation=parse_operation(given["operation"]),
            payload=given.get("payload"),
            requestor_id=actor.id,
            requestor_username=actor.username,
            notes=given.get("notes"),
            request_metadata=given.get("request_metadata"),
            related_models=given.get("related_models"),
            os_user=actor.os_user,
            provider=actor.provider,
            after=given.get("after"),
            before=given.get("before"),
        )
    except ValueError as problem:
        raise RequestError(f"line {number}: {problem}") from None


def _name(given: dict[str, Any]) -> str:
    deletes = given["operation"] == AuditOperation.DELETE
    return check_old_name(given["model_name"]) if deletes else check_model_name(given["model_name"])


def _check_keys(number: int, given: dict[str, Any]) -> None:
    if missing := [key for key in _NEEDED if key not in given]:
        raise PayloadError(f"line {number}: lacks {', '.join(missing)}")
    if unknown := sorted(set(given) - _KNOWN):
        raise PayloadError(f"line {number}: unknown key {unknown[0]!r}; known are {', '.join(sorted(_KNOWN))}")
