"""What is being landed, on disk before anything moves, and git's index lock, which is a hard link to it.

``.git/refsync-landing`` is locked by the living process, and by each git that it starts meanwhile: after a crash the
next pass knows its own lock again, and whether something of the dead one is still at work.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from refsync.clone.processes import Process, this_process
from refsync.clone.repository import Repository
from refsync.durable import flush_folder
from refsync.durable_steps import durable_step
from refsync.errors import CloneError, GitBusyError
from refsync.scratch import made_mode

JOURNAL = "refsync-landing"
_LOCK_PATIENCE_SECONDS = 1.0
_LOCK_POLL_SECONDS = 0.02
_MAX_BYTES = 1 << 28

Identity = tuple[int, int, int, int]
"""By which a file is known again: device, inode, size, time of its last change."""


@dataclass(frozen=True)
class PlannedFile:
    """One path of a landing.

    ``staged`` is where its new content is written, ``kept`` where the old file stays until all is over, both from
    the root of the work tree; ``found`` is what stood there when it was planned. Each is ``None`` where there is none.
    """

    path: str
    mode: str
    blob: str
    staged: str | None = None
    kept: str | None = None
    found: Identity | None = None


@dataclass(frozen=True)
class Landing:
    """What moves branch, files and index from one commit to another.

    ``index`` is the name, in ``.git``, under which the new index is made, ``index_found`` the one that it is made of;
    ``locks`` are those that git takes for the branch.
    """

    old: str
    new: str
    wanted: tuple[str, ...] = ()
    files: tuple[PlannedFile, ...] = ()
    index: str = ""
    index_found: Identity | None = None
    locks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Noted:
    """What a journal says: whose it is, and what is being landed, ``None`` where nothing moves."""

    holder: Process | None = None
    landing: Landing | None = None


@dataclass(frozen=True)
class IndexLock:
    """The proof that this process holds ``.git/index.lock``; see :func:`refsync.clone.landing.index_locked`."""

    repository: Repository
    journal: BinaryIO


def identity_of(path: Path) -> Identity | None:
    """By which a file is known again; ``None`` where there is none.

    Raises:
        OSError: the path cannot be looked at, as one that is too long.
    """
    try:
        stat = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


@contextlib.contextmanager
def new_journal(repository: Repository) -> Iterator[BinaryIO]:
    """The file that becomes ``index.lock``, locked itself until this process, and its gits, leave the block or die.

    Raises:
        GitBusyError: there is one already.
    """
    descriptor = _make_journal(repository)
    with os.fdopen(descriptor, "r+b") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        note(journal, None)
        with repository.inherited(descriptor):
            yield journal


@durable_step("make the journal")
def _make_journal(repository: Repository) -> int:
    path = repository.git_directory / JOURNAL
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, made_mode(path.parent))
    except FileExistsError:
        raise GitBusyError(f"{repository.path}: an interrupted landing has to be finished first; sync again") from None
    os.fchmod(descriptor, made_mode(path.parent))
    return descriptor


@durable_step("note in the journal")
def note(journal: BinaryIO, landing: Landing | None) -> None:
    """Write down what is being landed, before anything moves; ``None``: nothing is, or all has moved."""
    text = json.dumps({"holder": asdict(this_process()), "landing": asdict(landing) if landing else None})
    journal.seek(0)
    journal.truncate()
    journal.write(text.encode())
    journal.flush()


@durable_step("flush the journal")
def flush_note(journal: BinaryIO, repository: Repository) -> None:
    """Force what was noted to disk, and that there is a journal."""
    os.fsync(journal.fileno())
    flush_folder(repository.git_directory)


def read_note(journal: BinaryIO) -> Noted:
    """What was written down; nothing where it cannot be understood."""
    journal.seek(0)
    try:
        noted = json.loads(journal.read(_MAX_BYTES))
        return Noted(Process(**noted["holder"]), _landing(noted["landing"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return Noted()


def _landing(noted: dict[str, Any] | None) -> Landing | None:
    if noted is None:
        return None
    return Landing(
        old=_id(noted["old"]),
        new=_id(noted["new"]),
        wanted=tuple(map(_inner, noted["wanted"])),
        files=tuple(map(_file, noted["files"])),
        index=_inner(noted["index"]),
        index_found=_identity(noted["index_found"]),
        locks=tuple(map(_inner, noted["locks"])),
    )


def _file(noted: dict[str, Any]) -> PlannedFile:
    return PlannedFile(
        path=_inner(noted["path"]),
        mode=_text(noted["mode"]),
        blob=_id(noted["blob"]),
        staged=None if noted["staged"] is None else _inner(noted["staged"]),
        kept=None if noted["kept"] is None else _inner(noted["kept"]),
        found=_identity(noted["found"]),
    )


def _identity(noted: Sequence[int] | None) -> Identity | None:
    if noted is None:
        return None
    device, inode, size, changed = map(int, noted)
    return device, inode, size, changed


def _inner(noted: object) -> str:
    """A path that leads nowhere else."""
    path = _text(noted)
    parts = PurePosixPath(path).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in path or max(map(len, map(os.fsencode, parts))) > 255:
        raise ValueError("a path that leads elsewhere")
    return path


def _id(noted: object) -> str:
    """The id of a commit or a blob; it is handed to git, so that nothing else may pass for one."""
    found = _text(noted)
    if not re.fullmatch(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", found):
        raise ValueError("no id")
    return found


def _text(noted: object) -> str:
    if not isinstance(noted, str):
        raise TypeError("no text")
    return noted


@durable_step("lock the index")
def link_lock(repository: Repository) -> None:
    """Take ``index.lock`` as git does, waiting briefly for a person's git to let go of it.

    Raises:
        GitBusyError: it did not.
        CloneError: the file system has no hard links.
    """
    lock = repository.git_directory / "index.lock"
    deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
    while True:
        try:
            os.link(repository.git_directory / JOURNAL, lock)
            return
        except FileExistsError:
            if time.monotonic() > deadline:
                raise GitBusyError(
                    f"{repository.path}: another git command holds {lock}; if none is running, remove that file"
                ) from None
            time.sleep(_LOCK_POLL_SECONDS)
        except OSError as problem:
            if problem.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            raise CloneError(
                f"{repository.git_directory}: the file system has no hard links, which landing needs; "
                "keep the clone on another one"
            ) from None


def is_ours(repository: Repository) -> bool:
    """Whether ``index.lock`` is the journal's link, and not a person's git's."""
    try:
        return os.path.samefile(repository.git_directory / "index.lock", repository.git_directory / JOURNAL)
    except FileNotFoundError:
        return False


@durable_step("take the index lock away")
def let_go(repository: Repository) -> None:
    """Take ``index.lock`` away; the journal stays."""
    if is_ours(repository):
        (repository.git_directory / "index.lock").unlink()


@durable_step("unlock the index")
def release(repository: Repository) -> None:
    """Let go; the journal last, so that a crash in between still knows the lock as ours."""
    let_go(repository)
    (repository.git_directory / JOURNAL).unlink(missing_ok=True)


def new_name() -> str:
    """A name for a file of ours that nobody can have foreseen."""
    return f".refsync-{secrets.token_hex(8)}"
