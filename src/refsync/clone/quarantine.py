"""A clone whose new objects go into a folder of their own, gone afterwards: what would be made can be looked at first.

The folder borrows from the clone's objects, as git has it for what it receives but has not accepted yet.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

from refsync.clone.places import common_directory, git_directory
from refsync.clone.repository import Repository
from refsync.scratch import scratch_folder


@contextlib.contextmanager
def quarantined(path: Path, branch: str, *, timeout_seconds: float) -> Iterator[Repository]:
    """The clone, opened so that objects can be added to it of which it keeps none; its refs are its own.

    Raises:
        CloneError: the path is missing, not a repository, bare, or not ours to use.
        OSError: there is no room for a temporary folder.
    """
    with scratch_folder(Path(gettempdir(), "refsync-quarantine-")) as folder:
        (folder.path / "info").mkdir()
        borrowed = common_directory(git_directory(path)) / "objects"
        (folder.path / "info" / "alternates").write_bytes(os.fsencode(borrowed.resolve()) + b"\n")
        with Repository(path, branch, timeout_seconds=timeout_seconds, objects=folder.path) as clone:
            yield clone
