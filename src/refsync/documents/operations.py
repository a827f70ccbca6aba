"""What happened to which models between two versions of a category file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from refsync.documents.values import same_value

OperationKind = Literal["create", "update", "delete"]


class Operation(NamedTuple):
    """One model created, updated or deleted."""

    kind: OperationKind
    model: str


def operations_between(
    old: Mapping[str, dict[str, Any]] | None, new: Mapping[str, dict[str, Any]] | None
) -> list[Operation]:
    """The operations that lead from one version of a file to another.

    A record whose keys only changed places is not updated, and a model that only moved is not touched.

    Args:
        old: model name to record, in the file's order; ``None`` where there was no file.
        new: the same of the later version.

    Returns:
        The deletes in the old file's order, then creates and updates in the new file's.
    """
    old, new = old or {}, new or {}
    deleted = [Operation("delete", model) for model in old if model not in new]
    written = (
        Operation("update" if model in old else "create", model) for model in new if not _is_kept(model, old, new)
    )
    return [*deleted, *written]


def _is_kept(model: str, old: Mapping[str, dict[str, Any]], new: Mapping[str, dict[str, Any]]) -> bool:
    before = old.get(model)
    return before is new[model] or (before is not None and same_value(before, new[model]))
