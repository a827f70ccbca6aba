"""Moving a queue to another machine: JSON Lines of refsync, and the ecosystem's queue folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refsync.collecting import without_collecting
from refsync.dumping import dump, load
from refsync.errors import PayloadError, RequestError, StoreError
from refsync.pending_queue import batch_moves, payloads
from refsync.pending_queue.arriving import Arrival, set_aside, take_batch, take_change, take_counters
from refsync.pending_queue.models import (
    Batch,
    BatchState,
    ChangeEvent,
    PendingChangeRecord,
    PendingChangeStatus,
)

if TYPE_CHECKING:
    from refsync.pending_queue.store import PendingQueueStore
    from refsync.pending_queue.store.transaction import QueueTransaction

_S = PendingChangeStatus
_FORMAT = "refsync_queue"
_VERSION = 1
_PAGE = 500


@dataclass(frozen=True)
class ImportReport:
    """What an import took, and what it has to say."""

    changes: int
    """Changes taken."""
    not_understood: list[str] = field(default_factory=list)
    """One line for each entry, or part of one, that is kept but not understood."""
    repaired: list[str] = field(default_factory=list)
    """One line for each thing that was set right."""


def export_changes(store: PendingQueueStore) -> Iterator[dict[str, Any]]:
    """The whole queue as JSON objects: a header with the counters, then each change with its history and batch."""
    with store.reading() as queue:
        last_change, last_batch = queue.last_ids()
        leftovers = queue.leftovers()
    yield {_FORMAT: _VERSION, "last_change_id": last_change, "last_batch_id": last_batch}
    yield from ({"not_understood": content} for content, _ in leftovers)
    last = 0
    while page := _page_after(store, last):
        yield from page
        last = page[-1]["change"]["change_id"]


def import_changes(store: PendingQueueStore, lines: Iterable[str | bytes]) -> ImportReport:
    """Take what ``export_changes`` gave into an empty store; all or nothing.

    Args:
        store: where it goes.
        lines: JSON Lines; blank ones are skipped.

    Raises:
        PayloadError: a line is no JSON object, or the first one no header.
        RequestError: the store is not empty.
    """
    with without_collecting():
        return _import_lines(store, lines)


def _import_lines(store: PendingQueueStore, lines: Iterable[str | bytes]) -> ImportReport:
    parsed = (_parsed(line, number) for number, line in enumerate(lines, start=1) if line.strip())
    header, _ = next(parsed, ({}, True))
    if header.get(_FORMAT) != _VERSION:
        raise PayloadError(f"line 1: expected the header of an exported queue, {_FORMAT} {_VERSION}")
    arrival = Arrival(store.catalogue)
    take_counters(arrival, header, "line 1")
    for line, is_sound in parsed:
        if "not_understood" in line:
            set_aside(arrival, line["not_understood"], "not understood where it came from either")
            continue
        take_batch(arrival, line.get("batch"))
        take_change(arrival, line.get("change"), line.get("history"), is_sound=is_sound)
    return _store(store, arrival)


def import_folder(store: PendingQueueStore, folder: Path) -> ImportReport:
    """Take the ecosystem's queue folder into an empty store; all or nothing, the folder is left as it is.

    Args:
        store: where it goes.
        folder: holds ``changes.json``, and ``index.json`` if it is whole.

    Raises:
        StoreError: ``changes.json`` is missing, unreadable, or no JSON list.
        RequestError: the store is not empty.
    """
    changes = _read(folder / "changes.json")
    if not isinstance(changes, list):
        raise StoreError(f"{folder / 'changes.json'}: expected a JSON list of changes; nothing was imported")
    arrival = Arrival(store.catalogue)
    try:
        index = _read(folder / "index.json")
    except StoreError as error:
        index = None
        arrival.repaired.append(f"{error}; the counters are rebuilt from the changes")
    if index is not None:
        take_counters(arrival, index, str(folder / "index.json"))
    for entry in changes:
        take_change(arrival, entry, None)
    return _store(store, arrival)


def _page_after(store: PendingQueueStore, change_id: int) -> list[dict[str, Any]]:
    with store.reading() as queue:
        rows = queue.rows_after(change_id, _PAGE)
        histories = queue.history(row["change_id"] for row in rows)
        numbers = {row["batch_id"] for row in rows if row["batch_id"] is not None}
        found = {number: queue.batch(number) for number in numbers}
    return [_line(row, histories.get(row["change_id"], []), found.get(row["batch_id"])) for row in rows]


def _line(row: dict[str, Any], history: list[ChangeEvent], batch: Batch | None) -> dict[str, Any]:
    unknown = row.pop("unknown_fields") or {}
    return {
        "change": unknown | {name: value for name, value in row.items() if value is not None},
        "history": [event.model_dump(mode="json", exclude_none=True) for event in history],
        "batch": None if batch is None else batch.model_dump(mode="json", exclude_none=True),
    }


def _parsed(line: str | bytes, number: int) -> tuple[dict[str, Any], bool]:
    """What a line holds, and whether it is sound for sure."""
    parsed = payloads.parse_json(line, what=f"line {number}")
    if not isinstance(parsed, dict):
        raise PayloadError(f"line {number}: expected a JSON object")
    if payloads.is_surely_sound(line):
        return parsed, True
    try:
        dump(parsed).encode()
    except UnicodeEncodeError:
        raise PayloadError(f"line {number}: has a lone surrogate, which UTF-8 cannot hold") from None
    return parsed, False


def _read(file: Path) -> Any:
    try:
        return load(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{file}: no JSON ({error})") from error


def _store(store: PendingQueueStore, arrival: Arrival) -> ImportReport:
    with store.writing() as queue:
        if not queue.is_empty():
            raise RequestError("the queue is not empty: ids would meet; import into a new state directory")
        derived = _derived_batches(arrival)
        for batch in (*arrival.batches.values(), *derived):
            queue.add_batch_as_is(batch)
        queue.add_rows([entry.row for entry in arrival.entries.values()])
        queue.add_events(
            (entry.record.change_id, event) for entry in arrival.entries.values() for event in entry.events
        )
        for content, problem in arrival.leftovers:
            queue.add_leftover(content, problem)
        queue.raise_last_ids(change=_highest_change(arrival), batch=_highest_batch(arrival, derived))
        _unmix(queue, arrival, derived)
    return ImportReport(len(arrival.entries), arrival.not_understood, arrival.repaired)


def _unmix(queue: QueueTransaction, arrival: Arrival, derived: Iterable[Batch]) -> None:
    for batch in derived:
        split = batch_moves.settle(queue, batch.number)
        if split is not None:
            arrival.repaired.append(
                f"batch {batch.number} was applied in part; the rest of it is batch {split.new_batch_id}"
            )


def _derived_batches(arrival: Arrival) -> list[Batch]:
    """The batches that changes name and nobody described; the newest one with open work accepts approvals."""
    members: dict[int, list[PendingChangeRecord]] = {}
    for entry in arrival.entries.values():
        number = entry.record.batch_id
        if number is not None and number not in arrival.batches:
            members.setdefault(number, []).append(entry.record)
    waiting = [number for number, changes in members.items() if any(c.status is _S.APPROVED for c in changes)]
    taken = any(batch.state is BatchState.open for batch in arrival.batches.values())
    accepting = None if taken else max(waiting, default=None)
    return [_derived_batch(number, changes, number == accepting) for number, changes in sorted(members.items())]


def _derived_batch(number: int, changes: list[PendingChangeRecord], accepts: bool) -> Batch:
    statuses = {change.status for change in changes}
    times = [change.approved_at or change.updated_at for change in changes]
    applied = [change.applied_at or change.updated_at for change in changes if change.status is _S.APPLIED]
    batch = Batch(
        number=number,
        title=next((change.batch_title for change in changes if change.batch_title), f"batch {number}"),
        opened_at=min(times),
        last_approved_at=max(times),
    )
    if accepts:
        return batch
    if _S.APPROVED in statuses:
        return batch.model_copy(
            update={"state": BatchState.sealed, "job": batch_moves.new_token(), "sealed_at": batch.last_approved_at}
        )
    if applied:
        return batch.model_copy(update={"state": BatchState.landed, "landed_at": float(max(applied))})
    return batch.model_copy(update={"state": BatchState.abandoned, "reason": "nothing left: no change is approved"})


def _highest_change(arrival: Arrival) -> int:
    seen = [content.get("change_id") for content, _ in arrival.leftovers if isinstance(content, dict)]
    numbers = [number for number in seen if isinstance(number, int) and number < 2**62]
    return max((arrival.last_change_id, *numbers, *arrival.entries))


def _highest_batch(arrival: Arrival, derived: Iterable[Batch]) -> int:
    return max((arrival.last_batch_id, *arrival.batches, *(batch.number for batch in derived)))
