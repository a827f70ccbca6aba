"""What a change means for the file it is about: the models that it touches, and the variants that follow them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from refsync.documents.merge import (
    MergeConflict,
    Stamps,
    describe_conflict,
    describe_difference,
    merge_record,
    same_record,
)
from refsync.pending_queue.models import PendingChangeRecord
from refsync.reference.kinds import CategoryFiles

Record = dict[str, Any]
Stamp = Callable[[PendingChangeRecord, Record, Record | None], Record]
"""Gives the record of a change (change, record to write, record there now) with its stamps."""


class ConflictError(Exception):
    """The change cannot be applied to what is there; carries the reason."""


@dataclass
class File:
    """A category's files as the changes so far leave them."""

    files: CategoryFiles
    touched: dict[str, Record | None] = field(default_factory=dict)
    renames: dict[str, str] = field(default_factory=dict)

    @cached_property
    def before(self) -> Mapping[str, Record]:
        """The records as they were."""
        return self.files.records

    def at(self, name: str) -> Record | None:
        """The record under a name now."""
        return self.touched[name] if name in self.touched else self.before.get(name)

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """Each variant that a model may have -> the model, as it was before."""
        return self.files.owners(self.before)


def models_of(change: PendingChangeRecord, files: CategoryFiles) -> list[str]:
    """The model, and the variants that have records of their own to be edited with it."""
    known = () if files.writes_variants else files.variants(change.model_name)
    return [change.model_name, *(name for name in change.related_models or () if name in known)]


def follow(
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
        record = None if wanted is None else variant_of(change, name, there[model], wanted, variant, stamps)
        edits[name] = record if record is variant else stamped(stamp, change, record, variant)
    return edits


def variant_of(
    change: PendingChangeRecord,
    name: str,
    current: Record | None,
    wanted: Record,
    variant: Record | None,
    stamps: Stamps,
) -> Record:
    """What becomes of one variant, ``None`` or as it is now, when its model becomes ``wanted``."""
    asked = renamed(wanted, name)
    if variant is None:
        return asked
    if current is None:
        if same_record(variant, asked, stamps=stamps):
            return variant
        differing = describe_difference(variant, asked, words=("is", "wanted"), stamps=stamps)
        raise ConflictError(f"its variant {name!r} exists already with another record: {differing}")
    merged = merge_record(renamed(current, name), variant, asked, stamps=stamps)
    if isinstance(merged, MergeConflict):
        raise ConflictError(f"its variant {name!r} differs from {name_of(change)}: {describe_conflict(merged)}")
    return variant if same_record(variant, merged, stamps=stamps) else merged


def renamed(record: Record, name: str) -> Record:
    """The record under another name, where it says one."""
    return record | {"name": name} if "name" in record else record


def check_variants(change: PendingChangeRecord, replaced: str, file: File) -> None:
    """See that a new model, or a new name of one, takes no variant from another model."""
    coming = file.files.owners([name for name, record in file.touched.items() if record is not None])
    for variant in file.files.variants(change.model_name):
        owner = coming.get(variant) or file.owners.get(variant, replaced)
        if owner in (change.model_name, replaced) or file.at(owner) is None:
            continue
        if file.files.writes_variants or file.at(variant) is not None:
            raise ConflictError(f"{name_of(change)} would take {variant!r} from {owner!r}, whose record that is")


def stamped(stamp: Stamp | None, change: PendingChangeRecord, wanted: Record | None, current: Record | None) -> Any:
    """What is written for a change: its record with stamps, where the repository wants them."""
    if stamp is None or wanted is None:
        return wanted
    try:
        return stamp(change, wanted, current)
    except Exception as problem:  # a handler of the operator's own: its error refuses this change only
        raise ConflictError(f"{name_of(change)}: the metadata handler failed: {problem!r}") from problem


def name_of(change: PendingChangeRecord) -> str:
    """The change's model, for people."""
    return f"{change.category} {change.model_name!r}"
