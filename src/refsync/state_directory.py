"""The state directory: its folders and their permissions, its locks, and the file that wakes the daemon.

::

    queue.db            the queue store
    pass.lock           held during a pass
    daemon.lock         held by the daemon as long as it lives; names it
    wake/wake           touched to wake the daemon; a folder of its own, so that the store's traffic does not
    <repository>/meta/  metadata, see refsync.metadata.manager

It belongs to one group: setgid folders that others cannot enter, so that an operator in the group uses the
command line as themselves.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from refsync.disk_room import Shortage, ShortageKind, shortage
from refsync.durable import make_folder
from refsync.errors import AlreadyRunningError, StateDirectoryError
from refsync.file_locks import LockFile, is_at, lock_within, open_shared
from refsync.plain_text import shortened
from refsync.regular_files import open_regular

FOLDER_MODE = 0o2770
# `status` asks by taking the lock for a moment; a daemon that starts just then must not give up.
_PATIENCE_SECONDS = 1.0
_PASS_POLL_SECONDS = 0.5
_LONGEST_SIGNATURE = 4096
_MOST_PROCESSES = 1 << 31
_YEAR_10000 = 253_402_214_400
_READ_ONLY = "the state directory lies on a disk that is mounted to be read only; mount it for writing"
_INSIDE = "INSIDE_REFSYNC_PASS"
"""The variable by which what a pass starts knows it: state directory and process."""


@dataclass(frozen=True)
class DaemonIdentity:
    """The daemon that serves a state directory; ``since`` in Unix seconds."""

    pid: int
    user: str
    since: float

    @property
    def is_stopped(self) -> bool:
        """Whether its process is stopped (by SIGSTOP, or Ctrl-Z) and does nothing, as far as this machine shows."""
        try:
            fields = Path("/proc", str(self.pid), "stat").read_bytes().rpartition(b") ")[2].split()
        except OSError:
            return False
        return fields[0] in (b"T", b"t")


@dataclass(frozen=True)
class FileLease:
    """The pass lock, held by this process for one pass; a lease as :mod:`refsync.pending_queue.lease` wants it.

    The lock dies with its process and cannot be lost before. Who has it knows that every other attempt of this state
    directory is over. A queue that several state directories share needs a lease of another kind.
    """

    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def is_over(self, token: str) -> bool:
        """Whether it is another attempt's."""
        return token != self.token

    def check(self, queue: object) -> None:
        """It holds."""


@dataclass(frozen=True)
class StateDirectory:
    """A prepared state directory; see :func:`prepare`."""

    path: Path
    is_locked: bool = False
    """Whether this user may only read it."""

    @property
    def wake_file(self) -> Path:
        """The file whose touch wakes the daemon."""
        return self.path / "wake" / "wake"

    def repository_folder(self, name: str) -> Path:
        """Where a repository's metadata lives; created when first asked for.

        Raises:
            StateDirectoryError: it cannot be created.
        """
        return self.path / name if self.is_locked else _made_folder(self.path / name, inside=True)

    def check_writable(self) -> None:
        """See that this user may write every file of it, and lock them.

        Raises:
            StateDirectoryError: one may only be read, or the disk knows no locks.
        """
        for place in (str(self.path), *self._files()):
            if not os.access(place, os.W_OK) and os.path.lexists(place):  # else it is gone by now
                raise StateDirectoryError(f"{place}: {_may_not_write(Path(place))}")
        _check_locks(self.path)

    def _files(self) -> Iterator[str]:
        """What refsync keeps: its own files, those of each repository, and the folders that they lie in."""
        for top in _entries(self.path):
            yield top.path
            if top.name == "wake":
                yield from _all_in(top)
            elif top.is_dir():
                for meta in (each for each in _entries(top) if each.name == "meta"):
                    yield meta.path
                    yield from _all_in(meta)

    def wake(self) -> None:
        """Wake the daemon; harmless without one."""
        # A wake-up that fails is no loss: the daemon's timers find the work, too.
        with contextlib.suppress(OSError, StateDirectoryError), open_shared(self.wake_file) as handle:
            handle.write(b"\n")

    def is_inside_pass(self) -> bool:
        """Whether a pass of this directory waits for this very process: it was started by a hook or a check of it."""
        where, _, process = os.environ.get(_INSIDE, "").rpartition(":")
        return bool(where) and process != str(os.getpid()) and where == str(self.path.resolve())

    def pass_lock(self) -> LockFile:
        """The lock of one pass: blocking, ended with its process.

        Raises:
            StateDirectoryError: this user may not write what a pass writes, or whoever holds it waits for us.
        """
        self.check_writable()
        if self.is_inside_pass():
            raise StateDirectoryError(f"{self.path}: a pass waits for this command; run it when that has ended")
        return LockFile(self.path / "pass.lock")

    @contextlib.contextmanager
    def lease(self, stopping: Callable[[], bool] = lambda: False) -> Iterator[FileLease | None]:
        """Wait for the turn to run a pass and hold it; gives ``None`` if told to stop while waiting."""
        lock = self.pass_lock()
        while not stopping():
            if not lock.acquire(timeout=_PASS_POLL_SECONDS):
                continue
            os.environ[_INSIDE] = f"{self.path.resolve()}:{os.getpid()}"
            try:
                yield FileLease()
            finally:
                os.environ.pop(_INSIDE, None)  # a pass of another state directory may have ended in this process
                lock.release()
            return
        yield None

    @contextlib.contextmanager
    def serve(self) -> Iterator[Callable[[], bool]]:
        """Hold the directory as its daemon; gives what tells whether it is still there and ours.

        Raises:
            AlreadyRunningError: another daemon does; the text says who.
            StateDirectoryError: the lock cannot be written.
        """
        with open_shared(self.path / "daemon.lock") as handle:
            if not lock_within(handle, fcntl.LOCK_EX, _PATIENCE_SECONDS):
                raise AlreadyRunningError(
                    f"{self.path}: {_describe(self.daemon())} serves this state directory already; stop it first"
                )
            _sign(handle, self.path)
            yield lambda: is_at(self.path / "daemon.lock", handle)

    def trouble(self) -> str | None:
        """Why nothing, or hardly anything, can be written on its disk; ``None`` where it can."""
        short = shortage(self.path)
        return f"{self.path}: {_told_of(short)}" if short else None

    def daemon(self) -> DaemonIdentity | None:
        """The daemon that serves this directory now, ``None`` if there is none."""
        try:
            with os.fdopen(open_regular(self.path / "daemon.lock"), "rb") as handle:
                return None if lock_within(handle, fcntl.LOCK_SH, 0.0) else _signed(handle.read(_LONGEST_SIGNATURE))
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise StateDirectoryError(f"{self.path / 'daemon.lock'}: {problem.strerror}; remove it") from None


@contextlib.contextmanager
def made_for_the_group() -> Iterator[None]:
    """Meanwhile this process's umask takes nothing from the group, of all that is made, from its first moment on.

    Else what an operator was killed over, with a strict umask, could not be opened by those who go on with it. It is
    for programs, whose process is theirs.
    """
    before = os.umask(0o077)
    os.umask(before & ~0o070)
    try:
        yield
    finally:
        os.umask(before)


def prepare(path: Path) -> StateDirectory:
    """Create what is missing of a state directory; one that this user may only read is taken as it is.

    Raises:
        StateDirectoryError: it cannot be created or read.
    """
    _made_folder(path)
    if not os.access(path, os.R_OK | os.X_OK):
        raise StateDirectoryError(f"{path}: {_may_not_write(path)}")
    if not os.access(path, os.W_OK):
        return StateDirectory(path, is_locked=True)
    _made_folder(path / "wake", inside=True)
    return StateDirectory(path)


def _told_of(short: Shortage) -> str:
    match short.kind:
        case ShortageKind.read_only:
            return _READ_ONLY
        case ShortageKind.bytes:
            return f"only {short.left >> 20} MiB are free; make room"
        case ShortageKind.files:
            return f"its disk has room for {short.left} more files (inodes); delete some"


def _may_not_write(path: Path) -> str:
    if shortage(path) == Shortage(ShortageKind.read_only):
        return _READ_ONLY
    return f"{_user()} may not write the state directory; join its group ({_group(path)}) or use sudo"


def _made_folder(path: Path, *, inside: bool = False) -> Path:
    try:
        if inside and path.is_symlink():
            raise StateDirectoryError(f"{path}: is a symbolic link, which is not followed; put a folder there")
        make_folder(path, FOLDER_MODE)
    except OSError as problem:
        raise StateDirectoryError(
            f"{path}: {problem.strerror}; create the state directory for this user or correct `state_directory`"
        ) from None
    return path


def _all_in(folder: os.PathLike[str]) -> Iterator[str]:
    """What a folder and those in it hold."""
    for entry in _entries(folder):
        yield entry.path
        if entry.is_dir():
            yield from _all_in(entry)


def _entries(folder: os.PathLike[str]) -> list[os.DirEntry[str]]:
    """What a folder holds, but for links; of one that is gone by now, or may not be read, nothing."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.is_symlink()]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _check_locks(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    except OSError as problem:
        raise StateDirectoryError(
            f"{folder}: its disk knows no file locks ({problem.strerror}); put `state_directory` on another one"
        ) from None
    finally:
        os.close(descriptor)


def _sign(handle: BinaryIO, folder: Path) -> None:
    """Write into the daemon's lock who holds it."""
    try:
        handle.truncate()
        handle.write(json.dumps({"pid": os.getpid(), "user": _user(), "since": time.time()}).encode())
    except OSError as problem:
        raise StateDirectoryError(f"{folder}: {problem.strerror}; make room in the state directory") from None


def _signed(text: bytes) -> DaemonIdentity:
    """Who holds the daemon's lock; somebody without a name where the text says nothing of the kind."""
    try:
        found = json.loads(text)
        pid, user, since = found["pid"], found["user"], found["since"]
        if type(pid) is int and 0 < pid < _MOST_PROCESSES and type(user) is str and _is_time(since):
            return DaemonIdentity(pid, shortened(user), float(since))
    except (ValueError, TypeError, KeyError, RecursionError):  # it is just writing its name
        pass
    return DaemonIdentity(0, "?", time.time())


def _is_time(since: object) -> bool:
    return type(since) in (int, float) and 0 <= since < _YEAR_10000  # type: ignore[operator]


def _describe(daemon: DaemonIdentity | None) -> str:
    return f"a refsync daemon (process {daemon.pid}, user {daemon.user})" if daemon else "another refsync daemon"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return str(os.getuid())


def _group(path: Path) -> str:
    try:
        return path.group()
    except (KeyError, OSError):
        return "unknown"
