"""Who gave each field of a record its present value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from refsync.documents.values import same_value
from refsync.pending_queue.diffs import field_changes

Commit = TypeVar("Commit")


@dataclass(frozen=True)
class Origin(Generic[Commit]):
    """A field by its dotted path, its present value, and the commit that brought it."""

    field_path: str
    value: Any
    commit: Commit


def origins(versions: Iterable[tuple[Commit, dict[str, Any] | None]]) -> list[Origin[Commit]]:
    """The origin of every field of the last version.

    Args:
        versions: each commit with the record as it left it, ``None`` where it left none; oldest first. A record that
            was deleted and made again owes nothing to the time before.
    """
    known: dict[str, Origin[Commit]] = {}
    for commit, record in versions:
        present = {each["field_path"]: each["new_value"] for each in field_changes(None, record)}
        known = {
            path: known[path] if path in known and same_value(known[path].value, value) else Origin(path, value, commit)
            for path, value in present.items()
        }
    return list(known.values())
