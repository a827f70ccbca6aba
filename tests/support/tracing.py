"""What a piece of work, and every process that it starts, asks of the kernel that lasts: by ``strace``, from outside.

Each such call is stopped at its end, looked at, and let go on, or answered by killing all of them: a kill at a call
that no code of ours knows of, in git and its children, too.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

_LASTING = (
    "write,pwrite64,writev,pwritev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,symlink,symlinkat,"
    "unlink,unlinkat,mkdir,mkdirat,rmdir,chmod,fchmod,fchmodat,execve,connect,open,openat"
)
_LINE = re.compile(r"(\d+) +(.*)")
_CALL = re.compile(r"(\w+)\((.*)", re.DOTALL)
_PATH_OF_DESCRIPTOR = re.compile(r"\d+<([^>]*)>")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


_STOPPED = "--- stopped by SIGSTOP"


class Call(NamedTuple):
    """One call: its name, the process (or thread) that made it, its arguments as strace shows them, its answer."""

    name: str
    process: int
    arguments: str
    answer: str = ""

    @property
    def file(self) -> str:
        """The path of the descriptor that it is about; empty where it is about none."""
        found = _PATH_OF_DESCRIPTOR.match(self.arguments)
        return found[1] if found else ""

    @property
    def paths(self) -> list[str]:
        """The paths that it names, absolute where strace can tell from what folder they are meant."""
        folder = _PATH_OF_DESCRIPTOR.search(self.arguments) or re.search(r"AT_FDCWD<([^>]*)>", self.arguments)
        named = [each.encode().decode("unicode_escape") for each in _QUOTED.findall(self.arguments)]
        return [os.path.join(folder[1], each) if folder else each for each in named]

    @property
    def done(self) -> bool:
        return self.answer.startswith("0") or self.answer.split(" ")[0].isdecimal()

    def __str__(self) -> str:
        return f"{self.name}({self.arguments[:100]}"


def calls_of(work: Callable[[], object]) -> list[Call]:
    """Every lasting call of the work, in order of their ends."""
    with _forked(work) as child, _traced(child) as lines:
        begun: dict[int, Call] = {}
        return [call for line in lines if (call := _ended(line, begun))]


def killed_at_call(work: Callable[[], object], number: int, ground: Path, spared: Path) -> Call | None:
    """The work, killed with all its processes at the end of this one of its lasting calls.

    Args:
        work: what is done, in a fork.
        number: of the calls that count: making and writing files under ``ground``, and everything that is neither.
        ground: where files count.
        spared: the folder of somebody else's repository, such as a remote, whose processes see their client die.

    Returns:
        The call, ``None`` where the work ended before.
    """
    with _forked(work) as child, _traced(child, "-e", f"inject={_LASTING}:signal=SIGSTOP") as lines:
        begun: dict[int, Call] = {}
        left, seen = number, {child}
        for process, text in lines:
            seen.add(process)
            if text.startswith("--- SIGSTOP") and process in begun and _counts(begun[process], ground, spared):
                left -= 1
                if left == 0:
                    for each in seen:
                        _kill(each, spared)
                    return begun[process]
            elif text.startswith(_STOPPED):
                _send(process, signal.SIGCONT)
            else:
                _ended((process, text), begun)
    return None


def _counts(call: Call, ground: Path, spared: Path) -> bool:
    if call.name.startswith("open"):
        if "O_CREAT" not in call.arguments or not call.paths[0].startswith(str(ground)):
            return False
    elif (call.file and not call.file.startswith(str(ground))) or (call.name == "execve" and not call.done):
        return False
    return not _works_in(call.process, spared)


def _kill(process: int, spared: Path) -> None:
    if not _works_in(process, spared):
        _send(process, signal.SIGKILL)
    else:
        _send(process, signal.SIGCONT)


def _works_in(process: int, folder: Path) -> bool:
    try:
        return Path(os.readlink(f"/proc/{process}/cwd")).is_relative_to(folder)
    except OSError:
        return False


def _send(process: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, what)


def _ended(line: tuple[int, str], begun: dict[int, Call]) -> Call | None:
    """The call that a line ends; one that begins is kept."""
    process, text = line
    if text.startswith("<... "):
        if process in begun:
            begun[process] = begun[process]._replace(answer=text.rpartition(" = ")[2])
        return begun.get(process)
    found = _CALL.match(text)
    if found is None:
        return None
    unfinished = text.endswith("<unfinished ...>")
    begun[process] = call = Call(found[1], process, found[2], "" if unfinished else text.rpartition(" = ")[2])
    return None if unfinished else call


@contextlib.contextmanager
def _forked(work: Callable[[], object]) -> Iterator[int]:
    """A process, stopped, that does the work when it is let go on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            os.kill(os.getpid(), signal.SIGSTOP)
            work()
            code = 0
        finally:
            os._exit(code)
    os.waitpid(child, os.WUNTRACED)
    try:
        yield child
    finally:
        _send(child, signal.SIGKILL)
        os.waitpid(child, 0)


@contextlib.contextmanager
def _traced(child: int, *options: str) -> Iterator[Iterator[tuple[int, str]]]:
    """The lines of strace as it watches the process and all that it starts."""
    reading, writing = os.pipe()
    with os.fdopen(reading, errors="replace") as told:
        words = ("-f", "-qq", "-y", "-s", "300", "-e", f"trace={_LASTING}", *options, "-o", f"/dev/fd/{writing}")
        strace = subprocess.Popen(
            ["strace", *words, "-p", str(child)],
            pass_fds=[writing],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        lines = _lines(told, child)
        try:
            yield lines
        finally:
            _send(child, signal.SIGKILL)
            for process, text in lines:
                if text.startswith(_STOPPED):
                    _send(process, signal.SIGCONT)
            strace.wait()


def _lines(told: Iterator[str], child: int) -> Iterator[tuple[int, str]]:
    begins = True
    for line in told:
        found = _LINE.match(line.rstrip("\n"))
        if found is None:
            continue
        process, text = int(found[1]), found[2]
        if begins and text.startswith(_STOPPED):
            begins = False
            _send(child, signal.SIGCONT)
            continue
        yield process, text
