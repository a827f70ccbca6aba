"""Other processes of this machine, as ``/proc`` shows them: who lives, who has a file open, and who was started how."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_UNSEEN = (FileNotFoundError, ProcessLookupError, PermissionError)
"""How a process is met that has ended, or is none of ours. Nothing else says so: out of descriptors nobody is dead."""
_STARTED = 19  # of the fields behind the name


@dataclass(frozen=True)
class Process:
    """A process, with when it started (in clock ticks since the machine did): ids are used again."""

    id: int
    started: int

    def is_alive(self) -> bool:
        """Whether it still runs; also where that cannot be known."""
        return not can_be_seen() or _started(self.id) == self.started


def this_process() -> Process:
    """The process that asks."""
    return Process(os.getpid(), _started(os.getpid()) or 0)


def can_be_seen() -> bool:
    """Whether this machine shows its processes."""
    return (_PROC / "self" / "stat").exists()


def holders_of(path: Path) -> list[int]:
    """The other processes that have the file open, as far as this user may know."""
    try:
        wanted = path.stat()
    except FileNotFoundError:
        return []
    return [process for process in _processes() if _has_open(process, (wanted.st_dev, wanted.st_ino))]


def gits_at_work_in(*folders: Path) -> list[int]:
    """The git processes that work in one of the folders, and those of which this user may not know where they do."""
    return [process for process in _processes() if _may_lock(process) and _works_in(process, folders)]


def processes_with(variable: str, value: str) -> list[int]:
    """The processes in whose environment a variable has this value, as far as this user may know."""
    return [process for process in _processes() if f"{variable}={value}".encode() in _environment(process)]


def end_processes(processes: list[int]) -> None:
    """Kill them."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)


def _processes() -> Iterator[int]:
    with contextlib.suppress(*_UNSEEN):
        own = os.getpid()
        yield from (int(name) for name in os.listdir(_PROC) if name.isdecimal() and int(name) != own)


def _started(process: int) -> int | None:
    """When a process started; ``None`` if it is gone, or dead and not yet waited for."""
    try:
        fields = (_PROC / str(process) / "stat").read_bytes().rpartition(b") ")[2].split()
    except _UNSEEN:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[_STARTED])


def _environment(process: int) -> list[bytes]:
    try:
        return (_PROC / str(process) / "environ").read_bytes().split(b"\0")
    except _UNSEEN:
        return []


def _may_lock(process: int) -> bool:
    """Whether it is a git, and not one that only reads objects, as refsync has one by its side."""
    try:
        words = (_PROC / str(process) / "cmdline").read_bytes().split(b"\0")
    except _UNSEEN:
        return False
    return os.path.basename(words[0]).startswith(b"git") and b"cat-file" not in words


def _works_in(process: int, folders: tuple[Path, ...]) -> bool:
    try:
        place = Path(os.readlink(_PROC / str(process) / "cwd"))
    except PermissionError:
        return True
    except _UNSEEN:
        return False
    return any(place.is_relative_to(folder.resolve()) for folder in folders)


def _has_open(process: int, file: tuple[int, int]) -> bool:
    with contextlib.suppress(*_UNSEEN):
        for name in os.listdir(_PROC / str(process) / "fd"):
            with contextlib.suppress(*_UNSEEN):
                found = os.stat(_PROC / str(process) / "fd" / name)
                if (found.st_dev, found.st_ino) == file:
                    return True
    return False
