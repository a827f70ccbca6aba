"""What a check can mend by itself, because there is one way to do it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from refsync.categories import is_table
from refsync.documents.json_shadows import without_shadowed
from refsync.documents.shape import shape_of
from refsync.errors import DocumentError
from refsync.reference.snapshot import Snapshot
from refsync.review.category_files import category_files
from refsync.review.conventions import Conventions
from refsync.review.text_findings import documents_made_anew, name_of
from refsync.scratch import scratch_file


class Mended(NamedTuple):
    """A file as it should be, what was done to it, and what belongs into one commit with it under which subject."""

    path: str
    content: bytes
    what: str
    commit_with: tuple[str, ...]
    subject: str


def write_mended(clone: Path, mended: Mended) -> None:
    """Put a mended file into a work tree, by one rename."""
    target = clone / mended.path
    with scratch_file(target.with_name(f".{target.name}.refsync-")) as staged:
        staged.write(mended.content)
        staged.flush()
        if target.is_file():
            os.fchmod(staged.fileno(), stat.S_IMODE(target.lstat().st_mode))
        os.replace(staged.name, target)


def mended_documents(snapshot: Snapshot, conventions: Conventions) -> Iterator[Mended]:
    """Each category file in which a key stands twice, without those that nobody reads."""
    for file in category_files(snapshot.files, conventions):
        if is_table(file.path) or not snapshot.has_file(file.path):
            continue
        version, shape = snapshot.version(file.path), shape_of(conventions.catalogue[file.category], file.path)
        data = version.content
        try:
            content = data if version.document(shape).deep else without_shadowed(data, shape)
        except DocumentError:
            continue  # that is a finding
        if content != data:
            what = f"{file.path} has each key once: of those that stood there twice the last"
            yield Mended(
                file.path, content, what, (file.path,), f"Drop the keys of {name_of(file.path)} that nobody reads"
            )


def mended_tables(snapshot: Snapshot, conventions: Conventions) -> Iterator[Mended]:
    """Each document that is not what the table beside it makes, made anew.

    Raises:
        DocumentError: nothing can be made of a table.
    """
    for path, (table, content) in documents_made_anew(snapshot, conventions).items():
        what, subject = f"{path} is made anew from {table}", f"Make {name_of(path)} anew"
        yield Mended(path, content, what, (table, path), subject)
