"""One model, as history knows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from refsync.application import Application
from refsync.categories import CategoryName
from refsync.errors import ModelNotFoundError, RequestError
from refsync.review.blame import Origin
from refsync.sync.tracing import ModelCommit, blame_model, tell_model, trace_model
from refsync.use_cases.answer import Answer, AnswerOf


class TouchingCommit(Answer):
    """What one commit did to a model; people's names as the commit has them."""

    commit: str
    committed_at: int
    operation: str
    renamed_from: str | None
    subject: str
    author: str
    batch: int | None
    requested_by: list[str]
    approved_by: list[str]


class History(AnswerOf[list[TouchingCommit]]):
    """The commits that touched a model, oldest first."""


class FieldOrigin(TouchingCommit):
    """A field by its dotted path, its present value, and the commit that brought it."""

    field_path: str
    value: Any


class Blame(AnswerOf[list[FieldOrigin]]):
    """Each field of a model's present record."""


class Story(Answer):
    """A model's history, and who gave each field of its present record its value; no field of one that is gone."""

    history: list[TouchingCommit]
    fields: list[FieldOrigin]


def model_history(application: Application, category: CategoryName, model: str) -> History:
    """Which commits created, changed and deleted a model, by whom, in which batch.

    Raises:
        UnknownCategoryError: no repository holds the category.
        ModelNotFoundError: no commit ever touched the model.
    """
    commits = trace_model(application.tips().repository_of(category), application.queue, category, model)
    return History(_touching(category, model, commits))


def model_blame(application: Application, category: CategoryName, model: str) -> Blame:
    """For each field, the commit that gave it its present value.

    Raises:
        UnknownCategoryError: no repository holds the category.
        RequestError: the model is not in what has landed.
    """
    fields = blame_model(application.tips().repository_of(category), application.queue, category, model)
    if not fields:
        raise RequestError(f"{category} has no model {model!r} in what has landed")
    return Blame(_origins(fields))


def model_story(application: Application, category: CategoryName, model: str) -> Story:
    """Both of these, by one walk over the history.

    Raises:
        UnknownCategoryError: no repository holds the category.
        ModelNotFoundError: no commit ever touched the model.
    """
    commits, fields = tell_model(application.tips().repository_of(category), application.queue, category, model)
    return Story(history=_touching(category, model, commits), fields=_origins(fields))


def _touching(category: CategoryName, model: str, commits: Iterable[ModelCommit]) -> list[TouchingCommit]:
    if not (found := [TouchingCommit(**vars(commit)) for commit in commits]):
        raise ModelNotFoundError(f"no commit ever touched {category} {model!r}")
    return found


def _origins(fields: Iterable[Origin[ModelCommit]]) -> list[FieldOrigin]:
    return [FieldOrigin(field_path=each.field_path, value=each.value, **vars(each.commit)) for each in fields]
