"""Three versions of a category's records merged: record by record, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refsync.documents.merge import NO_STAMPS, MergeConflict, Stamps, merge_leaning, merge_record
from refsync.documents.values import same_value

Record = dict[str, Any]


@dataclass(frozen=True)
class RecordConflict:
    """A record that both sides changed and no rule can merge.

    Attributes:
        model: its name.
        ours: what stands for our side: all that can be merged, and our values where both changed a field; ``None``
            where we removed it.
        theirs: the same of their side.
        fields: the fields in conflict; ``None`` where one side removed what the other changed.
    """

    model: str
    ours: Record | None
    theirs: Record | None
    fields: MergeConflict | None


@dataclass(frozen=True)
class RecordsMerge:
    """What has to be done to our records so that they hold what both sides did.

    Attributes:
        edits: model to its merged record, or to ``None`` where they removed it.
        conflicts: the records that a person has to decide about.
    """

    edits: dict[str, Record | None] = field(default_factory=dict)
    conflicts: list[RecordConflict] = field(default_factory=list)


def merge_records(
    base: Mapping[str, Record],
    ours: Mapping[str, Record],
    theirs: Mapping[str, Record],
    *,
    stamps: Stamps = NO_STAMPS,
) -> RecordsMerge:
    """Merge what two sides made of the same records.

    What one side alone changed is taken; what both changed is merged by ``merge_record``, as a landing merges it. Two
    sides that add records under different names never conflict. A record that one side removed and the other changed
    does, and so does one that was renamed and changed: its old name is gone on one side.

    Args:
        base: the records that both sides came of; none where the file is new on both.
        ours: the records to edit.
        theirs: the records of the other side.
        stamps: what takes no part in merging a record that both changed; it keeps those of ``ours``.
    """
    merge = RecordsMerge()
    for model in dict.fromkeys((*base, *theirs)):
        before, mine, other = base.get(model), ours.get(model), theirs.get(model)
        if _same(before, other) or _same(mine, other):
            continue
        if _same(before, mine):
            merge.edits[model] = other
        elif mine is None or other is None:
            merge.conflicts.append(RecordConflict(model, mine, other, None))
        else:
            _merge_both(merge, model, (before or {}, mine, other), stamps)
    return merge


def _merge_both(merge: RecordsMerge, model: str, sides: tuple[Record, Record, Record], stamps: Stamps) -> None:
    before, mine, other = sides
    merged = merge_record(before, mine, other, stamps=stamps)
    if isinstance(merged, MergeConflict):
        as_ours = merge_leaning(before, mine, other, stamps=stamps)
        as_theirs = merge_leaning(before, other, mine, stamps=stamps)
        merge.conflicts.append(RecordConflict(model, as_ours, as_theirs, merged))
    elif not same_value(mine, merged):
        merge.edits[model] = merged


def _same(one: Record | None, other: Record | None) -> bool:
    return one is other or (one is not None and other is not None and same_value(one, other))
