"""Whether the links in records hold, asked of their hosts, and what was said the last time."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import RootModel

from refsync.application import Application
from refsync.categories import CategoryName
from refsync.errors import RequestError
from refsync.hosts.asking import Asking
from refsync.hosts.link import Link, links_of
from refsync.hosts.probing import Hosts, Probed, Prober, host_of
from refsync.hosts.verdict import Verdict
from refsync.pending_queue.store.link_checks import LinkCheck

_DAY_SECONDS = 86_400.0
_HOUR_SECONDS = 3_600.0
_AT_ONCE = 20  # models of which the checks are kept in one transaction
_WRONG = frozenset({Verdict.gone, Verdict.changed})

Model = tuple[CategoryName, str]


class LinkChecks(RootModel[list[LinkCheck]]):
    """What became of links, in the order of their records."""

    @property
    def are_good(self) -> bool:
        """Whether no link is known to be wrong."""
        return not any(check.verdict in _WRONG for check in self.root)


class Progress(NamedTuple):
    """How far a probe is: answered links, and all that there are to ask about."""

    done: int
    total: int


@dataclass(frozen=True)
class Probe:
    """What is going to be asked about: each model with its links, and what is kept of those that need no asking."""

    application: Application
    models: dict[Model, list[Link]]
    kept: dict[Model, list[LinkCheck]]

    @property
    def links(self) -> list[Link]:
        """The links to ask about, each once."""
        return list(
            dict.fromkeys(link for model, links in self.models.items() if model not in self.kept for link in links)
        )

    def run(self) -> Iterator[Progress]:
        """Ask, and keep what is said; what was answered stays kept, whenever this ends."""
        links = self.links
        waiting = {model: set(links) for model, links in self.models.items() if model not in self.kept}
        models_of: dict[Link, list[Model]] = defaultdict(list)
        for model, wanted in waiting.items():
            for link in wanted:
                models_of[link].append(model)
        answers: dict[Link, LinkCheck] = {}
        whole: list[Model] = []
        try:
            for probed in _prober(self.application).probe(links):
                answers[probed.link] = _check(probed)
                for model in models_of[probed.link]:
                    waiting[model].discard(probed.link)
                    whole += [] if waiting[model] else [model]
                if len(whole) >= _AT_ONCE:
                    self._keep(whole, answers)
                yield Progress(len(answers), len(links))
        finally:
            self._keep(whole, answers)

    def _keep(self, models: list[Model], answers: Mapping[Link, LinkCheck]) -> None:
        """Keep the checks of these models, if there are any, and forget that they have to be kept."""
        if not models:
            return
        checks = [_of_model(model, answers[link]) for model in models for link in self.models[model]]
        with self.application.store.writing() as transaction:
            transaction.keep_link_checks(models, checks)
        models.clear()


def prepare_probe(
    application: Application, category: CategoryName | None, models: Sequence[str], *, again: bool
) -> Probe:
    """Find the links in what has landed, and what is known of them already.

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
    with application.store.reading() as transaction:
        known = transaction.link_checks(category)
    kept = (
        {} if again else _fresh(found, known, time.time() - application.config.probe.again_after_hours * _HOUR_SECONDS)
    )
    return Probe(application, found, kept)


def link_checks(application: Application, models: Sequence[Model]) -> LinkChecks:
    """What hosts said of the links of models, the last time that they were asked."""
    with application.store.reading() as transaction:
        known = _by_model(transaction.link_checks())
    return LinkChecks([check for model in models for check in known.get(model, [])])


def _held(application: Application) -> list[CategoryName]:
    return list(dict.fromkeys(category for each in application.repositories for category in each.files))


def _links(application: Application, category: CategoryName, models: Sequence[str]) -> Iterator[tuple[str, list[Link]]]:
    records = application.tips().records(category)
    for name in models:
        if name not in records:
            raise RequestError(f"{category} has no model {name!r} in what has landed")
    for name in models or records:
        if links := links_of(records[name]):
            yield name, links


def _fresh(found: dict[Model, list[Link]], known: Sequence[LinkCheck], since: float) -> dict[Model, list[LinkCheck]]:
    """What is kept of models of which all links were asked about since a moment, as the record has them now."""
    by_model = _by_model(known)
    fresh = {}
    for model, links in found.items():
        checks = by_model.get(model, [])
        said = [Link(check.url, check.said_sha256, check.said_size) for check in checks]
        if said == links and all(_is_settled(check, since) for check in checks):
            fresh[model] = checks
    return fresh


def _by_model(checks: Iterable[LinkCheck]) -> Mapping[tuple[str, str], list[LinkCheck]]:
    by_model: dict[tuple[str, str], list[LinkCheck]] = defaultdict(list)
    for check in checks:
        by_model[check.category, check.model_name].append(check)
    return by_model


def _is_settled(check: LinkCheck, since: float) -> bool:
    return check.checked_at >= since and check.verdict != Verdict.unknown


def _prober(application: Application) -> Prober:
    settings = application.config.probe
    with application.store.reading() as transaction:
        asked = transaction.hosts_asked_since(time.time() - _DAY_SECONDS)
    return Prober(
        Asking(allows_private=settings.allow_private),
        Hosts(settings.hugging_face, settings.civitai),
        most=lambda host: settings.most_a_day - asked.get(host, 0),
    )


def _check(probed: Probed) -> LinkCheck:
    link, found = probed.link, probed.found
    return LinkCheck(
        category="",
        model_name="",
        url=link.url,
        host=host_of(link),
        verdict=probed.verdict,
        said_sha256=link.sha256,
        said_size=link.size,
        sha256=found.sha256,
        size=found.size,
        why=found.why,
        elsewhere=found.elsewhere,
        checked_at=time.time(),
    )


def _of_model(model: Model, check: LinkCheck) -> LinkCheck:
    values: dict[str, Any] = {"category": model[0], "model_name": model[1]}
    return check.model_copy(update=values)
