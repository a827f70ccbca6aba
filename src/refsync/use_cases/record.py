"""One model as readers get it; a module of its own, because it needs no more than the settings and the file."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from refsync.application import open_reader
from refsync.categories import CategoryName
from refsync.config import Config
from refsync.errors import CloneError, RequestError
from refsync.use_cases.answer import AnswerOf


class Record(AnswerOf[dict[str, Any]]):
    """A model's record, its fields in the file's order."""


def show_model(config: Config, category: CategoryName, model: str) -> Record:
    """The record as readers get it.

    Raises:
        UnknownCategoryError: no repository holds the category.
        CloneError: its file is not there.
        RequestError: there is no such model.
    """
    reader = open_reader(config, category)
    records = reader.fetch_category(category, force_refresh=True)
    if records is None:
        raise CloneError(
            f"{reader.get_category_file_path(category)}: there is no such file, so {category} has no models"
        )
    if model not in records:
        raise RequestError(f"{category} has no model {model!r}{_nearest(model, records)}")
    return Record(records[model])


def _nearest(name: str, known: Iterable[str]) -> str:
    lowered = {each.lower(): each for each in known}
    found = get_close_matches(name.lower(), lowered, n=1)
    return f"; the nearest is {lowered[found[0]]!r}" if found else ""
