"""The files of a commit outside the clone, as they were committed."""

from __future__ import annotations

import os
from pathlib import Path

from refsync.clone.repository import Repository
from refsync.clone.sparse import hidden_paths
from refsync.errors import CloneError

_SUBMODULE, _LINK, _EXECUTABLE = "160000", "120000", "100755"


def tree_of(clone: Repository, commit: str) -> str:
    """The id of a commit's tree: the same for the same files."""
    return clone.run("rev-parse", f"{commit}^{{tree}}").output.decode().strip()


def export_tree(clone: Repository, tree: str, folder: Path) -> None:
    """Write all files of a tree (or commit) into a folder; the clone's own index and work tree stay as they are.

    Of a sparse clone, those that it shows; of a submodule, an empty folder. From blobs as they are, as a landing
    writes them: no filter, line end or other attribute is asked.

    Raises:
        CloneError: a path of the tree leads out of the folder.
    """
    listed = clone.run("ls-tree", "-r", "-z", "--full-tree", tree).output.decode(errors="surrogateescape")
    entries = [entry.partition("\t") for entry in listed.split("\0")[:-1]]
    hidden = hidden_paths(clone, [path for _, _, path in entries], ())
    for about, _, path in entries:
        if path not in hidden:
            mode, _, blob = about.split(" ")
            _write(clone, folder / _checked(clone, path), mode, blob)


def _write(clone: Repository, target: Path, mode: str, blob: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if mode == _SUBMODULE:
        target.mkdir()
    elif mode == _LINK:
        target.symlink_to(os.fsdecode(clone.read_blob(blob)))
    else:
        target.write_bytes(clone.read_blob(blob))
        if mode == _EXECUTABLE:
            target.chmod(target.stat().st_mode | 0o111)


def _checked(clone: Repository, path: str) -> str:
    if {"", ".", "..", ".git"} & {part.lower() for part in path.split("/")}:
        raise CloneError(f"{clone.path}: the commit holds a path that leads elsewhere: {path!r}")
    return path
