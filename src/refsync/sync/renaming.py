"""A model's new name as what is submitted for it: a delete and a create that land together."""

from __future__ import annotations

from dataclasses import replace

from refsync.categories import CategoryName
from refsync.errors import RequestError
from refsync.pending_queue.models import Actor, AuditOperation, Submission
from refsync.pending_queue.payloads import check_model_name, check_old_name
from refsync.pending_queue.renames import RENAMED_FROM, RENAMED_TO
from refsync.sync.planned_models import Record
from refsync.sync.submitting import ReferenceTips


def rename_submissions(
    tips: ReferenceTips,
    category: CategoryName,
    old: str,
    new: str,
    *,
    actor: Actor,
    notes: str | None = None,
) -> list[Submission]:
    """The two changes that give a model another name: its record goes on as it is, but for what says the name in it.

    Raises:
        UnknownCategoryError: no repository holds the category.
        DocumentError: its file cannot be read.
        RequestError: there is no such model, there is one with the new name, or the name cannot be used.
    """
    records = tips.records(category)
    old, new = _base_name(tips, category, check_old_name(old)), _base_name(tips, category, check_model_name(new))
    if old not in records:
        raise RequestError(f"{category} has no model {old!r} in what has landed, so there is nothing to rename")
    if new == old:
        raise RequestError(f"{old!r} is its name already; give it another one")
    if new in records:
        raise RequestError(f"{category} {new!r} exists already; delete or rename that first")
    return linked(
        _half(category, old, AuditOperation.DELETE, None, actor, notes),
        _half(category, new, AuditOperation.CREATE, tips.under(category, old, new), actor, notes),
    )


def linked(delete: Submission, create: Submission) -> list[Submission]:
    """The two as halves of a rename."""
    return [
        replace(delete, request_metadata={**(delete.request_metadata or {}), RENAMED_TO: create.model_name}),
        replace(create, request_metadata={**(create.request_metadata or {}), RENAMED_FROM: delete.model_name}),
    ]


def _half(
    category: CategoryName,
    name: str,
    operation: AuditOperation,
    payload: Record | None,
    actor: Actor,
    notes: str | None,
) -> Submission:
    return Submission(
        category=category,
        model_name=name,
        operation=operation,
        payload=payload,
        requestor_id=actor.id,
        requestor_username=actor.username,
        notes=notes,
        os_user=actor.os_user,
        provider=actor.provider,
    )


def _base_name(tips: ReferenceTips, category: CategoryName, name: str) -> str:
    """The model's name, also where that of one of its variants was asked for."""
    return tips.bases(category).get(name, name)
