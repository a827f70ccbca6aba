"""What the reference holds in a revision of any clone, or in its work tree."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from refsync.clone import revisions
from refsync.clone.revisions import USUAL_FOLDERS, read_blob
from refsync.reference.versions import Version, Versions


@dataclass(frozen=True)
class Snapshot(revisions.Snapshot):
    """The files in some folders; what is parsed of one is known to all snapshots that share its ``versions``."""

    versions: Versions = field(kw_only=True, repr=False, compare=False)

    def version(self, path: str) -> Version:
        """One of the regular files."""
        blob = self.files[path].blob
        return self.versions.add(self.read(path)) if blob is None else self.versions.of(blob)

    def find_version(self, path: str) -> Version | None:
        """The regular file at a path, ``None`` where none stands."""
        return self.version(path) if self.has_file(path) else None

    def of_same_clone(self, revision: str, folders: Collection[str] = USUAL_FOLDERS) -> Snapshot:
        """The files of another revision.

        Raises:
            RequestError: there is no such revision.
        """
        return at_revision(self.versions, self.clone, revision, folders)


def versions_of(clone: Path) -> Versions:
    """What is parsed of a clone's files: nothing yet."""
    return Versions(partial(read_blob, clone))


def at_revision(versions: Versions, clone: Path, revision: str, folders: Collection[str] = USUAL_FOLDERS) -> Snapshot:
    """The files of a revision in some folders, each given with its final slash.

    Raises:
        RequestError: there is no such revision.
    """
    return _known_to(versions, revisions.at_revision(clone, revision, folders))


def at_work_tree(versions: Versions, clone: Path, folders: Collection[str] = USUAL_FOLDERS) -> Snapshot:
    """The files of these folders as they lie in the work tree, committed or not.

    Raises:
        RequestError: the clone has no work tree.
    """
    return _known_to(versions, revisions.at_work_tree(clone, folders))


def _known_to(versions: Versions, found: revisions.Snapshot) -> Snapshot:
    return Snapshot(found.clone, found.name, found.commit, found.files, versions=versions)
