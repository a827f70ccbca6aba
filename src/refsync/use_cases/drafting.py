"""What somebody begins with who asks for a change: names to choose from, and a record to edit."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from refsync.application import Application
from refsync.categories import CanonicalFormat, CategoryName
from refsync.sync.submitting import coming_record
from refsync.use_cases.answer import Answer, AnswerOf
from refsync.use_cases.reading import read_category

MOST_NAMES = 50


class Names(AnswerOf[list[str]]):
    """Models' names, those that begin as was asked ahead of those that only hold it."""


class Draft(Answer):
    """A record to begin with: the model's own, or for a new one the blank shape of its neighbour's, ``like``."""

    category: CategoryName
    model: str
    is_new: bool
    like: str | None
    record: dict[str, Any]


def find_names(application: Application, category: CategoryName, text: str) -> Names:
    """The first names of a category that hold a text, upper and lower case alike.

    Raises:
        UnknownCategoryError: it is not held, or its file is not there.
    """
    wanted = text.casefold()
    hits = [name for name in read_category(application, category, CanonicalFormat.v2) if wanted in name.casefold()]
    hits.sort(key=lambda name: (not name.casefold().startswith(wanted), name.casefold()))
    return Names(hits[:MOST_NAMES])


def draft_record(application: Application, category: CategoryName, model: str) -> Draft:
    """The record that a change of a model begins with: what has landed, or what the newest open change makes of it.

    Raises:
        UnknownCategoryError: no repository holds the category.
        DocumentError: the file at the tip cannot be read.
    """
    records = application.tips().records(category)
    record = coming_record(application.queue, category, model) if model not in records else records[model]
    if record is not None:
        return Draft(category=category, model=model, is_new=False, like=None, record=record)
    like = _neighbour(model, records)
    shape = {"name": model} if like is None else _named(_blank(records[like]), model)
    return Draft(category=category, model=model, is_new=True, like=like, record=shape)


def _neighbour(model: str, records: Mapping[str, Any]) -> str | None:
    """The name that is nearest, or else the last."""
    lowered = {name.lower(): name for name in records}
    near = get_close_matches(model.lower(), lowered, n=1)
    return lowered[near[0]] if near else next(reversed([*records]), None)


def _named(record: dict[str, Any], model: str) -> dict[str, Any]:
    return {**record, "name": model} if "name" in record else record


def _blank(value: Any) -> Any:
    """A value of the same kind that says nothing; of a list one element."""
    if isinstance(value, dict):
        return {key: _blank(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_blank(each) for each in value[:1]]
    if isinstance(value, bool) or value is None:
        return value and False
    return 0 if isinstance(value, int | float) else ""
