"""A model's new name."""

from __future__ import annotations

from refsync.application import Application
from refsync.categories import CategoryName
from refsync.pending_queue.models import Actor, PendingChangeRecord
from refsync.sync.renaming import rename_submissions
from refsync.use_cases.answer import AnswerOf


class Rename(AnswerOf[list[PendingChangeRecord]]):
    """The two changes that rename a model: the delete, and the create."""


def rename_model(
    application: Application,
    category: CategoryName,
    old: str,
    new: str,
    *,
    actor: Actor,
    notes: str | None = None,
) -> Rename:
    """Submit a model's new name: a delete and a create that land together or not at all.

    Raises:
        UnknownCategoryError: no repository holds the category.
        RequestError: there is no such model, or the new name cannot be had.
    """
    halves = rename_submissions(application.tips(), category, old, new, actor=actor, notes=notes)
    return Rename(application.queue.enqueue_many(halves))
