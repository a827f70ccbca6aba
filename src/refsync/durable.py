"""A small file that a power cut leaves old or new, never empty and never missing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from refsync.durable_steps import durable_step
from refsync.scratch import scratch_file, scratch_folder


@durable_step("replace a small file")
def write_durably(path: Path, text: str, *, may_be_lost: bool = False) -> None:
    """Put the text in place of the file by one rename, data and folder forced to disk.

    Where the text ``may_be_lost``, the folder is not: a power cut may then leave the old file, whole.

    It may be read and written by whoever may read and write its folder.

    Raises:
        OSError: it cannot be written; the old file is intact and no temporary is left.
    """
    with scratch_file(path.with_name(f"{path.name}.tmp.")) as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
        os.replace(file.name, path)
    if not may_be_lost:
        flush_folder(path.parent)


def make_folder(folder: Path, mode: int | None = None, *, flush: bool = True) -> None:
    """Make a folder, and those above it, each with its permissions from the first moment, whatever the umask.

    Args:
        folder: one that is there is left as it is.
        mode: the permissions; ``None``: those of the folder above.
        flush: whether to have its name on the disk when this ends.

    Raises:
        OSError: it cannot be made.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    wanted = stat.S_IMODE(folder.parent.stat().st_mode) & ~stat.S_ISVTX if mode is None else mode
    try:
        with scratch_folder(folder.with_name(f".{folder.name}.new-"), wanted) as made:
            made.path.rename(folder)
    except OSError as problem:
        if not folder.is_dir():  # else somebody else was faster
            raise OSError(problem.errno, problem.strerror, str(folder)) from None
    if flush:
        flush_folder(folder.parent)


def flush_all(folder: Path) -> None:
    """Force to disk what is in a folder, all the way down."""
    for place, _, names in os.walk(folder):
        for file in (Path(place, name) for name in names):
            if not file.is_symlink():
                _flush(file, os.O_RDONLY | os.O_NOFOLLOW)
        flush_folder(Path(place))


def flush_folder(folder: Path) -> None:
    """Force to disk which names a folder holds."""
    _flush(folder, os.O_RDONLY | os.O_DIRECTORY)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
