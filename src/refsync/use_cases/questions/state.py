"""What is asked of the whole: how it stands, and what was counted."""

from __future__ import annotations

from typing import Any

from refsync.use_cases.metadata import Counters, Discrepancies, show_counters, verify_counters
from refsync.use_cases.questions.question import Arguments, Question, Who
from refsync.use_cases.status import Status, status


class Nothing(Arguments):
    """No arguments."""


class ShowCounters(Arguments):
    """All that was recorded, or one category."""

    category: str | None = None


STATUS = Question(
    "GET", "/api/status", Who.known, Nothing, Status, lambda application, asked, actor: status(application)
)
COUNTERS = Question(
    "GET",
    "/api/metadata",
    Who.known,
    ShowCounters,
    Counters,
    lambda application, asked, actor: show_counters(
        application, application.config.catalogue.parse(asked.category) if asked.category else None
    ),
)
VERIFY = Question(
    "POST",
    "/api/metadata/verify",
    Who.approver,
    Nothing,
    Discrepancies,
    lambda application, asked, actor: verify_counters(application),
)
QUESTIONS: tuple[Question[Any, Any], ...] = (STATUS, COUNTERS, VERIFY)
