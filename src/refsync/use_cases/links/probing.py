"""Whether the links in what has landed hold, asked of their hosts, and what these said the last time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from refsync.application import Application
from refsync.categories import CategoryName
from refsync.errors import RequestError
from refsync.hosts.link import Link, links_of
from refsync.use_cases.answer import AnswerOf
from refsync.use_cases.links.asking import ask_hosts, asking_of, own_turn_to_ask, prober_of
from refsync.use_cases.links.kept import LinkAnswer, fresh_since, kept_of

_PATIENCE_SECONDS = 30.0

Model = tuple[CategoryName, str]


class LinkAnswers(AnswerOf[list[LinkAnswer]]):
    """What became of links, in the order of their records."""

    @property
    def are_good(self) -> bool:
        """Whether no link is known to be wrong."""
        return not any(answer.is_wrong for answer in self.root)


class Progress(NamedTuple):
    """How far a probe is: answered links, and all that there are to ask about."""

    done: int
    total: int


@dataclass(frozen=True)
class Probe:
    """What is going to be asked about: the links of each model, and those of them that need asking, each once."""

    application: Application
    models: Mapping[Model, Sequence[Link]]
    links: Sequence[Link]

    def run(self) -> Iterator[Progress]:
        """Ask, and keep what is said; what was answered stays kept, whenever this ends.

        Raises:
            RequestError: another process asks hosts for long.
        """
        if not self.links:
            return
        with own_turn_to_ask(self.application, _PATIENCE_SECONDS):
            prober = prober_of(self.application.config.probe, asking_of(self.application))
            for done, _ in enumerate(ask_hosts(self.application, prober, self.links), start=1):
                yield Progress(done, len(self.links))

    def answers(self) -> LinkAnswers:
        """What is known of all links now."""
        kept = kept_of(self.application, (link for links in self.models.values() for link in links))
        return LinkAnswers(
            [kept.answer(category, model, link) for (category, model), links in self.models.items() for link in links]
        )


def prepare_probe(
    application: Application, category: CategoryName | None, models: Sequence[str], *, again: bool
) -> Probe:
    """Find the links in what has landed, and which of them need asking.

    Args:
        application: the installation.
        category: the category to look at, all that are held by default.
        models: its models to look at, all by default.
        again: whether to ask also about what was asked a short while ago.

    Raises:
        UnknownCategoryError: no repository holds the category.
        RequestError: there is no such model.
        DocumentError: a category file cannot be read.
    """
    categories = _held(application) if category is None else [category]
    found = {(each, name): links for each in categories for name, links in _links(application, each, models)}
    links = dict.fromkeys(link for links in found.values() for link in links)
    kept, since = kept_of(application, links), time.time() if again else fresh_since(application)
    return Probe(application, found, [link for link in links if not kept.is_settled(link, since)])


def model_links(application: Application, category: CategoryName, model: str) -> LinkAnswers:
    """What hosts said of the links of a model, the last time that they were asked; none is asked.

    Raises:
        UnknownCategoryError: no repository holds the category.
        RequestError: there is no such model.
        DocumentError: the category file cannot be read.
    """
    links = dict(_links(application, category, [model])).get(model, [])
    return Probe(application, {(category, model): links}, []).answers()


def _held(application: Application) -> list[CategoryName]:
    return list(dict.fromkeys(category for each in application.repositories for category in each.files))


def _links(application: Application, category: CategoryName, models: Sequence[str]) -> Iterator[tuple[str, list[Link]]]:
    tips, fields = application.tips(), application.config.catalogue[category].links
    tips.repository_of(category)
    if fields is None and not models:
        return
    records = tips.records(category)
    for name in models:
        if name not in records:
            raise RequestError(f"{category} has no model {name!r} in what has landed")
    for name in models or records:
        if links := links_of(records[name], fields):
            yield name, links
