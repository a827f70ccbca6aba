"""Opening a file where others may have put something else: a link, a pipe, a device, or what never ends."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

LARGEST_FILE_BYTES = 64 * 1024 * 1024
"""No category file has a tenth of that, read as one that has more would cost ten times as much memory."""

TOO_LARGE = f"it is larger than {LARGEST_FILE_BYTES // 1024**2} MiB"

_WARILY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_regular(path: Path, flags: int = os.O_RDONLY, mode: int = 0o600, *, within: Path | None = None) -> int:
    """A descriptor of a regular file.

    Args:
        path: the file.
        flags: as of :func:`os.open`; a pipe does not keep it waiting, and no link at the end of the path is followed.
        mode: of a file that is made.
        within: a folder below which no part of the path may be a link.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is something else than a regular file, or cannot be opened.
    """
    try:
        descriptor = _opened_below(within, path, flags, mode) if within else os.open(path, flags | _WARILY, mode)
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            raise OSError(
                errno.ELOOP, "it is, or stands behind, a symbolic link, which is not followed", str(path)
            ) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return descriptor


def _opened_below(folder: Path, path: Path, flags: int, mode: int) -> int:
    *folders, name = path.relative_to(folder).parts
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for each in folders:
            if stat.S_ISLNK(os.stat(each, dir_fd=here, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, "")
            below = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        return os.open(name, flags | _WARILY, mode, dir_fd=here)
    finally:
        os.close(here)


def read_regular(path: Path, *, within: Path | None = None) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: as :func:`open_regular`, or it is larger than the limit.
    """
    with os.fdopen(open_regular(path, within=within), "rb") as file:
        content = read_up_to(file, LARGEST_FILE_BYTES + 1)
    if len(content) > LARGEST_FILE_BYTES:
        raise OSError(errno.EFBIG, TOO_LARGE, str(path))
    return content


def read_up_to(file: BinaryIO, most: int) -> bytes:
    """What is in an opened file, of which memory is taken for what it says that it holds, and not for the most."""
    size = os.fstat(file.fileno()).st_size
    content = file.read(min(size + 1, most))
    return content if len(content) <= size else content + file.read(most - len(content))  # it has grown since


def open_own(path: Path, mode: int) -> int:
    """A descriptor, for reading and writing, of a file that has this name alone; one that is made gets the mode.

    Raises:
        OSError: it is a link, no regular file, or has another name elsewhere; or it cannot be opened.
    """
    try:
        descriptor = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        os.fchmod(descriptor, mode)  # what is made is cut by the umask
    except FileExistsError:
        descriptor = open_regular(path, os.O_RDWR)
    if os.fstat(descriptor).st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.EMLINK, "it is a file that has another name elsewhere", str(path))
    return descriptor
