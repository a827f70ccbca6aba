"""Which models a merge lost: those that none of its parents dropped."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from refsync.clone.revisions import merges_between
from refsync.errors import DocumentError
from refsync.reference.snapshot import Snapshot
from refsync.review.category_files import CategoryFile
from refsync.review.finding import Finding, Rule

Names = frozenset[str]


def faults_of_merges(base: Snapshot, head: Snapshot, files: Iterable[CategoryFile]) -> Iterator[Finding]:
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
                yield from _faults(file, head, result, parents, bases)


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


def _faults(
    file: CategoryFile, head: Snapshot, result: Snapshot, parents: Collection[Snapshot], bases: Collection[Snapshot]
) -> Iterator[Finding]:
    names = [_names(each, file) for each in (result, *parents, *bases)]
    readable = [each for each in names if each is not None]
    if len(readable) < len(names):
        return  # what cannot be read is a finding already, or was one
    lost = lost_names(readable[0], readable[1 : len(parents) + 1], readable[len(parents) + 1 :])
    for name in sorted(lost - (_names(head, file) or frozenset())):
        what = f"the merge {(result.commit or '')[:12]} lost it, and no side of it had dropped it"
        yield Finding(Rule.lost_in_merge, file.path, None, name, what, "put the record back")


def _blob(snapshot: Snapshot, file: CategoryFile) -> str | None:
    return snapshot.files[file.path].blob if file.path in snapshot.files else None


def _names(snapshot: Snapshot, file: CategoryFile) -> Names | None:
    """The models of a file; ``None`` where it cannot be read."""
    if not snapshot.has_file(file.path):
        return frozenset()
    try:
        return frozenset(snapshot.version(file.path).records_in(file.path))
    except DocumentError:
        return None
