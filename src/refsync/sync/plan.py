"""What was observed -> what to do. Pure: no I/O, no clock, no log."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from refsync.categories import CategoryName
from refsync.documents.merge import (
    NO_STAMPS,
    MergeConflict,
    Stamps,
    describe_conflict,
    describe_difference,
    merge_record,
    same_record,
)
from refsync.documents.model_places import Place
from refsync.errors import DocumentError, PayloadError
from refsync.pending_queue.holds import Hold, HoldKind
from refsync.pending_queue.models import AuditOperation, PendingChangeRecord
from refsync.pending_queue.placement import asked_file
from refsync.reference.kinds import CategoryFiles
from refsync.rules.judge import Judge
from refsync.sync.planned_models import (
    ConflictError,
    File,
    Record,
    Stamp,
    check_variants,
    follow,
    models_of,
    name_of,
    renamed,
    stamped,
    variant_of,
)

Model = tuple[CategoryName, str]
ALREADY_THERE = "what it asks for was there already: nothing was written for it"


@dataclass(frozen=True)
class Observed:
    """What the plan needs to know of the world.

    Attributes:
        files: category to the path that its changes edit; a category that is not there is held nowhere.
        opened: path to the category's files at the tip, or why they cannot be edited.
        edited: paths with a person's uncommitted edits in the work tree.
        awaited: model to the number of an earlier batch that touches it and has not landed.
        stamps: what is written into records by itself, and so is not compared.
        judges: path to the rules of its category, where it has some whose breaking is refused.
    """

    files: Mapping[CategoryName, str]
    opened: Mapping[str, CategoryFiles | DocumentError]
    edited: Collection[str] = ()
    awaited: Mapping[Model, int] = field(default_factory=dict)
    stamps: Stamps = field(default_factory=lambda: NO_STAMPS)
    judges: Mapping[str, Judge] = field(default_factory=dict)


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
        places: path to new model to where it is to stand, where somebody asked for a place that can be had.
        renames: path to model to its new name, under which ``edits`` has its record.
        written: ids of the changes that the commit carries.
        done: ids of the changes that ask for what is there already.
        notes: what else is to be known of a change that lands, by its id.
        conflicts: the changes to reject.
        waiting: the changes that have to wait for a person or for an earlier batch.
    """

    edits: dict[str, dict[str, Record | None]] = field(default_factory=dict)
    places: dict[str, dict[str, Place]] = field(default_factory=dict)
    renames: dict[str, dict[str, str]] = field(default_factory=dict)
    written: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    notes: dict[int, str] = field(default_factory=dict)
    conflicts: list[Refusal] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)


@dataclass(frozen=True)
class _Step:
    """What one change, or the two halves of a rename, do to a file."""

    edits: Mapping[str, Record | None] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    written: Sequence[int] = ()
    done: Sequence[int] = ()


def plan_batch(changes: Iterable[PendingChangeRecord], observed: Observed, stamp: Stamp | None = None) -> BatchPlan:
    """Decide each change in order, later ones on top of what earlier ones leave; a rename as a whole.

    Args:
        changes: the batch's approved changes, ascending by id.
        observed: the world at the tip of the target branch.
        stamp: writes provenance into records, where the repository wants it.
    """
    plan, files, changes = BatchPlan(), dict[str, File](), list(changes)
    for group in _landing_together(changes):
        ids = [change.change_id for change in group]
        if hold := next(filter(None, (_must_wait(change, observed) for change in group)), None):
            plan.waiting += [Waiting(change_id, hold) for change_id in ids]
            continue
        path = observed.files[group[0].category]
        file = files.setdefault(path, File(_opened(observed, path)))
        try:
            step = _step_of(group, file, observed, stamp)
        except ConflictError as conflict:
            plan.conflicts += [Refusal(change_id, str(conflict)) for change_id in ids]
            continue
        file.touched.update(step.edits)
        file.renames = _chained(file.renames, step.renames)
        plan.written += step.written
        plan.done += step.done
    plan.notes = dict.fromkeys(plan.done, ALREADY_THERE)
    for path, file in files.items():
        _add_net(plan, path, file)
    for change in changes:
        is_placed = (change.after or change.before or asked_file(change.request_metadata)) is not None
        if is_placed and change.change_id in plan.written:
            path = observed.files[change.category]
            _add_place(plan, path, files[path], change)
    return plan


def _landing_together(changes: Iterable[PendingChangeRecord]) -> list[list[PendingChangeRecord]]:
    """Each change by itself, the halves of a rename together where the first of them stands."""
    groups: dict[int, list[PendingChangeRecord]] = {}
    for change in changes:
        groups.setdefault(min(change.change_id, change.lands_with or change.change_id), []).append(change)
    return list(groups.values())


def _chained(renames: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """What was renamed once goes on to its last name."""
    followed = {old: more.get(new, new) for old, new in renames.items()}
    return followed | {old: new for old, new in more.items() if old not in renames.values()}


def _step_of(group: Sequence[PendingChangeRecord], file: File, observed: Observed, stamp: Stamp | None) -> _Step:
    if len(group) == 1 and group[0].lands_with is None:
        return _step(group[0], file, observed, stamp)
    halves = {change.operation: change for change in group}
    if set(halves) != {AuditOperation.DELETE, AuditOperation.CREATE}:
        raise ConflictError(f"{name_of(group[0])}: the other half of the rename, change {group[0].lands_with}, is gone")
    return _rename(halves[AuditOperation.DELETE], halves[AuditOperation.CREATE], file, observed, stamp)


def _step(change: PendingChangeRecord, file: File, observed: Observed, stamp: Stamp | None) -> _Step:
    there = {name: file.at(name) for name in models_of(change, file.files)}
    current = there[change.model_name]
    wanted = _decide(change, current, observed.stamps)
    if wanted is current:
        return _Step(done=[change.change_id])
    if current is None:
        check_variants(change, change.model_name, file)
        _check_home(file, change)
    _check_stampable(change, wanted, observed.stamps)
    record = stamped(stamp, change, wanted, current)
    _check_record(file, change, record)
    variants = follow(stamp, change, wanted, there, observed.stamps)
    return _Step({change.model_name: record} | variants, written=[change.change_id])


def _rename(
    delete: PendingChangeRecord,
    create: PendingChangeRecord,
    file: File,
    observed: Observed,
    stamp: Stamp | None,
) -> _Step:
    """The record goes to its new name with all that others did to it meanwhile."""
    old, new, payload = delete.model_name, create.model_name, create.payload or {}
    ids = [delete.change_id, create.change_id]
    current, present = file.at(old), file.at(new)
    if current is None:
        if present is not None and same_record(present, payload, stamps=observed.stamps):
            return _Step(done=ids)
        raise ConflictError(f"{name_of(delete)} does not exist (any more), so it cannot be renamed")
    wanted = _merged(delete, payload, current, observed.stamps)
    if present is not None and not same_record(present, wanted, stamps=observed.stamps):
        differing = describe_difference(present, wanted, words=("is", "wanted"), stamps=observed.stamps)
        raise ConflictError(f"{name_of(create)} exists already with another record: {differing}")
    if present is not None:
        gone = [name for name in models_of(delete, file.files) if name not in file.files.variants(new)]
        return _Step(dict.fromkeys(gone), written=[delete.change_id], done=[create.change_id])
    check_variants(create, old, file)
    _check_stampable(create, wanted, observed.stamps)
    moved = create.model_copy(update={"operation": AuditOperation.UPDATE})  # it is no new record
    record = stamped(stamp, moved, wanted, current)
    _check_record(file, delete, None)
    _check_record(file, create, record)
    edits: dict[str, Record | None] = {old: None, new: record}
    renames = {old: new}
    for before, after in zip(file.files.variants(old), file.files.variants(new), strict=True):
        variant = file.at(before) if before in models_of(delete, file.files) else None
        if variant is not None:
            follows = renamed(variant_of(moved, before, current, wanted, variant, observed.stamps), after)
            edits |= {before: None} | {after: stamped(stamp, moved, follows, variant)}
            renames |= {before: after} if before != after else {}
    return _Step(edits, renames, written=ids)


def _add_net(plan: BatchPlan, path: str, file: File) -> None:
    """What is left to write when changes of one batch cancelled each other."""
    edits = {model: record for model, record in file.touched.items() if record is not file.before.get(model)}
    if not edits:
        return
    plan.edits[path] = edits
    gone = {model for model in edits if edits[model] is None}
    made = {model for model in edits if model not in file.before}
    if renames := {old: new for old, new in file.renames.items() if old in gone and new in made}:
        plan.renames[path] = renames


def _add_place(plan: BatchPlan, path: str, file: File, change: PendingChangeRecord) -> None:
    if (home := asked_file(change.request_metadata)) is not None:
        plan.places.setdefault(path, {})[change.model_name] = Place("in", home)
    if (change.after or change.before) is None:
        return
    asked = Place("after", change.after) if change.after is not None else Place("before", change.before or "")
    beside = file.renames.get(asked.model, asked.model)
    if file.at(beside) is None:
        where = "behind" if asked.side == "after" else "ahead of"
        plan.notes[change.change_id] = f"{asked.model!r}, right {where} which it was to stand, is gone"
    elif change.model_name not in file.before:
        plan.places.setdefault(path, {})[change.model_name] = Place(asked.side, beside)


def _opened(observed: Observed, path: str) -> CategoryFiles:
    files = observed.opened[path]
    assert not isinstance(files, DocumentError)  # such changes wait
    return files


def _must_wait(change: PendingChangeRecord, observed: Observed) -> Hold | None:
    path = observed.files.get(change.category)
    if path is None:
        told = f"the batch's repository does not hold {change.category} any more; add the category to it again"
        return Hold(kind=HoldKind.category_left, reason=told, about=change.category)
    files = observed.opened[path]
    if isinstance(files, DocumentError):
        return _unreadable(path, files)
    if path in observed.edited:
        told = f"{path} has local edits in the clone; commit or undo them"
        return Hold(kind=HoldKind.local_edits, reason=told, about=path)
    if fault := _fault(change, files):
        return _unreadable(path, fault)
    awaited = observed.awaited.get((change.category, change.model_name))
    if awaited is None:
        return None
    told = f"batch {awaited} touches {change.model_name!r} too and has not landed"
    return Hold(kind=HoldKind.earlier_batch, reason=told, about=str(awaited))


def _unreadable(path: str, fault: object) -> Hold:
    told = f"{path} cannot be edited safely: {fault}; mend and commit it"
    return Hold(kind=HoldKind.unreadable_file, reason=told, about=path)


def _fault(change: PendingChangeRecord, files: CategoryFiles) -> DocumentError | None:
    """Why a record that the change may write cannot be changed safely, though others of its document can."""
    removed = change.operation == AuditOperation.DELETE and change.lands_with is None
    return next(filter(None, (files.fault_of(name, removed) for name in _written(change, files))), None)


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
    raise ConflictError(f"{name_of(change)} exists already with another record: {differing}")


def _update(change: PendingChangeRecord, current: Record | None, stamps: Stamps) -> Record:
    payload = change.payload or {}
    if current is None:
        raise ConflictError(f"{name_of(change)} does not exist (any more), so it cannot be updated")
    if same_record(current, payload, stamps=stamps):
        return current
    merged = _merged(change, payload, current, stamps)
    return current if same_record(current, merged, stamps=stamps) else merged


def _merged(change: PendingChangeRecord, payload: Record, current: Record, stamps: Stamps) -> Record:
    """The record now with what the payload changes in the one that the change was made from."""
    base = change.base or {} if change.base_known else current
    merged = merge_record(base, current, payload, stamps=stamps)
    if isinstance(merged, MergeConflict):
        raise ConflictError(f"{name_of(change)} has changed meanwhile: {describe_conflict(merged)}")
    return merged


def _delete(change: PendingChangeRecord, current: Record | None, stamps: Stamps) -> Record | None:
    base = change.base or {}
    if current is not None and change.base_known and not same_record(base, current, stamps=stamps):
        differing = describe_difference(base, current, stamps=stamps)
        raise ConflictError(f"{name_of(change)} has changed meanwhile: {differing}")
    return None


def _written(change: PendingChangeRecord, files: CategoryFiles) -> list[str]:
    """Every record that the change may write."""
    follow = files.variants(change.model_name) if files.writes_variants else ()
    return [*models_of(change, files), *follow]


def _check_stampable(change: PendingChangeRecord, wanted: Record | None, stamps: Stamps) -> None:
    for key in stamps:
        if wanted is not None and not isinstance(wanted.get(key, {}), dict):
            raise ConflictError(f"{name_of(change)}: {key} has to be an object, for refsync writes stamps into it")


def _check_home(file: File, change: PendingChangeRecord) -> None:
    beside = change.after or change.before
    try:
        file.files.home(
            change.model_name, asked_file(change.request_metadata), beside is not None and file.at(beside) is not None
        )
    except PayloadError as problem:
        raise ConflictError(f"{name_of(change)}: {problem}") from None


def _check_record(file: File, change: PendingChangeRecord, record: Record | None) -> None:
    try:
        file.files.check(change.model_name, record)
    except PayloadError as problem:
        raise ConflictError(f"{name_of(change)}: {problem}") from None
