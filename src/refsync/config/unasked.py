"""Which config file is taken though nobody asked for it: one that only this user, or root, can have put there.

A config names commands that are run and files that are read. One that came with a clone was written by whoever pushed.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

from refsync.accounts import account_name
from refsync.commands import command
from refsync.errors import ConfigError
from refsync.permissions import others_may_write


def check_unasked(path: Path) -> None:
    """See that a config file that was found by default may be taken.

    Args:
        path: the file, absolute.

    Raises:
        ConfigError: git tracks it, it lies in a clone that it names, or others may write it or its folder.
    """
    real = path.resolve()
    for file in dict.fromkeys((path, real)):
        if why := next(_doubts(file), None):
            asked = command("refsync", "--config", path)
            raise ConfigError(f"{path}: is not taken unasked, for {why}; if you trust it, say so: {asked}")


def _doubts(file: Path) -> Iterator[str]:
    """Why somebody else may have written it."""
    yield from _of_permissions(file)
    if clone := _clone_that_it_names(file):
        yield f"it lies in the clone {clone} that it names"
    if _is_tracked(file):
        yield "git tracks it: whoever pushes there writes it"


def _of_permissions(file: Path) -> Iterator[str]:
    found, folder = file.lstat(), file.parent.stat()
    if not stat.S_ISREG(file.stat().st_mode):
        yield "it is no file"
    if found.st_uid not in (0, os.geteuid()):
        yield f"it belongs to {account_name(found.st_uid)}"
    if not stat.S_ISLNK(found.st_mode) and others_may_write(found):
        yield "others may write it"
    if folder.st_uid not in (0, os.geteuid()):
        yield f"its folder belongs to {account_name(folder.st_uid)}"
    if others_may_write(folder) and not (folder.st_mode & stat.S_ISVTX and found.st_uid in (0, os.geteuid())):
        yield "others may write its folder"


def _clone_that_it_names(file: Path) -> str | None:
    try:
        repositories = tomllib.loads(file.read_text(encoding="utf-8-sig")).get("repository", [])
        named = [each["path"] for each in repositories]
        places = [Path(os.path.realpath(file.parent / each)) for each in named]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None  # what is wrong with it is told when it is read
    return next((str(place) for place in places if file.resolve().is_relative_to(place)), None)


def _is_tracked(file: Path) -> bool:
    if not any((folder / ".git").exists() for folder in file.parents):
        return False
    from refsync.clone.revisions import is_tracked  # what runs git; most configs lie in no clone

    return is_tracked(file)
