r"""A change against the record as it is now, field by field.

A field's path joins keys and list positions by dots: ``config.files.0.sha256sum``. A dot or a backslash that belongs
to a key has a backslash before it: the key ``llama.cpp`` is ``llama\.cpp``. Where a list has a named key, its elements
go by the value of that key instead of their position: ``config.files.model\.ckpt.sha256sum``. Of the others those that
stay the same explain themselves, wherever they stand now; one that went has its old position, any other its new one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from refsync.categories import SPECIFIED, Catalogue, CategoryDescriptor, CategoryName
from refsync.documents.alignment import LIST_KEYS, aligned, named
from refsync.documents.field_paths import join_path, split_path
from refsync.documents.merge import NO_STAMPS, Stamps, unstamped
from refsync.documents.values import same_value
from refsync.errors import ChangeNotFoundError, RefsyncError
from refsync.pending_queue.models import (
    AuditOperation,
    PendingChangeDiff,
    PendingChangeDiffPage,
    PendingChangeRecord,
)

Path = tuple[str, ...]

_ALWAYS_CRITICAL = "config.download"
_CHANGE_TYPES = ("added", "removed", "modified")


class _Missing:
    """There is nothing on this side, which is not the same as ``null``."""


_MISSING = _Missing()


@dataclass(frozen=True)
class _Difference:
    path: Path
    old: Any
    new: Any

    @property
    def change_type(self) -> str:
        return "added" if self.old is _MISSING else "removed" if self.new is _MISSING else "modified"

    def as_field_diff(self) -> dict[str, Any]:
        old, new = (None if side is _MISSING else side for side in (self.old, self.new))
        return {
            "field_path": join_path(self.path),
            "old_value": old,
            "new_value": new,
            "change_type": self.change_type,
        }


def diff_records(
    change: PendingChangeRecord,
    current: dict[str, Any] | None,
    *,
    critical_fields: Collection[str],
    list_keys: Mapping[str, str] = LIST_KEYS,
    stamps: Stamps = NO_STAMPS,
) -> PendingChangeDiff:
    """What a change would do to the record as it is now.

    Args:
        change: create, update or delete; a deletion's payload does not matter.
        current: the record now, ``None`` if there is none.
        critical_fields: dotted paths that a reviewer must not miss; ``config.download`` is always among them.
        list_keys: dotted path of a list to the key that names its elements.
        stamps: what takes no part in comparing two records; a record that comes or goes shows it.
    """
    proposed = None if change.operation is AuditOperation.DELETE else change.payload
    differences = list(_compare(current, proposed, list_keys, stamps))
    paths: dict[str, list[str]] = {kind: [] for kind in _CHANGE_TYPES}
    for difference in differences:
        paths[difference.change_type].append(join_path(difference.path))
    critical = [split_path(field) for field in (*critical_fields, _ALWAYS_CRITICAL)]
    return PendingChangeDiff(
        change_id=change.change_id,
        category=change.category,
        model_name=change.model_name,
        operation=change.operation,
        current_state=current,
        proposed_state=proposed,
        net_operation=_net_operation(current, proposed, bool(differences)),
        field_diffs=[difference.as_field_diff() for difference in differences],
        is_critical=any(_touches(difference, field) for difference in differences for field in critical),
        fields_added=paths["added"],
        fields_removed=paths["removed"],
        fields_modified=paths["modified"],
    )


def critical_fields(usual: CategoryDescriptor, instead: Collection[str] | None = None) -> tuple[str, ...]:
    """The dotted paths in a category's records that a reviewer must not miss, or others ``instead`` of the usual."""
    return (*(usual.critical_fields if instead is None else instead), _ALWAYS_CRITICAL)


def field_changes(
    old: dict[str, Any] | None,
    new: dict[str, Any] | None,
    *,
    critical: Collection[str] = (),
    list_keys: Mapping[str, str] = LIST_KEYS,
    stamps: Stamps = NO_STAMPS,
) -> list[dict[str, Any]]:
    """What differs between two versions of a record: each field, and whether it is ``critical``.

    Args:
        old: the record as it was, ``None`` where there was none.
        new: the record as it became, ``None`` where it is gone.
        critical: the dotted paths of the critical fields.
        list_keys: dotted path of a list to the key that names its elements.
        stamps: what takes no part in comparing two records; without any, all of them do.
    """
    fields = [split_path(field) for field in critical]
    return [
        difference.as_field_diff() | {"critical": any(_touches(difference, field) for field in fields)}
        for difference in _compare(old, new, list_keys, stamps)
    ]


def _compare(
    current: dict[str, Any] | None,
    proposed: dict[str, Any] | None,
    list_keys: Mapping[str, str],
    stamps: Stamps,
) -> Iterator[_Difference]:
    keys = {split_path(path): key for path, key in list_keys.items()}
    old, new = current or {}, proposed or {}
    if current is not None and proposed is not None:
        old, new = unstamped(old, stamps), unstamped(new, stamps)
    return _walk_objects((), old, new, keys)


def _walk(path: Path, old: Any, new: Any, keys: Mapping[Path, str]) -> Iterator[_Difference]:
    if _both(dict, old, new):
        yield from _walk_objects(path, _filled(old, {}), _filled(new, {}), keys)
    elif _both(list, old, new):
        yield from _walk_lists(path, _filled(old, []), _filled(new, []), keys)
    elif old is _MISSING or new is _MISSING or not same_value(old, new):
        yield _Difference(path, old, new)


def _both(kind: type, old: Any, new: Any) -> bool:
    """Whether both sides have parts to compare; a missing side has, unless the other is empty and shows as itself."""
    if old is _MISSING or new is _MISSING:
        present = new if old is _MISSING else old
        return isinstance(present, kind) and bool(present)
    return isinstance(old, kind) and isinstance(new, kind)


def _filled(side: Any, empty: Any) -> Any:
    return empty if side is _MISSING else side


def _walk_objects(
    path: Path, old: Mapping[str, Any], new: Mapping[str, Any], keys: Mapping[Path, str]
) -> Iterator[_Difference]:
    for key in dict.fromkeys((*old, *new)):
        yield from _walk((*path, key), old.get(key, _MISSING), new.get(key, _MISSING), keys)


def _walk_lists(path: Path, old: list[Any], new: list[Any], keys: Mapping[Path, str]) -> Iterator[_Difference]:
    named_old, named_new = (named(side, keys.get(path)) for side in (old, new))
    if named_old is None or named_new is None:
        for place, went, came in _by_place(old, new):
            yield from _walk((*path, str(place)), went, came, keys)
        return
    yield from _walk_objects(path, named_old, named_new, keys)
    if [name for name in named_old if name in named_new] != [name for name in named_new if name in named_old]:
        yield _Difference(path, old, new)  # the same elements in another order


def _by_place(old: list[Any], new: list[Any]) -> Iterator[tuple[int, Any, Any]]:
    """The places of two lists at which something changed, each once, with what went from it and what came to it.

    What changed and has another place by now is told at that; as gone and come where something else went from there.
    """
    pairs = aligned(old, new)
    went = {a for a, b in pairs if a is not None and b is None}
    came = {b for a, b in pairs if b is not None and a is None}
    changed = {(a, b) for a, b in pairs if a is not None and b is not None and not same_value(old[a], new[b])}
    while parted := {(a, b) for a, b in changed if a in came or b in went}:
        changed -= parted
        went |= {a for a, _ in parted}
        came |= {b for _, b in parted}
    told = {b: (old[a], new[b]) for a, b in changed}
    for place in went | came:
        told[place] = (old[place] if place in went else _MISSING, new[place] if place in came else _MISSING)
    for place in sorted(told):
        yield place, *told[place]


def _touches(difference: _Difference, field: Path) -> bool:
    """Whether a field, or anything below it, changes; also where something above it is replaced as a whole."""
    depth = len(difference.path)
    if depth >= len(field):
        return difference.path[: len(field)] == field
    return field[:depth] == difference.path and any(
        _holds(side, field[depth:]) for side in (difference.old, difference.new)
    )


def _holds(value: Any, path: Path) -> bool:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def _net_operation(current: object, proposed: object, differs: bool) -> str:
    if current is None and proposed is not None:
        return "added"
    if current is not None and proposed is None:
        return "deleted"
    return "modified" if differs else "unchanged"


class ChangeSource(Protocol):
    """Where changes are looked up; the queue's service is one."""

    def get_change(self, change_id: int) -> PendingChangeRecord | None:
        """One change, ``None`` if there is none."""


class PendingChangeDiffService:
    """Diffs of stored changes against the reference as it is now.

    >>> from types import SimpleNamespace
    >>> from refsync import MODEL_REFERENCE_CATEGORY
    >>> change = PendingChangeRecord(
    ...     change_id=1,
    ...     category=MODEL_REFERENCE_CATEGORY.clip,
    ...     model_name="m",
    ...     operation=AuditOperation.UPDATE,
    ...     payload={"nsfw": True},
    ...     requested_by="1",
    ...     requested_username="Ada",
    ... )
    >>> queue = SimpleNamespace(get_change={1: change}.get)
    >>> service = PendingChangeDiffService(queue_service=queue, current_record=lambda category, model: {"nsfw": False})
    >>> diff = service.compute_change_diff(1)
    >>> diff.fields_modified, diff.is_critical
    (['nsfw'], True)
    """

    def __init__(
        self,
        *,
        manager: Any = None,
        queue_service: ChangeSource,
        current_record: Callable[[CategoryName, str], dict[str, Any] | None] | None = None,
        critical_fields: Mapping[CategoryName, Collection[str]] | None = None,
        list_keys: Mapping[str, str] = LIST_KEYS,
        stamps_of: Callable[[CategoryName], Stamps] = lambda category: NO_STAMPS,
        catalogue: Catalogue = SPECIFIED,
    ) -> None:
        """Read changes from a queue and records from the reference.

        Args:
            manager: has ``get_raw_model_json(category=, model_name=)``; where its ``canonical_format`` (or its
                backend's) is legacy, ``backend.get_legacy_json(category)`` is read instead.
            queue_service: has ``get_change(change_id)``.
            current_record: gives the record of a category and model instead of a manager.
            critical_fields: by category; where it names none, those of the category's descriptor.
            list_keys: dotted path of a list to the key that names its elements.
            stamps_of: what takes no part in comparing two records of a category.
            catalogue: which categories there are.
        """
        if manager is None and current_record is None:
            raise TypeError("give a manager or current_record")
        self._queue_service = queue_service
        self._current_record = current_record or (lambda category, name: _record_of(manager, catalogue[category], name))
        self._catalogue = catalogue
        self._critical_fields = critical_fields or {}
        self._list_keys = list_keys
        self._stamps_of = stamps_of

    def compute_change_diff(self, change_id: int) -> PendingChangeDiff | None:
        """The diff of one change, ``None`` if there is no such change."""
        change = self._queue_service.get_change(change_id)
        if change is None:
            return None
        critical = self._critical_fields.get(change.category, self._catalogue[change.category].critical_fields)
        current = self._current_record(change.category, change.model_name)
        return diff_records(
            change,
            current,
            critical_fields=critical,
            list_keys=self._list_keys,
            stamps=self._stamps_of(change.category),
        )

    def compute_bulk_diffs(self, change_ids: list[int]) -> PendingChangeDiffPage:
        """The diffs of many changes, in the order asked; an id without one is told among the errors."""
        page = PendingChangeDiffPage(total=len(change_ids))
        for change_id in change_ids:
            try:
                page.diffs.append(self._diff(change_id))
            except ChangeNotFoundError as error:
                page.errors.append(_failure(change_id, "NotFound", error))
            except (RefsyncError, OSError, ValueError) as error:
                page.errors.append(_failure(change_id, type(error).__name__, error))
        return page

    def _diff(self, change_id: int) -> PendingChangeDiff:
        diff = self.compute_change_diff(change_id)
        if diff is None:
            raise ChangeNotFoundError(f"no change has the id {change_id}")
        return diff


def _failure(change_id: int, error_type: str, error: Exception) -> dict[str, Any]:
    return {"change_id": change_id, "error_type": error_type, "message": str(error)}


def _record_of(manager: Any, descriptor: CategoryDescriptor, model_name: str) -> dict[str, Any] | None:
    """The record in the canonical format, asked of the ecosystem's manager."""
    category, backend = descriptor.category, getattr(manager, "backend", None)
    canonical = getattr(manager, "canonical_format", None) or getattr(backend, "canonical_format", None)
    if canonical == "legacy" and descriptor.legacy_file is not None and backend is not None:
        record = (backend.get_legacy_json(category) or {}).get(model_name)
    else:
        record = manager.get_raw_model_json(category=category, model_name=model_name)
    return record if isinstance(record, dict) else None
