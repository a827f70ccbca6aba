"""The two sides that are compared, in any clone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from refsync.clone.revisions import merge_base
from refsync.errors import RequestError
from refsync.reference.snapshot import Snapshot, at_revision, at_work_tree, versions_of


@dataclass(frozen=True)
class Side:
    """A side of a comparison: the revision's name as it was given, and its commit; ``None`` is the work tree."""

    name: str
    commit: str | None


def side_of(snapshot: Snapshot) -> Side:
    """Which side a snapshot is."""
    return Side(snapshot.name, snapshot.commit)


def snapshots_of(
    clone: Path, base: str | None, head: str | None, folders: Collection[str]
) -> tuple[Snapshot | None, Snapshot]:
    """The two revisions as given, none of them moved to where they parted; without a head the work tree.

    ``A..B`` says the same in one word; ``A...B`` is the one way to compare with the point where the two parted. A
    side left out there is ``HEAD``.

    Raises:
        RequestError: there is no such revision, or the work tree of a bare repository is asked for.
    """
    versions = versions_of(clone)
    if base is None:
        return None, at_work_tree(versions, clone, folders)
    if head is not None or ".." not in base:
        return at_revision(versions, clone, base, folders), at_work_tree(
            versions, clone, folders
        ) if head is None else at_revision(versions, clone, head, folders)
    dots = "..." if "..." in base else ".."
    left, right = (side or "HEAD" for side in base.split(dots, 1))
    start = left if dots == ".." else merge_base(clone, left, right)
    return replace(at_revision(versions, clone, start, folders), name=left), at_revision(
        versions, clone, right, folders
    )


def committed(work_tree: Snapshot, folders: Collection[str]) -> Snapshot | None:
    """What an edited work tree stands on; ``None`` before the first commit."""
    try:
        return work_tree.of_same_clone("HEAD", folders)
    except RequestError:
        return None
