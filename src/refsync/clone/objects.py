"""Git's objects as values: their ids, and trees as what they hold. GitPython knows how a tree is written."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

FOLDER = 0o040000


class GitObject(NamedTuple):
    """An object as git stores it: its kind (``"blob"``, ``"tree"``, ...), its id, its content."""

    kind: str
    id: str
    content: bytes


class TreeFile(NamedTuple):
    """A file in a commit: git's octal mode (``0o100644``) and its blob id."""

    mode: int
    blob: str

    @property
    def is_regular(self) -> bool:
        """Whether it is a plain file: no symbolic link, no submodule."""
        return self.mode >> 12 == 0o10


class TreeEntry(NamedTuple):
    """What a folder holds under a name: git's octal mode (``0o100644``) and the object's id."""

    mode: int
    id: str


def new_object(kind: str, content: bytes) -> GitObject:
    """The object that git makes of this content."""
    return GitObject(kind, object_id(kind, content), content)


def object_id(kind: str, content: bytes) -> str:
    """The id that git gives to an object with this content."""
    hashed = hashlib.sha1(header_of(kind, content), usedforsecurity=False)
    hashed.update(content)
    return hashed.hexdigest()


def header_of(kind: str, content: bytes) -> bytes:
    """What git puts before the content, in the object's file and for its id."""
    return b"%s %d\0" % (kind.encode(), len(content))


def blob_id(content: bytes) -> str:
    """The id that git gives to these bytes as a file."""
    return object_id("blob", content)


def parse_tree(content: bytes) -> dict[str, TreeEntry]:
    """The entries of a tree object, by name.

    Raises:
        ValueError: it is cut off, or one of the names is of no file that git would check out (``.git``).
    """
    from git.objects.fun import tree_entries_from_data

    return {name: TreeEntry(mode, binary.hex()) for binary, mode, name in tree_entries_from_data(content)}


def new_tree(entries: Mapping[str, TreeEntry]) -> GitObject:
    """What :func:`parse_tree` reads, in git's order.

    Raises:
        ValueError: as there.
    """
    from git.objects.fun import tree_to_stream

    ordered = sorted((_place_in_tree(name, entry), entry, os.fsencode(name)) for name, entry in entries.items())
    written: list[Any] = [(bytes.fromhex(entry.id), entry.mode, name) for _, entry, name in ordered]
    content = io.BytesIO()
    tree_to_stream(written, content.write)  # a name need not be UTF-8, so it is given as bytes
    return new_object("tree", content.getvalue())


def _place_in_tree(name: str, entry: TreeEntry) -> bytes:
    """Git sorts by bytes, and folders as if their names ended with a slash."""
    return os.fsencode(name) + (b"/" if entry.mode == FOLDER else b"")
