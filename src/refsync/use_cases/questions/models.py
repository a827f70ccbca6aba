"""What is asked of single models."""

from __future__ import annotations

from typing import Any

from refsync.use_cases import drafting, models
from refsync.use_cases.links.probing import LinkAnswers, model_links
from refsync.use_cases.questions.question import Arguments, Question, Who
from refsync.use_cases.record import Record, show_model


class OneModel(Arguments):
    """A model of a category."""

    category: str
    model: str


class SomeModels(Arguments):
    """The models of a category whose names hold a text."""

    category: str
    text: str = ""


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
DRAFT = Question(
    "GET",
    "/api/models/{category}/{model:path}/draft",
    Who.known,
    OneModel,
    drafting.Draft,
    lambda application, asked, actor: drafting.draft_record(
        application, application.config.catalogue.parse(asked.category), asked.model
    ),
)
SHOW = Question(
    "GET",
    "/api/models/{category}/{model:path}/record",
    Who.known,
    OneModel,
    Record,
    lambda application, asked, actor: show_model(
        application.config, application.config.catalogue.parse(asked.category), asked.model
    ),
)
HISTORY = Question(
    "GET",
    "/api/models/{category}/{model:path}/history",
    Who.known,
    OneModel,
    models.History,
    lambda application, asked, actor: models.model_history(
        application, application.config.catalogue.parse(asked.category), asked.model
    ),
)
STORY = Question(
    "GET",
    "/api/models/{category}/{model:path}/story",
    Who.known,
    OneModel,
    models.Story,
    lambda application, asked, actor: models.model_story(
        application, application.config.catalogue.parse(asked.category), asked.model
    ),
)
BLAME = Question(
    "GET",
    "/api/models/{category}/{model:path}/blame",
    Who.known,
    OneModel,
    models.Blame,
    lambda application, asked, actor: models.model_blame(
        application, application.config.catalogue.parse(asked.category), asked.model
    ),
)
LINKS = Question(
    "GET",
    "/api/models/{category}/{model:path}/links",
    Who.known,
    OneModel,
    LinkAnswers,
    lambda application, asked, actor: model_links(
        application, application.config.catalogue.parse(asked.category), asked.model
    ),
)
QUESTIONS: tuple[Question[Any, Any], ...] = (NAMES, SHOW, DRAFT, HISTORY, STORY, BLAME, LINKS)
