"""What a batch made of its models: before and after are what git has, not what was wanted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from refsync.application import Application
from refsync.categories import CanonicalFormat, CategoryName
from refsync.clone.ancestry import parents
from refsync.clone.repository import Repository
from refsync.documents.merge import Stamps
from refsync.errors import BatchNotFoundError
from refsync.pending_queue.diffs import diff_records
from refsync.pending_queue.models import AuditOperation, Batch, PendingChangeRecord, PendingChangeStatus
from refsync.reference.versions import Versions
from refsync.reference.view import at_commit
from refsync.use_cases.answer import Sparse
from refsync.use_cases.audit import domain

ModelKey = tuple[CategoryName, str]


class NetChange(Sparse):
    """What became of one model; ``net_operation`` is ``added``, ``modified``, ``deleted`` or ``unchanged``."""

    model_name: str
    category: str
    net_operation: str
    before_state: dict[str, Any] | None
    after_state: dict[str, Any] | None
    field_diffs: list[dict[str, Any]]
    is_critical: bool


class NetChanges(Sparse):
    """What became of every model of a batch."""

    batch_id: int
    batch_title: str | None
    domain: str
    model_changes: list[NetChange]
    models_added: int
    models_modified: int
    models_deleted: int
    models_unchanged: int
    total_field_changes: int
    has_critical_changes: bool
    generated_at: int


def net_changes(application: Application, number: int, format: CanonicalFormat | None = None) -> NetChanges:
    """Compare the commit that a batch landed in with the one before it.

    Args:
        application: the parts.
        number: of the batch.
        format: of the files that are compared; by default the one that changes are written in.

    Raises:
        BatchNotFoundError: there is no such batch, or it has not landed.
        RefsyncError: its commit cannot be read.
    """
    batch = application.queue.get_batch(number)
    if batch.landed_at is None:
        raise BatchNotFoundError(
            f"batch {number} is {batch.state}, so there is no commit yet that shows what it changed"
        )
    changes = list(_compared(application, batch, format))
    counts = {kind: sum(each.net_operation == kind for each in changes) for kind in _KINDS}
    return NetChanges(
        batch_id=number,
        batch_title=batch.title or None,
        domain=domain(application) if format is None else format.value,
        model_changes=changes,
        **{f"models_{kind}": count for kind, count in counts.items()},
        total_field_changes=sum(len(each.field_diffs) for each in changes),
        has_critical_changes=any(each.is_critical for each in changes),
        generated_at=int(time.time()),
    )


_KINDS = ("added", "modified", "deleted", "unchanged")


def _compared(application: Application, batch: Batch, format: CanonicalFormat | None) -> Iterator[NetChange]:
    reference = next((each for each in application.repositories if each.name == batch.repository), None)
    if reference is None or batch.commit is None:  # all of it was done already, so there was nothing to write
        return
    models = _models(application.queue.changes_of_batch(batch.number))
    critical = application.config.critical_fields()
    with Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
        versions = Versions(clone.read_blob, editable=False)
        before = at_commit(clone, next(iter(parents(clone, batch.commit)), ""), versions)
        after = at_commit(clone, batch.commit, versions)
        for category, model in models:
            if reference.files.get(category, {}).get(format or reference.written_format(category)):
                records = (reference.record(view, category, model, format) for view in (before, after))
                yield _net_change(category, model, *records, critical=critical[category], stamps=reference.stamps)


def _models(changes: list[PendingChangeRecord]) -> list[ModelKey]:
    """What landed, each model once, with the variants that follow it."""
    landed = [change for change in changes if change.status is PendingChangeStatus.APPLIED]
    names = (
        (change.category, name) for change in landed for name in (change.model_name, *(change.related_models or ()))
    )
    return list(dict.fromkeys(names))


def _net_change(
    category: CategoryName,
    model: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    *,
    critical: tuple[str, ...],
    stamps: Stamps,
) -> NetChange:
    done = PendingChangeRecord(
        change_id=0,
        category=category,
        model_name=model,
        operation=AuditOperation.DELETE if after is None else AuditOperation.UPDATE,
        payload=after,
        requested_by="-",
        requested_username="-",
    )
    found = diff_records(done, before, critical_fields=critical, stamps=stamps)
    return NetChange(
        model_name=model,
        category=category,
        net_operation=found.net_operation,
        before_state=before,
        after_state=after,
        field_diffs=found.field_diffs,
        is_critical=found.is_critical,
    )
