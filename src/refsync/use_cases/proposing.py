"""Changes submitted by programs that say what has to be there: a new model is new, one that is edited exists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refsync.application import Application
from refsync.categories import CanonicalFormat, CategoryName
from refsync.errors import ModelExistsError, RequestError
from refsync.pending_queue.models import Actor, AuditOperation, PendingChangeRecord, Submission
from refsync.use_cases.submitting import submit_change


def propose_new(
    application: Application, category: CategoryName, model: str, record: Mapping[str, Any], *, actor: Actor
) -> PendingChangeRecord:
    """Submit a new model.

    Raises:
        UnknownCategoryError: no repository holds the category.
        ModelExistsError: there is one of this name.
        RequestError: it is refused.
    """
    if application.tips().record(category, model) is not None:
        raise ModelExistsError(f"{category} has a model {model!r} already; edit it instead")
    return submit_change(application, _submission(AuditOperation.CREATE, category, model, record, actor))


def propose_edit(
    application: Application, category: CategoryName, model: str, record: Mapping[str, Any], *, actor: Actor
) -> PendingChangeRecord:
    """Submit a model's new record. Its ``name`` may be left out, which leaves it as it is.

    Raises:
        UnknownCategoryError: no repository holds the category.
        ModelNotFoundError: there is no such model, and no open change creates it.
        RequestError: the record names another model, or the change is refused.
    """
    stored = application.tips().record(category, model) or {}
    if "name" in record and record["name"] not in (model, stored.get("name", model)):
        raise RequestError(f"the record is named {record['name']!r}, the path {model!r}; a name is not edited")
    named = {"name": stored["name"], **record} if "name" in stored and "name" not in record else record
    return submit_change(application, _submission(AuditOperation.UPDATE, category, model, named, actor))


def propose_removal(
    application: Application, category: CategoryName, model: str, *, actor: Actor
) -> PendingChangeRecord:
    """Submit that a model is to go.

    Raises:
        UnknownCategoryError: no repository holds the category.
        ModelNotFoundError: there is no such model, and no open change creates it.
    """
    return submit_change(application, _submission(AuditOperation.DELETE, category, model, None, actor))


def check_written_as(application: Application, category: CategoryName, format: CanonicalFormat) -> None:
    """Refuse a legacy record for a category that is written as v2; one that v2 readers get is taken as they get it.

    Raises:
        UnknownCategoryError: no repository holds the category.
        RequestError: changes of it are written in the other format.
    """
    written = application.tips().repository_of(category).written_format(category)
    if format is CanonicalFormat.legacy and written is not format:
        raise RequestError(f"{category} is written as {written} here; submit it under /model_references/v2/{category}")


def _submission(
    operation: AuditOperation, category: CategoryName, model: str, record: Mapping[str, Any] | None, actor: Actor
) -> Submission:
    payload = None if record is None else dict(record)
    return Submission(
        category,
        model,
        operation,
        payload,
        actor.id,
        actor.username,
        os_user=actor.os_user,
        provider=actor.provider,
    )
