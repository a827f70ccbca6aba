"""What is made under a name of its own before it is put in place, and what is left of it where its maker was killed.

A maker holds a lock on what it makes, which dies with it and with every process that inherits it. So whoever makes the
next one of a kind knows what is nobody's any more, and removes it first, whoever was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_RANDOM = re.compile(r"[0-9a-f]{16}")
_YOUNG_SECONDS = 60.0


class Scratch(NamedTuple):
    """A folder that is locked by a descriptor, for others to inherit who work in it."""

    path: Path
    descriptor: int


@contextlib.contextmanager
def scratch_file(kind: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """A new file to write to, gone when the block ends unless it was renamed meanwhile.

    Args:
        kind: its path, up to the part of its name that is chosen at random; what killed ones left of the kind goes.
        mode: its permissions; ``None``: see :func:`made_mode`.

    Raises:
        OSError: it cannot be made.
    """
    sweep(kind)
    file = _claimed_file(kind)
    try:
        with file:
            os.fchmod(file.fileno(), made_mode(kind.parent) if mode is None else mode)
            yield file
    finally:
        with contextlib.suppress(OSError):
            os.unlink(file.name)


@contextlib.contextmanager
def scratch_folder(kind: Path, mode: int = 0o700) -> Iterator[Scratch]:
    """A new folder, gone with all that is in it when the block ends.

    Args:
        kind: as above.
        mode: its permissions.

    Raises:
        OSError: it cannot be made.
    """
    sweep(kind)
    scratch = _claimed_folder(kind, mode)
    try:
        set_folder_mode(scratch.descriptor, mode)
        yield scratch
    finally:
        shutil.rmtree(scratch.path, ignore_errors=True)
        os.close(scratch.descriptor)


def sweep(kind: Path) -> None:
    """Remove what killed makers have left of a kind."""
    with contextlib.suppress(OSError):
        names = [name for name in os.listdir(kind.parent) if name.startswith(kind.name)]
        for name in names:
            if _RANDOM.fullmatch(name, len(kind.name)):
                _remove_if_dead(kind.with_name(name))


def made_mode(folder: Path, *, executable: bool = False) -> int:
    """The permissions of a new file: who may read and write its folder; no matter under which umask.

    A sticky folder is everybody's, the files in it are not.
    """
    there = folder.stat().st_mode
    mode = 0o600 | (there & (0o644 if there & stat.S_ISVTX else 0o666))
    return mode | ((mode & 0o444) >> 2 if executable else 0)


def set_folder_mode(folder: Path | int, mode: int) -> None:
    """Give a new folder its permissions, where it has not got them by the umask and from the one that it was made in.

    Who may not set the setgid bit (by ``RestrictSUIDSGID`` of systemd, say) may not even name it where it is set. Then
    the folder keeps what the umask leaves to others.
    """
    has, wanted = stat.S_IMODE(os.stat(folder).st_mode), stat.S_IMODE(mode)
    if has == wanted:
        return
    try:
        os.chmod(folder, wanted)
    except PermissionError:
        if not has & wanted & stat.S_ISGID:
            raise


def _new(kind: Path) -> Path:
    return kind.with_name(kind.name + secrets.token_hex(8))


def _claimed_file(kind: Path) -> BinaryIO:
    while True:
        file = open(_new(kind), "xb")  # noqa: SIM115  its caller closes it
        if _claim(Path(file.name), file.fileno()):
            return file
        file.close()


def _claimed_folder(kind: Path, mode: int) -> Scratch:
    while True:
        path = _new(kind)
        path.mkdir(stat.S_IMODE(mode) & 0o777)
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            if _claim(path, descriptor):
                return Scratch(path, descriptor)
            os.close(descriptor)


def _claim(path: Path, descriptor: int) -> bool:
    """Lock what was just made; ``False`` where somebody took it for dead before that."""
    with contextlib.suppress(OSError):  # a disk without locks, on which nobody takes anything for dead
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove_if_dead(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except PermissionError:  # its maker was killed before it could give it its mode
        if time.time() - path.lstat().st_ctime > _YOUNG_SECONDS:
            _remove(path)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(path)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    there = path.lstat()
    if path.parent.stat().st_mode & stat.S_ISVTX and there.st_uid != os.geteuid():
        return  # in a folder for everybody each sees to what is theirs
    if stat.S_ISDIR(there.st_mode):
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
    from loguru import logger  # slow, and hardly ever needed

    logger.info("removed {}, which a process that was killed has left behind", path)
