"""What is asked of changes, beside their list."""

from __future__ import annotations

from typing import Any

from refsync.application import Application
from refsync.pending_queue.models import (
    Actor,
    PendingBatchResult,
    PendingChangeRecord,
    Submission,
)
from refsync.pending_queue.payloads import parse_operation
from refsync.pending_queue.placement import to_file
from refsync.use_cases import changes, comparing, reviewing
from refsync.use_cases.answer import Answer
from refsync.use_cases.links.advice import AdvisedChange, AdvisedDiffs, advised, advised_diffs
from refsync.use_cases.links.evidence import FilledRecord
from refsync.use_cases.questions.listing import LIST, Filter
from refsync.use_cases.questions.question import Arguments, Question, Who
from refsync.use_cases.serving import is_served
from refsync.use_cases.submitting import SubmittedChanges, examine_change, read_lines, submit_change, submit_lines


class OneChange(Arguments):
    """A change by its id."""

    change_id: int


class SomeChanges(Arguments):
    """Changes by their ids."""

    change_ids: list[int]


class SubmitChange(Arguments):
    """A change of one model."""

    operation: str
    category: str
    model_name: str
    payload: dict[str, Any] | None = None
    request_metadata: dict[str, Any] | None = None
    notes: str | None = None
    after: str | None = None
    before: str | None = None
    file: str | None = None


class FillRecord(Arguments):
    """A record from what the host of a URL tells."""

    operation: str
    category: str
    url: str
    model_name: str | None = None
    payload: dict[str, Any] | None = None


class SubmitLines(Arguments):
    """Many changes, one JSON object a line."""

    lines: str


class RenameModel(Arguments):
    """A model's new name."""

    category: str
    old: str
    new: str
    notes: str | None = None


class ApproveChanges(Arguments):
    """Changes into the open batch; every pending one where no id is given."""

    change_ids: list[int] | None = None
    title: str = ""


class RejectChanges(SomeChanges):
    """Changes that are refused."""

    reason: str


class PurgeChanges(Filter):
    """Changes that are removed for good; ``everything`` without a filter."""

    everything: bool = False


class Serving(Answer):
    """Whether a daemon serves the store."""

    served: bool


class Nothing(Arguments):
    """No arguments."""


def _submission(application: Application, asked: SubmitChange, actor: Actor) -> Submission:
    return Submission(
        category=application.config.catalogue.parse(asked.category),
        model_name=asked.model_name,
        operation=parse_operation(asked.operation),
        payload=asked.payload,
        requestor_id=actor.id,
        requestor_username=actor.username,
        notes=asked.notes,
        request_metadata=asked.request_metadata if asked.file is None else to_file(asked.request_metadata, asked.file),
        os_user=actor.os_user,
        provider=actor.provider,
        after=asked.after,
        before=asked.before,
    )


def _fill(application: Application, asked: FillRecord, actor: Actor) -> FilledRecord:
    from refsync.use_cases.links.filling import fill_record

    return fill_record(
        application,
        application.config.catalogue.parse(asked.category),
        parse_operation(asked.operation),
        asked.url,
        model=asked.model_name,
        given=asked.payload,
    )


def _submit_lines(application: Application, asked: SubmitLines, actor: Actor) -> SubmittedChanges:
    lines = read_lines(asked.lines.encode("utf-8", "surrogatepass"), application.config.catalogue, actor=actor)
    return submit_lines(application, lines)


def _rename(application: Application, asked: RenameModel, actor: Actor) -> SubmittedChanges:
    from refsync.use_cases.renaming import rename_model

    category = application.config.catalogue.parse(asked.category)
    return SubmittedChanges(
        rename_model(application, category, asked.old, asked.new, actor=actor, notes=asked.notes).root
    )


def _purge(application: Application, asked: PurgeChanges, actor: Actor) -> reviewing.ReviewedChanges:
    from refsync.errors import RequestError

    if asked.restricts is asked.everything:
        raise RequestError("name what to purge by filters, or everything: one or the other")
    return reviewing.purge_changes(application, asked.of(application), actor=actor)


SHOW = Question(
    "GET",
    "/api/changes/{change_id}",
    Who.known,
    OneChange,
    AdvisedChange,
    lambda application, asked, actor: advised(application, changes.show_change(application, asked.change_id)),
)
COMPARE = Question(
    "GET",
    "/api/diffs",
    Who.known,
    SomeChanges,
    AdvisedDiffs,
    lambda application, asked, actor: advised_diffs(
        application, changes.compare_changes(application, asked.change_ids)
    ),
)
FIELDS = Question(
    "GET",
    "/api/changes/{change_id}/fields",
    Who.known,
    OneChange,
    comparing.Comparison,
    lambda application, asked, actor: comparing.compare_fields(application, asked.change_id),
)
LINES = Question(
    "GET",
    "/api/changes/{change_id}/lines",
    Who.known,
    OneChange,
    comparing.Preview,
    lambda application, asked, actor: comparing.show_lines(application, asked.change_id),
)
EXAMINE = Question(
    "POST",
    "/api/changes/examine",
    Who.requestor,
    SubmitChange,
    PendingChangeRecord,
    lambda application, asked, actor: examine_change(application, _submission(application, asked, actor)),
)
SUBMIT = Question(
    "POST",
    "/api/changes",
    Who.requestor,
    SubmitChange,
    AdvisedChange,
    lambda application, asked, actor: advised(
        application, submit_change(application, _submission(application, asked, actor))
    ),
)
FILL = Question("POST", "/api/changes/fill", Who.requestor, FillRecord, FilledRecord, _fill)
SUBMIT_LINES = Question("POST", "/api/changes/lines", Who.requestor, SubmitLines, SubmittedChanges, _submit_lines)
RENAME = Question("POST", "/api/changes/rename", Who.requestor, RenameModel, SubmittedChanges, _rename)
APPROVE = Question(
    "POST",
    "/api/changes/approve",
    Who.approver,
    ApproveChanges,
    PendingBatchResult,
    lambda application, asked, actor: reviewing.approve_changes(
        application, asked.change_ids, title=asked.title, actor=actor
    ),
)
REJECT = Question(
    "POST",
    "/api/changes/reject",
    Who.approver,
    RejectChanges,
    PendingBatchResult,
    lambda application, asked, actor: reviewing.reject_changes(
        application, asked.change_ids, reason=asked.reason, actor=actor
    ),
)
WITHDRAW = Question(
    "POST",
    "/api/changes/withdraw",
    Who.approver,
    SomeChanges,
    reviewing.ReviewedChanges,
    lambda application, asked, actor: reviewing.withdraw_changes(application, asked.change_ids, actor=actor),
)
PURGE = Question("POST", "/api/changes/purge", Who.approver, PurgeChanges, reviewing.ReviewedChanges, _purge)
SERVED = Question(
    "GET",
    "/api/served",
    Who.known,
    Nothing,
    Serving,
    lambda application, asked, actor: Serving(served=is_served(application)),
)
QUESTIONS: tuple[Question[Any, Any], ...] = (
    LIST,
    EXAMINE,
    SUBMIT,
    FILL,
    SUBMIT_LINES,
    RENAME,
    APPROVE,
    REJECT,
    WITHDRAW,
    PURGE,
    SHOW,
    FIELDS,
    LINES,
    COMPARE,
    SERVED,
)
