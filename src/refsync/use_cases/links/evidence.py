"""Where the fields of a change's record come from, as who submitted it has it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from refsync.pending_queue.models import AuditOperation, PendingChangeRecord
from refsync.use_cases.answer import Answer, Text

KEY = "evidence"
"""In a change's ``request_metadata``."""


class Evidence(BaseModel):
    """A record filled from a URL.

    ``asked`` is what its host was asked, at ``asked_at`` (Unix seconds); ``fields`` says of each filled field under
    what the host told it.
    """

    url: str
    asked: str
    asked_at: float
    fields: dict[str, str]


class FilledRecord(Answer):
    """A record to be submitted: where its fields come from, and which fields all other records have and it lacks."""

    category: str
    model_name: Text
    operation: AuditOperation
    record: dict[str, Any]
    evidence: Evidence
    lacking: list[Text]


def evidence_of(change: PendingChangeRecord) -> Evidence | None:
    """What a change says of where its record comes from; nobody has looked whether that is true."""
    try:
        return Evidence.model_validate((change.request_metadata or {}).get(KEY))
    except ValidationError:
        return None
