"""What a merge lost: models that none of its parents dropped, and edits that one of them made alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from refsync.categories import Catalogue, CategoryDescriptor
from refsync.clone.revisions import merges_between
from refsync.documents.merge import MISSING
from refsync.documents.values import same_value
from refsync.errors import DocumentError
from refsync.plain_text import cut, one_line
from refsync.reference.kinds import records_in
from refsync.reference.snapshot import Snapshot
from refsync.review.category_files import CategoryFile
from refsync.review.finding import Finding, Rule

_LONGEST = 200  # characters of the fields in a sentence
Names = frozenset[str]
Record = dict[str, Any]
Records = Mapping[str, Record]


def faults_of_merges(
    base: Snapshot, head: Snapshot, files: Iterable[CategoryFile], catalogue: Catalogue
) -> Iterator[Finding]:
    """What merges since the base lost and the head still lacks."""
    files = list(files)
    start = base.commit
    folders = tuple({file.path.rpartition("/")[0] + "/" if "/" in file.path else "" for file in files})
    end = head.commit or "HEAD"
    for merge in merges_between(head.clone, start, end) if start else ():
        result, *others = (head.of_same_clone(each, folders) for each in (merge.commit, *merge.parents, *merge.bases))
        parents, bases = others[: len(merge.parents)], others[len(merge.parents) :]
        for file in files:
            if any(_blob(each, file) != _blob(result, file) for each in parents):
                yield from _faults(file, catalogue[file.category], head, (result, *parents, *bases), len(parents))


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


def _faults(
    file: CategoryFile,
    category: CategoryDescriptor,
    head: Snapshot,
    sides: Sequence[Snapshot],
    parents: int,
) -> Iterator[Finding]:
    """``sides`` are the merge, its parents, so many, and where these parted."""
    versions = [_records(each, category, file) for each in sides]
    readable = [each for each in versions if each is not None]
    if len(readable) < len(versions):
        return  # what cannot be read is a finding already, or was one
    merge = f"the merge {(sides[0].commit or '')[:12]}"
    is_now = _records(head, category, file) or {}
    names = [frozenset(each) for each in readable]
    lost = lost_names(names[0], names[1 : parents + 1], names[parents + 1 :])
    for name in sorted(lost - is_now.keys()):
        what = f"{merge} lost it, and no side of it had dropped it"
        yield Finding(Rule.lost_in_merge, file.path, None, name, what, "put the record back")
    if len(sides) == parents + 2:
        yield from _lost_edits(file, merge, is_now, readable)


def _lost_edits(file: CategoryFile, merge: str, is_now: Records, versions: Sequence[Records]) -> Iterator[Finding]:
    """``versions`` are those of the merge, of its parents, and of where these parted."""
    result, *parents, base = versions
    for name in (name for name in base if all(name in each for each in (is_now, *versions))):
        lost = lost_edits(base[name], [each[name] for each in parents], result[name])
        if lost := [field for field in lost if _same(base[name], is_now[name], field)]:
            fields = ", ".join(map(one_line, lost))
            what = f"{merge} lost what one side of it did to {cut(fields, _LONGEST)}"
            yield Finding(Rule.lost_in_merge, file.path, None, name, what, "make the edit again")


def _blob(snapshot: Snapshot, file: CategoryFile) -> str | None:
    return snapshot.files[file.path].blob if file.path in snapshot.files else None


def _records(snapshot: Snapshot, category: CategoryDescriptor, file: CategoryFile) -> Records | None:
    """The models of a file; ``None`` where it cannot be read."""
    if not snapshot.has_file(file.path):
        return {}
    try:
        return records_in(snapshot.version(file.path), category, file.path)
    except DocumentError:
        return None
