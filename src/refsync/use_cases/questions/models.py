"""What is asked of single models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refsync.application import Application
from refsync.categories import CategoryName
from refsync.use_cases import drafting, models
from refsync.use_cases.links.probing import LinkAnswers, model_links
from refsync.use_cases.questions.question import Arguments, Question, R, Who
from refsync.use_cases.record import Record, show_model


class OneModel(Arguments):
    """A model of a category."""

    category: str
    model: str


class SomeModels(Arguments):
    """The models of a category whose names hold a text."""

    category: str
    text: str = ""


def _of_one(what: str, answer: type[R], call: Callable[[Application, CategoryName, str], R]) -> Question[OneModel, R]:
    """What is asked of one model, by the last word of its path."""
    return Question(
        "GET",
        f"/api/models/{{category}}/{{model:path}}/{what}",
        Who.known,
        OneModel,
        answer,
        lambda application, asked, actor: call(
            application, application.config.catalogue.parse(asked.category), asked.model
        ),
    )


NAMES = Question(
    "GET",
    "/api/models/{category}",
    Who.known,
    SomeModels,
    drafting.Names,
    lambda application, asked, actor: drafting.find_names(
        application, application.config.catalogue.parse(asked.category), asked.text
    ),
)
SHOW = _of_one("record", Record, lambda application, category, model: show_model(application.config, category, model))
DRAFT = _of_one("draft", drafting.Draft, drafting.draft_record)
HISTORY = _of_one("history", models.History, models.model_history)
STORY = _of_one("story", models.Story, models.model_story)
BLAME = _of_one("blame", models.Blame, models.model_blame)
LINKS = _of_one("links", LinkAnswers, model_links)
QUESTIONS: tuple[Question[Any, Any], ...] = (NAMES, SHOW, DRAFT, HISTORY, STORY, BLAME, LINKS)
