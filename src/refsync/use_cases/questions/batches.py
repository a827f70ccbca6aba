"""What is asked of batches."""

from __future__ import annotations

from typing import Any

from refsync.pending_queue.models import Batch
from refsync.use_cases import batches
from refsync.use_cases.questions.question import Arguments, Question, Who


class Nothing(Arguments):
    """No arguments."""


class OneBatch(Arguments):
    """A batch by its number."""

    number: int


class RetryBatch(OneBatch):
    """A held batch; ``confirmed`` where it is held for how much it deletes."""

    confirmed: bool = False


class AbandonBatch(OneBatch):
    """A batch that is given up, and why."""

    reason: str


LIST = Question(
    "GET",
    "/api/batches",
    Who.known,
    Nothing,
    batches.Batches,
    lambda application, asked, actor: batches.list_batches(application),
)
SHOW = Question(
    "GET",
    "/api/batches/{number}",
    Who.known,
    OneBatch,
    batches.BatchWithChanges,
    lambda application, asked, actor: batches.show_batch(application, asked.number),
)
SEAL = Question(
    "POST",
    "/api/batches/seal",
    Who.approver,
    Nothing,
    batches.Batches,
    lambda application, asked, actor: batches.seal_batch(application, actor=actor),
)
RETRY = Question(
    "POST",
    "/api/batches/{number}/retry",
    Who.approver,
    RetryBatch,
    Batch,
    lambda application, asked, actor: batches.retry_batch(
        application, asked.number, actor=actor, confirmed=asked.confirmed
    ),
)
ABANDON = Question(
    "POST",
    "/api/batches/{number}/abandon",
    Who.approver,
    AbandonBatch,
    Batch,
    lambda application, asked, actor: batches.abandon_batch(
        application, asked.number, reason=asked.reason, actor=actor
    ),
)
REVERT = Question(
    "POST",
    "/api/batches/{number}/revert",
    Who.requestor,
    OneBatch,
    batches.Reversal,
    lambda application, asked, actor: batches.revert_batch(application, asked.number, actor=actor),
)
QUESTIONS: tuple[Question[Any, Any], ...] = (LIST, SEAL, SHOW, RETRY, ABANDON, REVERT)
