"""What was observed -> what to do. Pure: no I/O, no clock, no log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from refsync.categories import MODEL_REFERENCE_CATEGORY
from refsync.documents.merge import (
    NO_STAMPS,
    MergeConflict,
    Stamps,
    describe_conflict,
    describe_difference,
    merge_record,
    same_record,
)
from refsync.documents.text_derivation import variants
from refsync.errors import DocumentError, PayloadError
from refsync.pending_queue.holds import Hold, HoldKind
from refsync.pending_queue.models import AuditOperation, PendingChangeRecord

Record = dict[str, Any]
Model = tuple[MODEL_REFERENCE_CATEGORY, str]
Stamp = Callable[[PendingChangeRecord, Record, Record | None], Record]
"""Gives the record of a change (change, record to write, record there now) with its stamps."""


@dataclass(frozen=True)
class Observed:
    """What the plan needs to know of the world.

    Attributes:
        files: category to the path that its changes edit; a category that is not there is held nowhere.
        documents: path to its records at the tip (empty for a file that does not exist yet), or why it
            cannot be edited.
        edited: paths with a person's uncommitted edits in the work tree.
        awaited: model to the number of an earlier batch that touches it and has not landed.
        checks: for a category whose files cannot hold every record, what raises PayloadError for one (by its
            model; ``None`` for none) that they cannot.
        derived: the categories whose document is made from a table, so that the variants of a model follow there.
        stamps: what is written into records by itself, and so is not compared.
        faults: path to what gives, for a model of the document, why it cannot be changed safely, or removed (``True``),
            though others can.
    """

    files: Mapping[MODEL_REFERENCE_CATEGORY, str]
    documents: Mapping[str, Mapping[str, Record] | DocumentError]
    edited: Collection[str] = ()
    awaited: Mapping[Model, int] = field(default_factory=dict)
    checks: Mapping[MODEL_REFERENCE_CATEGORY, Callable[[str, Record | None], None]] = field(default_factory=dict)
    derived: Collection[MODEL_REFERENCE_CATEGORY] = ()
    stamps: Stamps = field(default_factory=lambda: NO_STAMPS)
    faults: Mapping[str, Callable[[str, bool], DocumentError | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """A change that cannot go on, and why: one line."""

    change_id: int
    reason: str


@dataclass(frozen=True)
class Waiting:
    """A change that has to wait, and for what."""

    change_id: int
    hold: Hold


@dataclass
class BatchPlan:
    """What to do with the changes of one batch.

    Attributes:
        edits: path to model to the record to write, or ``None`` to remove it; only what differs.
        written: ids of the changes that the commit carries.
        done: ids of the changes that ask for what is there already.
        conflicts: the changes to reject.
        waiting: the changes that have to wait for a person or for an earlier batch.
    """

    edits: dict[str, dict[str, Record | None]] = field(default_factory=dict)
    written: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    conflicts: list[Refusal] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)


class _ConflictError(Exception):
    """The change cannot be applied to what is there; carries the reason."""


def plan_batch(changes: Iterable[PendingChangeRecord], observed: Observed, stamp: Stamp | None = None) -> BatchPlan:
    """Decide each change in order, later ones on top of what earlier ones leave.

    Args:
        changes: the batch's approved changes, ascending by id.
        observed: the world at the tip of the target branch.
        stamp: writes provenance into records, where the repository wants it.
    """
    plan = BatchPlan()
    now: dict[str, dict[str, Record | None]] = {}
    for change in changes:
        if hold := _must_wait(change, observed):
            plan.waiting.append(Waiting(change.change_id, hold))
            continue
        path = observed.files[change.category]
        before = _records(observed, path)
        touched = now.setdefault(path, {})
        there = {name: (touched if name in touched else before).get(name) for name in _models(change, observed)}
        current = there[change.model_name]
        try:
            wanted = _decide(change, current, observed.stamps)
            if wanted is current:
                plan.done.append(change.change_id)
                continue
            _check_stampable(change, wanted, observed.stamps)
            record = _stamped(stamp, change, wanted, current)
            _check_record(observed, change, record)
            touched |= {change.model_name: record} | _follow(stamp, change, wanted, there, observed.stamps)
            plan.written.append(change.change_id)
        except _ConflictError as conflict:
            plan.conflicts.append(Refusal(change.change_id, str(conflict)))
    plan.edits = _net_edits(now, observed)
    return plan


def _net_edits(
    now: Mapping[str, Mapping[str, Record | None]], observed: Observed
) -> dict[str, dict[str, Record | None]]:
    """What is left to write when changes of one batch cancelled each other."""
    edits: dict[str, dict[str, Record | None]] = {}
    for path, touched in now.items():
        before = _records(observed, path)
        for model, record in touched.items():
            if record is not before.get(model):
                edits.setdefault(path, {})[model] = record
    return edits


def _records(observed: Observed, path: str) -> Mapping[str, Record]:
    document = observed.documents[path]
    assert not isinstance(document, DocumentError)  # such changes wait
    return document


def _must_wait(change: PendingChangeRecord, observed: Observed) -> Hold | None:
    path = observed.files.get(change.category)
    if path is None:
        told = f"the batch's repository does not hold {change.category} any more; add the category to it again"
        return Hold(kind=HoldKind.category_left, reason=told, about=change.category)
    document = observed.documents[path]
    if isinstance(document, DocumentError):
        return _unreadable(path, document)
    if path in observed.edited:
        told = f"{path} has local edits in the clone; commit or undo them"
        return Hold(kind=HoldKind.local_edits, reason=told, about=path)
    if fault := _fault(change, path, observed):
        return _unreadable(path, fault)
    awaited = observed.awaited.get((change.category, change.model_name))
    if awaited is None:
        return None
    told = f"batch {awaited} touches {change.model_name!r} too and has not landed"
    return Hold(kind=HoldKind.earlier_batch, reason=told, about=str(awaited))


def _unreadable(path: str, fault: object) -> Hold:
    told = f"{path} cannot be edited safely: {fault}; mend and commit it"
    return Hold(kind=HoldKind.unreadable_file, reason=told, about=path)


def _fault(change: PendingChangeRecord, path: str, observed: Observed) -> DocumentError | None:
    """Why a record that the change may write cannot be changed safely, though others of its document can."""
    if path not in observed.faults:
        return None
    removed = change.operation == AuditOperation.DELETE
    return next(filter(None, (observed.faults[path](name, removed) for name in _written(change, observed))), None)


def _decide(change: PendingChangeRecord, current: Record | None, stamps: Stamps) -> Record | None:
    """The record that the change leaves, ``None`` for none; ``current`` itself where there is nothing to do."""
    match AuditOperation(change.operation):
        case AuditOperation.CREATE:
            return _create(change, current, stamps)
        case AuditOperation.UPDATE:
            return _update(change, current, stamps)
        case AuditOperation.DELETE:
            return _delete(change, current, stamps)


def _create(change: PendingChangeRecord, current: Record | None, stamps: Stamps) -> Record:
    payload = change.payload or {}
    if current is None:
        return payload
    if same_record(current, payload, stamps=stamps):
        return current
    differing = describe_difference(current, payload, words=("is", "wanted"), stamps=stamps)
    raise _ConflictError(f"{_name(change)} exists already with another record: {differing}")


def _update(change: PendingChangeRecord, current: Record | None, stamps: Stamps) -> Record:
    payload = change.payload or {}
    if current is None:
        raise _ConflictError(f"{_name(change)} does not exist (any more), so it cannot be updated")
    if same_record(current, payload, stamps=stamps):
        return current
    base = change.base or {} if change.base_known else current
    merged = merge_record(base, current, payload, stamps=stamps)
    if isinstance(merged, MergeConflict):
        raise _ConflictError(f"{_name(change)} has changed meanwhile: {describe_conflict(merged)}")
    return current if same_record(current, merged, stamps=stamps) else merged


def _delete(change: PendingChangeRecord, current: Record | None, stamps: Stamps) -> Record | None:
    base = change.base or {}
    if current is not None and change.base_known and not same_record(base, current, stamps=stamps):
        differing = describe_difference(base, current, stamps=stamps)
        raise _ConflictError(f"{_name(change)} has changed meanwhile: {differing}")
    return None


def _models(change: PendingChangeRecord, observed: Observed) -> list[str]:
    """The model, and the variants that have records of their own to be edited with it."""
    follow = change.category is MODEL_REFERENCE_CATEGORY.text_generation and change.category not in observed.derived
    known = variants(change.model_name) if follow else ()
    return [change.model_name, *(name for name in change.related_models or () if name in known)]


def _written(change: PendingChangeRecord, observed: Observed) -> list[str]:
    """Every record of the document that the change may write."""
    derived = change.category in observed.derived
    return [change.model_name, *variants(change.model_name)] if derived else _models(change, observed)


def _follow(
    stamp: Stamp | None,
    change: PendingChangeRecord,
    wanted: Record | None,
    there: Mapping[str, Record | None],
    stamps: Stamps,
) -> dict[str, Record | None]:
    """What becomes of the variants: the same as of the model, and the fields that are their own stay."""
    model, *names = there
    edits: dict[str, Record | None] = {}
    for name in names:
        variant = there[name]
        if variant is None and (wanted is None or there[model] is not None):
            continue  # it is gone meanwhile
        record = None if wanted is None else _variant(change, name, there[model], wanted, variant, stamps)
        edits[name] = record if record is variant else _stamped(stamp, change, record, variant)
    return edits


def _variant(
    change: PendingChangeRecord,
    name: str,
    current: Record | None,
    wanted: Record,
    variant: Record | None,
    stamps: Stamps,
) -> Record:
    renamed = _renamed(wanted, name)
    if variant is None:
        return renamed
    if current is None:
        if same_record(variant, renamed, stamps=stamps):
            return variant
        differing = describe_difference(variant, renamed, words=("is", "wanted"), stamps=stamps)
        raise _ConflictError(f"its variant {name!r} exists already with another record: {differing}")
    merged = merge_record(_renamed(current, name), variant, renamed, stamps=stamps)
    if isinstance(merged, MergeConflict):
        raise _ConflictError(f"its variant {name!r} differs from {_name(change)}: {describe_conflict(merged)}")
    return variant if same_record(variant, merged, stamps=stamps) else merged


def _renamed(record: Record, name: str) -> Record:
    return record | {"name": name} if "name" in record else record


def _name(change: PendingChangeRecord) -> str:
    return f"{change.category} {change.model_name!r}"


def _check_stampable(change: PendingChangeRecord, wanted: Record | None, stamps: Stamps) -> None:
    for key in stamps:
        if wanted is not None and not isinstance(wanted.get(key, {}), dict):
            raise _ConflictError(f"{_name(change)}: {key} has to be an object, for refsync writes stamps into it")


def _stamped(stamp: Stamp | None, change: PendingChangeRecord, wanted: Record | None, current: Record | None) -> Any:
    if stamp is None or wanted is None:
        return wanted
    try:
        return stamp(change, wanted, current)
    except Exception as problem:  # a handler of the operator's own: its error refuses this change only
        raise _ConflictError(f"{_name(change)}: the metadata handler failed: {problem!r}") from problem


def _check_record(observed: Observed, change: PendingChangeRecord, record: Record | None) -> None:
    check = observed.checks.get(change.category)
    if check is None:
        return
    try:
        check(change.model_name, record)
    except PayloadError as problem:
        raise _ConflictError(f"{_name(change)}: {problem}") from None
