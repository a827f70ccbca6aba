"""What the reference holds in one state: at a commit, or as files that are about to be written leave it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from refsync.clone.repository import Repository
from refsync.documents.json_document import Document
from refsync.documents.shape import ROOT, Shape
from refsync.errors import DocumentError
from refsync.file_patterns import is_pattern, starred
from refsync.reference.versions import Version, Versions


@dataclass(frozen=True)
class View:
    """The files of one state, by their paths in the clone."""

    version: Callable[[str], Version | None]
    """The version of a file, ``None`` where there is none; raises DocumentError for what is no plain file."""
    matching: Callable[[str], Collection[str]] = lambda pattern: ()
    """The files that a pattern means; raises DocumentError where something else than a folder is on the way."""

    def content(self, path: str) -> bytes | None:
        """The bytes of a file, ``None`` where there is none.

        Raises:
            DocumentError: there is something else than a plain file.
        """
        found = self.version(path)
        return None if found is None else found.content

    def document(self, path: str, shape: Shape = ROOT) -> Document:
        """A JSON document as it can be edited, an empty one where there is none.

        Raises:
            DocumentError: it cannot be read.
        """
        found = self.version(path)
        return Document() if found is None else found.document(shape)

    def held(self, paths: Collection[str]) -> View:
        """The same of a few files, read now, so that no clone is needed any more."""
        matching = {path: tuple(self.matching(path)) for path in paths if is_pattern(path)}
        files = (each for path in paths for each in matching.get(path, (path,)))
        found = {path: _read(self, path) for path in files}

        def version(path: str) -> Version | None:
            held = found.get(path)
            if isinstance(held, DocumentError):
                raise held.with_traceback(None)
            return held

        return View(version, lambda pattern: matching.get(pattern, ()))

    def with_files(self, files: Mapping[str, Version | None]) -> View:
        """The state once these are written, and those that are ``None`` removed."""

        def matching(pattern: str) -> Collection[str]:
            paths = {*self.matching(pattern), *(path for path in files if starred(pattern, path) is not None)}
            return [path for path in paths if files.get(path, path) is not None]

        return View(lambda path: files[path] if path in files else self.version(path), matching)


def at_commit(clone: Repository, commit: str, versions: Versions) -> View:
    """The files of a commit, or of a tree; before the first commit (``""``) there are none."""
    blobs: dict[str, str | None] = {}

    def version(path: str) -> Version | None:
        if path not in blobs:
            blobs[path] = _blob_at(clone, commit, path) if commit and path else None
        blob = blobs[path]
        return None if blob is None else versions.of(blob)

    def matching(pattern: str) -> Collection[str]:
        found = clone.files_meant(commit, pattern) if commit else {}
        plain = {path: file.blob for path, file in found.items() if file.is_regular}
        blobs.update(plain)
        versions.read_ahead(plain.values(), clone.read_blobs)
        return list(found)

    return View(version, matching)


def _blob_at(clone: Repository, commit: str, path: str) -> str | None:
    found = clone.file_at(commit, path)
    if found is None:
        return None
    if not found.is_regular:
        raise DocumentError("it is a symbolic link or a folder, not a plain file")
    return found.blob


def _read(view: View, path: str) -> Version | DocumentError | None:
    try:
        return view.version(path)
    except DocumentError as problem:
        return problem
