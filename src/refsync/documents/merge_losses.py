"""What a merge lost: models that none of its parents dropped, and edits that one of them made alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from refsync.documents.merge import MISSING
from refsync.documents.values import same_value

Names = frozenset[str]
Record = dict[str, Any]
Records = Mapping[str, Record]


@dataclass(frozen=True)
class Losses:
    """The names of the models that a merge lost, and by model the fields whose edit it lost."""

    models: Sequence[str] = ()
    edits: Mapping[str, Sequence[str]] = field(default_factory=dict)


def losses_of(result: Records, parents: Sequence[Records], bases: Sequence[Records]) -> Losses:
    """What a merge lost, by the records that it, its parents and the points where these parted have."""
    names = lost_names(frozenset(result), [frozenset(each) for each in parents], [frozenset(each) for each in bases])
    edits: dict[str, Sequence[str]] = {}
    for name, base in bases[0].items() if len(bases) == 1 else ():
        is_everywhere = all(name in each for each in (result, *parents))
        if is_everywhere and (fields := lost_edits(base, [each[name] for each in parents], result[name])):
            edits[name] = fields
    return Losses(sorted(names), edits)


def lost_names(result: Names, parents: Collection[Names], bases: Collection[Names]) -> Names:
    """The names that a merge lacks though none of its parents dropped them.

    Where the parents have nothing in common, or the clone's history is cut off, only what all of them have counts.

    >>> sorted(lost_names(frozenset("a"), [frozenset("abc"), frozenset("abd")], [frozenset("abd")]))
    ['b', 'c']
    """
    if not bases:
        return frozenset.intersection(*parents) - result
    known = frozenset[str]().union(*bases)
    dropped = {name for name in known if not all(name in parent for parent in parents)}
    return frozenset[str]().union(*parents) - dropped - result


def lost_edits(base: Record, parents: Collection[Record], result: Record) -> list[str]:
    """The fields that stand in a merge as they were, though one of its parents changed them and no other one did.

    >>> lost_edits({"x": 1, "y": 1}, [{"x": 2, "y": 2}, {"x": 1, "y": 3}], {"x": 1, "y": 1})
    ['x']
    """
    fields = dict.fromkeys(field for record in (base, *parents) for field in record)
    return [
        field
        for field in fields
        if sum(not _same(base, parent, field) for parent in parents) == 1 and _same(base, result, field)
    ]


def _same(one: Record, other: Record, field: str) -> bool:
    return same_value(one.get(field, MISSING), other.get(field, MISSING))
