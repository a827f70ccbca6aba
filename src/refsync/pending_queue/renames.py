"""A rename: a delete and a create that land together or not at all, whatever is done to one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from refsync.errors import ChangeStateError, RequestError
from refsync.pending_queue.models import AuditOperation, PendingChangeRecord

if TYPE_CHECKING:
    from refsync.pending_queue.store.transaction import QueueTransaction

RENAMED_FROM, RENAMED_TO = "renamed_from", "renamed_to"
"""In ``request_metadata``: of the create the name that the model had, of the delete the name that it gets."""

Halves = tuple[int, int]


def find_halves(records: Sequence[PendingChangeRecord]) -> Iterator[Halves]:
    """Where the two halves of each rename stand in what is submitted together.

    Raises:
        RequestError: there is a half without the other.
    """
    deletes = {
        (record.category, record.model_name, new): place
        for place, record in enumerate(records)
        if (new := _named(record, AuditOperation.DELETE, RENAMED_TO)) is not None
    }
    for place, record in enumerate(records):
        if (old := _named(record, AuditOperation.CREATE, RENAMED_FROM)) is None:
            continue
        half = deletes.pop((record.category, old, record.model_name), None)
        if half is None:
            raise _half_missing(record, f"is renamed from {old!r}", "delete", RENAMED_TO)
        yield half, place
    for _, _, new in deletes:
        record = records[next(iter(deletes.values()))]
        raise _half_missing(record, f"is renamed to {new!r}", "create", RENAMED_FROM)


def link(
    queue: QueueTransaction, changes: Sequence[PendingChangeRecord], pairs: Iterable[Halves]
) -> list[PendingChangeRecord]:
    """All the changes, those at the places of a pair landing together from now on."""
    linked = list(changes)
    for one, other in pairs:
        for place, partner in ((one, other), (other, one)):
            linked[place] = changes[place].model_copy(update={"lands_with": changes[partner].change_id})
            queue.save([linked[place]])
    return linked


def together(queue: QueueTransaction, changes: Iterable[PendingChangeRecord]) -> list[PendingChangeRecord]:
    """The changes, each once and with the one that it lands with behind it, as far as that is still there."""
    found: dict[int, PendingChangeRecord] = {}
    for change in changes:
        partner = None if change.lands_with is None else queue.change(change.lands_with)
        for each in filter(None, (change, partner)):
            found.setdefault(each.change_id, each)
    return list(found.values())


def check_alone(change: PendingChangeRecord) -> PendingChangeRecord:
    """The change, if it may be applied by itself.

    Raises:
        ChangeStateError: it is one half of a rename.
    """
    if change.lands_with is not None:
        raise ChangeStateError(
            f"change {change.change_id} is one half of a rename, with change {change.lands_with}: only a pass, which "
            "lands both in one commit, can apply it"
        )
    return change


def _named(record: PendingChangeRecord, operation: AuditOperation, key: str) -> str | None:
    if record.operation is not operation:
        return None
    name = (record.request_metadata or {}).get(key)
    if name is not None and not isinstance(name, str):
        raise RequestError(f"request metadata: {key} has to be the name of a model")
    return name


def _half_missing(record: PendingChangeRecord, what: str, other: str, key: str) -> RequestError:
    return RequestError(
        f"{record.category} {record.model_name!r} {what}, but no {other} whose request_metadata has {key} is submitted "
        "with it; say: refsync queue rename CATEGORY OLD NEW"
    )
