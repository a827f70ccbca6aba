"""Records made from what a host tells of a URL, to be submitted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from refsync.application import Application
from refsync.categories import CategoryName
from refsync.documents.shape import shape_of
from refsync.errors import ModelNotFoundError, RequestError
from refsync.hosts.asking import CannotAskError, RationOverError
from refsync.hosts.describing import describe
from refsync.hosts.description import Description
from refsync.hosts.filling import CannotFillError, Filled, edited_record, new_record
from refsync.hosts.link import Link
from refsync.hosts.probing import Hosts, Probed
from refsync.hosts.verdict import Standing, judge
from refsync.link_fields import LinkFields
from refsync.pending_queue.models import AuditOperation
from refsync.pending_queue.payloads import check_model_name
from refsync.use_cases.links.asking import asking_of, keep_answers, own_turn_to_ask
from refsync.use_cases.links.evidence import Evidence, FilledRecord

_PATIENCE_SECONDS = 10.0
_AT_MOST_SECONDS = 30.0


def fill_record(
    application: Application,
    category: CategoryName,
    operation: AuditOperation,
    url: str,
    *,
    model: str | None = None,
    given: Mapping[str, Any] | None = None,
) -> FilledRecord:
    """Ask a URL's host, and make a record of what it tells.

    Args:
        application: the installation.
        category: of the model.
        operation: create, or an update of which the record's file is another one now.
        url: of the file, or of its page.
        model: its name; of a new one what the host calls it by default.
        given: fields of a new record that are known already; of an update the record, the present one by default.

    Raises:
        UnknownCategoryError: no repository holds the category.
        ModelNotFoundError: there is no such model to be updated.
        RequestError: nothing can be made of the URL.
        DocumentError: the category file cannot be read.
    """
    records = application.tips().records(category)
    fields = application.config.catalogue[category].links
    if fields is None:
        raise RequestError(f"nobody knows where records of {category} keep links; its config says so by `links`")
    base = _base(records, category, operation, model, given)
    told = _described(application, url)
    name = check_model_name(model or told.model["name"].value)
    if operation is AuditOperation.CREATE and (key := shape_of(application.config.catalogue[category]).field):
        base = {key: name, **base}
    try:
        filled = _filled(base, told, fields, records, name, operation)
    except CannotFillError as problem:
        raise RequestError(f"{category} {name!r}: {problem}, so that no link can stand there") from None
    return FilledRecord(
        category=category,
        model_name=name,
        operation=operation,
        record=filled.record,
        evidence=Evidence(url=url, asked=told.asked, asked_at=time.time(), fields=filled.sources),
        lacking=filled.lacking,
    )


def _base(
    records: Mapping[str, Any],
    category: CategoryName,
    operation: AuditOperation,
    model: str | None,
    given: Mapping[str, Any] | None,
) -> Mapping[str, Any]:
    if operation is AuditOperation.CREATE:
        return given or {}
    if operation is AuditOperation.DELETE:
        raise RequestError("a delete needs no record: leave --from out")
    if model is None:
        raise RequestError("say which model is to be updated")
    if given is None and model not in records:
        raise ModelNotFoundError(f"{category} has no model {model!r} in what has landed")
    return records[model] if given is None else given


def _filled(
    base: Mapping[str, Any],
    told: Description,
    fields: LinkFields,
    records: Mapping[str, Any],
    name: str,
    operation: AuditOperation,
) -> Filled:
    if operation is AuditOperation.CREATE:
        return new_record(base, told, fields, list(records.values()), name)
    filled = edited_record(base, told, fields)
    if filled is None:
        raise RequestError(
            f"{name!r} has several files, and none is called {told.file.name.value!r}: give the record by --payload"
        )
    return filled


def _described(application: Application, url: str) -> Description:
    """What the host tells; what it says of the link is kept, too."""
    settings = application.config.probe
    with own_turn_to_ask(application, _PATIENCE_SECONDS):
        asking = asking_of(application, within_seconds=_AT_MOST_SECONDS)
        answered = []
        try:
            told = describe(url, Hosts(settings.hugging_face, settings.civitai), asking)
            sha256 = told.file.sha256.value if told.file.sha256 else None
            link = Link(told.file.url.value, sha256, told.file.size.value if told.file.size else None)
            answered.append(Probed(link, judge(link, told.found), told.found))
        except (CannotAskError, RationOverError) as problem:
            raise RequestError(f"{url}: {problem}") from None
        finally:
            keep_answers(application, asking, answered)
    if told.found.standing is not Standing.there:
        raise RequestError(f"{url}: {_WHY[told.found.standing] or told.found.why}")
    return told


_WHY = {
    Standing.gone: "the host has no such file",
    Standing.login_needed: "the host tells only those who log in; give the record by --payload",
    Standing.unknown: None,
}
