"""What merges lost, and a reference still lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from refsync.categories import CategoryDescriptor
from refsync.clone.revisions import merges_between
from refsync.documents.merge import MISSING
from refsync.documents.merge_losses import losses_of
from refsync.documents.values import same_value
from refsync.file_patterns import folder_of
from refsync.plain_text import cut, one_line
from refsync.reference.snapshot import Snapshot
from refsync.review.category_files import CategoryFile, category_files, expected_files
from refsync.review.conventions import Conventions
from refsync.review.file_findings import readable_records
from refsync.review.finding import Finding, Rule

_LONGEST = 200  # characters of the fields in a sentence


def faults_of_merges(
    base: Snapshot, head: Snapshot, files: Iterable[CategoryFile], conventions: Conventions
) -> Iterator[Finding]:
    """What merges since the base lost and the head still lacks, in these files, or in one that a merge lost whole."""
    files, start, end = list(files), base.commit, head.commit or "HEAD"
    places = [*files, *expected_files(head.files, conventions)]
    folders = tuple({f"{folder}/" if (folder := folder_of(each.path)) else "" for each in places})
    for merge in merges_between(head.clone, start, end) if start else ():
        result, *others = (head.of_same_clone(each, folders) for each in (merge.commit, *merge.parents, *merge.bases))
        parents, bases = others[: len(merge.parents)], others[len(merge.parents) :]
        theirs = (file for each in parents for file in category_files(each.files, conventions))
        for file in dict.fromkeys((*files, *theirs)):
            if any(_blob(each, file) != _blob(result, file) for each in parents):
                category = conventions.catalogue[file.category]
                yield from _faults(file, category, head, (result, *parents, *bases), len(parents))


def _faults(
    file: CategoryFile,
    category: CategoryDescriptor,
    head: Snapshot,
    sides: Sequence[Snapshot],
    parents: int,
) -> Iterator[Finding]:
    """``sides`` are the merge, its parents, so many, and where these parted."""
    versions = [readable_records(each, category, file.path) for each in sides]
    readable = [each for each in versions if each is not None]
    if len(readable) < len(versions):
        return  # what cannot be read is a finding already, or was one
    merge = f"the merge {(sides[0].commit or '')[:12]}"
    is_now = readable_records(head, category, file.path) or {}
    first_base = parents + 1
    lost = losses_of(readable[0], readable[1:first_base], readable[first_base:])
    for name in (each for each in lost.models if each not in is_now):
        what = f"{merge} lost it, and no side of it had dropped it"
        yield Finding(Rule.lost_in_merge, file.path, None, name, what, "put the record back")
    for name, edited in lost.edits.items():
        was, now = readable[first_base][name], is_now.get(name)
        missing = [] if now is None else [each for each in edited if _has(now, each, was.get(each, MISSING))]
        if missing:
            fields = ", ".join(map(one_line, missing))
            what = f"{merge} lost what one side of it did to {cut(fields, _LONGEST)}"
            yield Finding(Rule.lost_in_merge, file.path, None, name, what, "make the edit again")


def _has(record: dict[str, object], field: str, value: object) -> bool:
    return same_value(record.get(field, MISSING), value)


def _blob(snapshot: Snapshot, file: CategoryFile) -> str | None:
    return snapshot.files[file.path].blob if file.path in snapshot.files else None
