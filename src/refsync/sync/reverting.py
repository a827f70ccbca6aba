"""A batch that landed -> the changes that undo it, to be reviewed like any others.

What a batch did is read from git: each model's record in the commit that its change landed in, and in that commit's
first parent. Later edits of other fields stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from refsync.categories import CategoryDescriptor, CategoryName
from refsync.clone.ancestry import parents
from refsync.clone.repository import Repository
from refsync.documents.merge import (
    MergeConflict,
    Stamps,
    describe_conflict,
    describe_difference,
    merge_record,
    same_record,
)
from refsync.errors import BatchStateError, DocumentError, RequestError
from refsync.pending_queue.models import (
    Actor,
    AuditOperation,
    Batch,
    BatchState,
    PendingChangeRecord,
    PendingChangeStatus,
    Submission,
)
from refsync.pending_queue.queue_door import QueueDoor
from refsync.reference.kinds import records_as_written_at
from refsync.reference.versions import Versions
from refsync.reference.view import at_commit
from refsync.sync.plan import Model
from refsync.sync.planned_models import Record
from refsync.sync.reference import ReferenceRepository
from refsync.sync.renaming import linked
from refsync.sync.submitting import ReferenceTips


@dataclass(frozen=True)
class Reversal:
    """What undoes a batch; with ``conflicts`` it cannot be undone, and nothing is to be submitted.

    ``conflicts``, and ``remarks`` on what needs no undoing or cannot be as it was, are one line for each model.
    """

    submissions: list[Submission] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Deed:
    """What one commit of a batch did to a model; ``None`` where there was no record, or none was left."""

    before: Record | None
    after: Record | None
    variants: Mapping[str, _Deed] = field(default_factory=dict)


class _ConflictError(Exception):
    """Somebody has changed what is to be undone; carries how."""


def plan_reversal(queue: QueueDoor, tips: ReferenceTips, number: int, *, actor: Actor) -> Reversal:
    """What undoes a batch, by the reference as it is at the tip.

    Raises:
        BatchNotFoundError: no batch has this number.
        BatchStateError: it has not landed, or git cannot tell what it did.
        RequestError: nothing of it is left to undo.
        DocumentError: a category file cannot be read.
    """
    batch = queue.get_batch(number)
    if batch.state is not BatchState.landed:
        raise BatchStateError(f"batch {number} is {batch.state}; only one that has landed can be reverted")
    reversal, changes = Reversal(), queue.changes_of_batch(number)
    for model, deeds in _deeds(tips, batch, changes).items():
        _plan_model(reversal, tips, batch, model, deeds, actor)
    _link_renames(reversal, changes)
    if not reversal.submissions and not reversal.conflicts:
        raise RequestError(f"nothing of batch {number} is left to revert: {'; '.join(reversal.remarks[:8])}")
    return reversal


def _plan_model(
    reversal: Reversal, tips: ReferenceTips, batch: Batch, model: Model, deeds: Sequence[_Deed], actor: Actor
) -> None:
    category, name = model
    current, stamps = tips.record(category, name), tips.repository_of(category).stamps
    if all(_same(deed.before, deed.after, stamps) for deed in deeds):
        reversal.remarks.append(f"batch {batch.number} did not change {category} {name!r}")
        return
    try:
        wanted = _without(deeds, current, stamps)
        if wanted is None and current is not None:
            _check_variants(tips, category, deeds)
    except _ConflictError as conflict:
        reversal.conflicts.append(f"batch {batch.number}: {category} {name!r} {conflict}")
        return
    if _same(current, wanted, stamps):
        reversal.remarks.append(f"{category} {name!r} is as it was before batch {batch.number}")
        return
    if current is None and wanted is not None and not tips.is_derived(category):
        reversal.remarks.extend(_remarks_on_variants(category, wanted, deeds, stamps))
    reversal.submissions.append(_submission(batch, model, current, wanted, actor))


def _link_renames(reversal: Reversal, changes: Iterable[PendingChangeRecord]) -> None:
    """Let what was renamed be renamed back, in one."""
    names = {change.change_id: (change.category, change.model_name) for change in changes}
    places = {(each.category, each.model_name, each.operation): n for n, each in enumerate(reversal.submissions)}
    for change in changes:
        if change.lands_with not in names or change.operation != AuditOperation.CREATE:
            continue
        made = places.get((change.category, change.model_name, AuditOperation.DELETE))
        gone = places.get((*names[change.lands_with], AuditOperation.CREATE))
        if made is not None and gone is not None:
            halves = linked(reversal.submissions[made], reversal.submissions[gone])
            reversal.submissions[made], reversal.submissions[gone] = halves


def _check_variants(tips: ReferenceTips, category: CategoryName, deeds: Iterable[_Deed]) -> None:
    """See that the variants, which go with their model, are as the batch left them, too."""
    stamps = tips.repository_of(category).stamps
    for name, deed in _variants(deeds):
        current = tips.record(category, name)
        if current is not None and deed.after is not None and not _same(current, deed.after, stamps):
            differing = describe_difference(deed.after, current, stamps=stamps)
            raise _ConflictError(f"has a variant {name!r} that has changed: {differing}")


def _remarks_on_variants(category: CategoryName, model: Record, deeds: Iterable[_Deed], stamps: Stamps) -> list[str]:
    """The variants that come back with their model, but without what was their own."""
    return [
        f"{category} {name!r} comes back as its model makes it, without what was its own"
        for name, deed in _variants(deeds)
        if deed.before is not None and not _same(deed.before | {"name": None}, model | {"name": None}, stamps)
    ]


def _variants(deeds: Iterable[_Deed]) -> Iterator[tuple[str, _Deed]]:
    return (named for deed in deeds for named in deed.variants.items())


def _without(deeds: Iterable[_Deed], current: Record | None, stamps: Stamps) -> Record | None:
    """The record without what the batch did to it, newest first; ``None`` for none."""
    for deed in deeds:
        current = _undone(deed, current, stamps)
    return current


def _undone(deed: _Deed, current: Record | None, stamps: Stamps) -> Record | None:
    before, after = deed.before, deed.after
    if _same(before, after, stamps) or _same(current, before, stamps):
        return current
    if before is None or after is None:  # it came or went
        if not _same(current, after, stamps):
            raise _ConflictError(_why_not_swapped(deed, current or {}, stamps))
        return before
    if current is None:
        raise _ConflictError("does not exist any more, so its update cannot be undone")
    merged = merge_record(after, current, before, stamps=stamps)
    if isinstance(merged, MergeConflict):
        raise _ConflictError(f"has changed since: {describe_conflict(merged)}")
    return merged


def _why_not_swapped(deed: _Deed, current: Record, stamps: Stamps) -> str:
    if deed.after is None:
        differing = describe_difference(deed.before or {}, current, stamps=stamps)
        return f"exists again, with another record: {differing}"
    return f"has changed since it was created: {describe_difference(deed.after, current, stamps=stamps)}"


def _same(one: Record | None, other: Record | None, stamps: Stamps) -> bool:
    if one is None or other is None:
        return one is other
    return same_record(one, other, stamps=stamps)


def _submission(batch: Batch, model: Model, current: Record | None, wanted: Record | None, actor: Actor) -> Submission:
    if wanted is None:
        operation = AuditOperation.DELETE
    else:
        operation = AuditOperation.CREATE if current is None else AuditOperation.UPDATE
    return Submission(
        category=model[0],
        model_name=model[1],
        operation=operation,
        payload=wanted,
        requestor_id=actor.id,
        requestor_username=actor.username,
        notes=f"reverts batch {batch.number}: {batch.title}",
        os_user=actor.os_user,
        provider=actor.provider,
        reverts=batch.number,
    )


# What git tells


def _deeds(tips: ReferenceTips, batch: Batch, changes: Iterable[PendingChangeRecord]) -> dict[Model, list[_Deed]]:
    """What the batch did to each model, newest first; the models in the order of the changes."""
    deeds: dict[Model, list[_Deed]] = {}
    for (category, commit), models in _commits(batch, changes).items():
        before, after = _versions(tips.repository_of(category), category, batch, commit)
        for name, related in models.items():
            variants = {each: _Deed(before.get(each), after.get(each)) for each in related}
            deeds.setdefault((category, name), []).insert(0, _Deed(before.get(name), after.get(name), variants))
    return deeds


def _commits(
    batch: Batch, changes: Iterable[PendingChangeRecord]
) -> dict[tuple[CategoryName, str], dict[str, Sequence[str]]]:
    """Category and commit, oldest first -> the models that the batch's changes touched there, with their variants."""
    applied = [change for change in changes if change.status is PendingChangeStatus.APPLIED]
    if not applied:
        raise BatchStateError(f"batch {batch.number}: its changes were purged from the queue; revert it by hand")
    commits: dict[tuple[CategoryName, str], dict[str, Sequence[str]]] = {}
    for change in sorted(applied, key=lambda change: (change.applied_at or 0, change.change_id)):
        if change.commit is None:
            raise BatchStateError(
                f"batch {batch.number}: no commit is known of change {change.change_id}, for what it asked for was "
                "there already, or another program applied it; revert it by hand"
            )
        commits.setdefault((change.category, change.commit), {})[change.model_name] = change.related_models or ()
    return commits


def _versions(
    reference: ReferenceRepository, category: CategoryName, batch: Batch, commit: str
) -> tuple[Mapping[str, Record], Mapping[str, Record]]:
    """A category's records ahead of a commit and in it."""
    path = reference.written_file(category)
    assert path is not None  # for it is the repository of the category
    with Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
        if not clone.has(commit):
            raise BatchStateError(
                f"batch {batch.number}: {reference.path} does not have its commit {commit[:12]} any more; "
                "revert it by hand"
            )
        before = parents(clone, commit)
        described = reference.catalogue[category]
        return _records(clone, before[0], described, path) if before else {}, _records(clone, commit, described, path)


def _records(clone: Repository, commit: str, category: CategoryDescriptor, path: str) -> Mapping[str, Record]:
    try:
        return records_as_written_at(at_commit(clone, commit, Versions(clone.read_blob)), category, path)
    except DocumentError as problem:
        where = f"{problem.reason} (in {path} at {commit[:12]})"
        raise DocumentError(where, line=problem.line, column=problem.column) from None
