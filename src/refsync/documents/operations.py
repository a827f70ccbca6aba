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
    written = [Operation("update" if model in old else "create", model) for model in new]
    return deleted + [
        each for each in written if each.kind == "create" or not same_value(old[each.model], new[each.model])
    ]
