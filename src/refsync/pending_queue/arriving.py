"""What comes in with a queue from elsewhere, understood as far as that can be; the rest is kept aside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from refsync.categories import Catalogue, CategoryName
from refsync.errors import PayloadError, RequestError
from refsync.pending_queue import payloads
from refsync.pending_queue.fields import as_row, fields_of
from refsync.pending_queue.models import (
    REFSYNC,
    AuditOperation,
    Batch,
    BatchState,
    ChangeEvent,
    PendingChangeRecord,
    PendingChangeStatus,
)

_S = PendingChangeStatus
_COMPUTED = {"conflicts_with", "history"}
_FIELDS = frozenset(PendingChangeRecord.model_fields)
_BEYOND = 2**62
"""From here on databases have no numbers, or none to go on counting with."""


@dataclass
class Entry:
    """One change on its way in."""

    record: PendingChangeRecord
    category: str
    unknown_fields: dict[str, Any]
    events: list[ChangeEvent]

    @property
    def row(self) -> dict[str, Any]:
        """What the store has of it."""
        row = as_row(self.record, exclude=_COMPUTED)
        return row | {"category": self.category, "unknown_fields": self.unknown_fields or None}


@dataclass
class Arrival:
    """A whole queue on its way in."""

    catalogue: Catalogue
    entries: dict[int, Entry] = field(default_factory=dict)
    batches: dict[int, Batch] = field(default_factory=dict)
    leftovers: list[tuple[object, str]] = field(default_factory=list)
    last_change_id: int = 0
    last_batch_id: int = 0
    not_understood: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)


def take_counters(arrival: Arrival, source: object, where: str) -> None:
    """Note the last numbers that were given where it comes from, if they can be read there."""
    values = source if isinstance(source, Mapping) else {}
    counters = [values.get(name) for name in ("last_change_id", "last_batch_id")]
    sound = [value if isinstance(value, int) and 0 <= value < _BEYOND else None for value in counters]
    if None in sound:
        arrival.repaired.append(f"{where}: the counters are unreadable; they are rebuilt from the changes")
    arrival.last_change_id, arrival.last_batch_id = (value or 0 for value in sound)


def take_batch(arrival: Arrival, source: object) -> None:
    """Take a batch in, the first time that it is told of; ``None`` tells of none."""
    try:
        batch = None if source is None else Batch.model_validate(source)
    except ValidationError as error:
        _complain(arrival, f"a batch: {_first(error)}; it is made from its changes")
        return
    if batch is None:
        return
    if problem := _fault_of(batch):
        _complain(arrival, f"a batch: {problem}; it is made from its changes")
    else:
        arrival.batches.setdefault(batch.number, batch)


def _fault_of(batch: Batch) -> str | None:
    if batch.number <= 0:
        return f"number {batch.number}: expected a positive one"
    if batch.state in (BatchState.sealed, BatchState.held) and not batch.job:
        return f"{batch.number} is {batch.state} and has no job"
    return _number_out_of_range(batch)


def _number_out_of_range(model: BaseModel) -> str | None:
    """The field whose number no database takes, if there is one; not of what is kept as JSON."""
    for name in fields_of(type(model), int, float):
        number = getattr(model, name)
        if number is not None and not abs(number) < _BEYOND:
            return f"{name}: the number is out of range"
    return None


def take_change(arrival: Arrival, source: object, history: object, *, is_sound: bool = False) -> None:
    """Take a change in with its history, or set it aside.

    Args:
        arrival: what it comes in with.
        source: the change as plain data.
        history: its moves, if they are told.
        is_sound: whether ``payloads.is_surely_sound`` said so of the text it stood in.
    """
    try:
        entry = _understood(source, arrival.catalogue)
        _check(entry, is_sound)
        if entry.record.change_id in arrival.entries:
            raise PayloadError(f"the id {entry.record.change_id} stands twice")
        entry.events = _events(arrival, entry.record, history)
    except RequestError as error:
        set_aside(arrival, source, str(error))
        return
    _free(arrival, entry)
    arrival.entries[entry.record.change_id] = entry
    for what in _remarks(entry, arrival.catalogue):
        _complain(arrival, f"change {entry.record.change_id}: {what}")


def _understood(source: object, catalogue: Catalogue) -> Entry:
    """The change in an entry; only its category may be unknown.

    Raises:
        RequestError: it is no change to us.
    """
    if not isinstance(source, dict):
        raise PayloadError(f"expected an object, got {type(source).__name__}")
    category = source.get("category")
    known = {name: value for name, value in source.items() if name in _FIELDS and name not in _COMPUTED}
    if isinstance(category, str):
        known["category"] = CategoryName(category)
    try:
        record = PendingChangeRecord.model_validate(known)
    except ValidationError as error:
        raise PayloadError(_first(error)) from None
    return Entry(record, str(category), {name: source[name] for name in source if name not in _FIELDS}, [])


def _check(entry: Entry, is_sound: bool) -> None:
    record = entry.record
    for what, number in (("change", record.change_id), ("batch", record.batch_id), ("reverted batch", record.reverts)):
        if number is not None and not 0 < number < _BEYOND:
            raise PayloadError(f"{what} id {number}: expected a positive number")
    if problem := _number_out_of_range(record):
        raise PayloadError(problem)
    check_name = payloads.check_old_name if record.operation is AuditOperation.DELETE else payloads.check_model_name
    check_name(record.model_name)
    if is_sound:
        return
    payloads.check_payload(record.model_dump(mode="python", exclude={"payload", "base"}), what="record")
    for name, value in (("payload", record.payload), ("base", record.base), ("unknown fields", entry.unknown_fields)):
        if value is not None:
            payloads.check_payload(value, what=name)


def _events(arrival: Arrival, record: PendingChangeRecord, history: object) -> list[ChangeEvent]:
    if isinstance(history, list) and history:
        try:
            events = [ChangeEvent.model_validate(event) for event in history]
            problem = next(filter(None, map(_number_out_of_range, events)), None)
        except ValidationError as error:
            problem = _first(error)
        if problem is None:
            return events
        _complain(arrival, f"change {record.change_id}: its history: {problem}; it is made from the change")
    return _derived_history(record)


def _derived_history(record: PendingChangeRecord) -> list[ChangeEvent]:
    """The moves that the record's own fields tell of."""
    steps: list[tuple[PendingChangeStatus, int | None, str | None, str | None, str | None]] = [
        (_S.PENDING, record.requested_at, record.requested_by, record.requested_username, record.notes)
    ]
    if record.approved_at is not None or record.status in (_S.APPROVED, _S.APPLYING, _S.APPLIED):
        steps.append((_S.APPROVED, record.approved_at, record.approved_by, record.approved_username, None))
    if record.status is _S.REJECTED:
        who = (record.rejected_by, record.rejected_username)
        steps.append((_S.REJECTED, record.rejected_at, *who, record.reject_reason))
    if record.status is _S.APPLIED:
        steps.append((_S.APPLIED, record.applied_at, record.applied_by, record.applied_username, None))
    if record.status is _S.APPLYING:
        steps.append((_S.APPLYING, None, None, None, None))
    before = [None, *(status for status, *_ in steps)]
    return [
        ChangeEvent(
            at=record.updated_at if at is None else at,
            from_status=earlier,
            to_status=status,
            why=why,
            by=by or "unknown",
            username=username or "unknown",
            batch_id=None if status is _S.PENDING else record.batch_id,
        )
        for earlier, (status, at, by, username, why) in zip(before, steps, strict=False)
    ]


def _free(arrival: Arrival, entry: Entry) -> None:
    """The job that holds a change stays behind; applying again what is in place already is harmless."""
    if entry.record.status is not _S.APPLYING:
        return
    entry.record = entry.record.model_copy(update={"status": _S.APPROVED, "applied_job_id": None})
    entry.events.append(
        ChangeEvent(
            from_status=_S.APPLYING,
            to_status=_S.APPROVED,
            why="its job stayed behind when the queue was imported",
            by=REFSYNC.id,
            username=REFSYNC.username,
            batch_id=entry.record.batch_id,
        )
    )
    arrival.repaired.append(f"change {entry.record.change_id} was being applied; it is approved again")


def _remarks(entry: Entry, catalogue: Catalogue) -> Iterator[str]:
    if entry.record.category not in catalogue:
        yield f"unknown category {entry.category!r}; it is kept but not listed"
    if entry.unknown_fields:
        yield f"unknown fields {', '.join(entry.unknown_fields)}; they are kept and exported again"


def set_aside(arrival: Arrival, content: object, problem: str) -> None:
    """Keep something word for word that is no change to us."""
    arrival.leftovers.append((content, problem))
    _complain(arrival, f"entry kept aside: {problem}")


def _complain(arrival: Arrival, line: str) -> None:
    arrival.not_understood.append(" ".join(line.split()))


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    place = ".".join(map(str, found["loc"]))
    return f"{place}: {found['msg']}" if place else found["msg"]
