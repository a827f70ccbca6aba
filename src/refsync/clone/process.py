"""Running git: a clean environment, a process group of its own, a deadline."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from threading import get_ident
from typing import NamedTuple, TypedDict, Unpack

from refsync.clone.git_errors import explain_failure
from refsync.clone.settings import Settings, git_environment
from refsync.errors import GitCommandError, GitInterruptedError, GitTimeoutError, RefsyncError

DEFAULT_TIMEOUT_SECONDS = 60.0
MOST_MEMORY_BYTES = 4 * 1024**3
"""Of address space, for each git: packs are mapped into it whole."""
ANY_CODE = range(-64, 256)
"""For ``accept``: whoever called reads the exit code, also that of a git ended by a signal."""

_ENDING_SECONDS = 5.0
_running: dict[int, subprocess.Popen[bytes]] = {}
"""By thread, the command that it waits for."""


class _Git(subprocess.Popen[bytes]):
    """A git whose end is met at once: a wait of the library's that has a deadline sleeps, and looks now and then."""

    def wait(self, timeout: float | None = None) -> int:
        if timeout is None or self.poll() is not None or not hasattr(os, "pidfd_open"):
            return super().wait(timeout)
        ends = time.monotonic() + timeout
        with contextlib.suppress(OSError):  # out of descriptors, say
            _await_end(self.pid, timeout)
        return super().wait(max(0.0, ends - time.monotonic()))


def _await_end(process: int, timeout_seconds: float) -> None:
    descriptor = os.pidfd_open(process)
    try:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        waiting.poll(timeout_seconds * 1000)
    finally:
        os.close(descriptor)


class GitResult(NamedTuple):
    """How a git command ended; ``error`` is what it said on stderr."""

    code: int
    output: bytes
    error: str


class BegunGit:
    """A git command that works, or waits to be told, while this process does something else."""

    def __init__(
        self, folder: Path, arguments: tuple[str, ...], process: subprocess.Popen[bytes], timeout: float
    ) -> None:
        """Lead this process, of these arguments; from the last word on it may take so many seconds."""
        self._folder, self._arguments = folder, arguments
        self._process, self._timeout_seconds = process, timeout

    def tell(self, words: bytes) -> None:
        """Write a few words to its standard input, which it may read now."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):  # it has ended, and says why in the end
            os.write(self._process.stdin.fileno(), words)

    def end(self, words: bytes = b"", *, accept: Collection[int] = (0,)) -> GitResult:
        """Write the last words to its standard input, and wait until it ends.

        Raises:
            RefsyncError: as :func:`run_git`.
        """
        process = self._process
        with waiting_for(process):
            try:
                output, error = process.communicate(words, timeout=self._timeout_seconds)
            except BaseException as failure:
                end_git(process)
                if isinstance(failure, subprocess.TimeoutExpired):
                    raise GitTimeoutError(
                        f"{self._folder}: git {verb_of(self._arguments)} did not end within "
                        f"{self._timeout_seconds:g} seconds"
                    ) from None
                raise
        result = GitResult(process.returncode, output, error.decode(errors="replace").strip())
        if result.code not in accept:
            raise explain(self._folder, self._arguments, result)
        return result

    def give_up(self) -> None:
        """Say no more to it, and wait until it ends; nothing where it has ended."""
        if self._process.returncode is None:
            with contextlib.suppress(RefsyncError):  # why it is given up is told otherwise
                self.end(accept=ANY_CODE)


class GitOptions(TypedDict, total=False):
    """How a git command is run.

    Attributes:
        environment: variables to set beside those of :mod:`refsync.clone.settings`.
        settings: what git is told beside the settings there, and stronger.
        timeout_seconds: for so long it is waited for in the end; then git and all its children are killed.
        keep_open: descriptors that git and its children inherit.
        umask: git's, if not this process's own.
    """

    environment: Mapping[str, str] | None
    settings: Settings
    timeout_seconds: float
    keep_open: Collection[int]
    umask: int


@contextlib.contextmanager
def begun_git(folder: Path, *arguments: str, **options: Unpack[GitOptions]) -> Iterator[BegunGit]:
    """Have one git command work in a folder; at the end of the block it has ended.

    Args:
        folder: where git starts looking for the repository.
        arguments: the command line behind ``git``.
        options: how it is run.

    Raises:
        GitCommandError: git is not installed.
    """
    process = start_git(
        folder,
        *arguments,
        environment=git_environment(os.environ, options.get("environment"), options.get("settings", ())),
        keep_open=options.get("keep_open", ()),
        umask=options.get("umask", -1),
    )
    git = BegunGit(folder, arguments, process, options.get("timeout_seconds", DEFAULT_TIMEOUT_SECONDS))
    try:
        yield git
    finally:
        git.give_up()


def run_git(
    folder: Path,
    *arguments: str,
    stdin: bytes = b"",
    accept: Collection[int] = (0,),
    **options: Unpack[GitOptions],
) -> GitResult:
    """Run one git command in a folder and wait for it.

    Args:
        folder: where git starts looking for the repository.
        arguments: the command line behind ``git``.
        stdin: bytes for its standard input.
        accept: exit codes that are answers, not failures.
        options: how it is run.

    Raises:
        GitTimeoutError: the deadline passed.
        GitInterruptedError: it was killed from outside.
        GitBusyError: another process holds a lock of git's.
        GitUnwritableError: the disk is full, or may not be written.
        CloneError: git distrusts the folder's owner.
        GitCommandError: any other exit code, or git is not installed.
    """
    with begun_git(folder, *arguments, **options) as git:
        return git.end(stdin, accept=accept)


@contextlib.contextmanager
def waiting_for(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Meanwhile :func:`end_command_of` ends this git, for the thread that waits for it."""
    _running[get_ident()] = process
    try:
        yield
    finally:
        del _running[get_ident()]


def end_command_of(thread: int) -> None:
    """Kill the git command that a thread waits for, with its children; the thread sees it fail."""
    if process := _running.get(thread):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def start_git(
    folder: Path, *arguments: str, environment: Mapping[str, str], keep_open: Collection[int] = (), umask: int = -1
) -> subprocess.Popen[bytes]:
    """Start git with its three streams as pipes, in a process group of its own.

    Raises:
        GitCommandError: git is not installed.
    """
    try:
        process = _Git(
            ["git", *arguments],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=tuple(keep_open),
            umask=umask,
        )
        _limit(process.pid)
        return process
    except FileNotFoundError as problem:
        if problem.filename != "git":
            raise
        raise GitCommandError("git is not installed, or not in PATH; install it") from None


def _limit(process: int) -> None:
    """Let git, and what it starts from now on, take so much and no more: what it reads may come from anybody."""
    if hasattr(resource, "prlimit"):
        with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
            _, most = resource.prlimit(process, resource.RLIMIT_AS)
            if most == resource.RLIM_INFINITY or most > MOST_MEMORY_BYTES:
                resource.prlimit(process, resource.RLIMIT_AS, (MOST_MEMORY_BYTES, most))


def end_git(process: subprocess.Popen[bytes]) -> None:
    """Kill git with its children: killing git alone leaves them running."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.communicate(timeout=_ENDING_SECONDS)
    except subprocess.TimeoutExpired:  # a child of a group of its own holds our pipes
        for pipe in filter(None, (process.stdin, process.stdout, process.stderr)):
            pipe.close()
        process.wait()


def verb_of(arguments: tuple[str, ...]) -> str:
    """The git command's own name, behind the options of git itself."""
    position = 0
    while position < len(arguments) and arguments[position].startswith("-"):
        position += 2 if arguments[position] == "-c" else 1
    return arguments[position] if position < len(arguments) else ""


def explain(folder: Path, arguments: tuple[str, ...], result: GitResult) -> RefsyncError:
    """The failure that a git command, which ended so, is told as."""
    if result.code < 0:
        return interrupted(folder, verb_of(arguments))
    return explain_failure(folder, verb_of(arguments), result.code, result.error)


def interrupted(folder: Path, verb: str) -> GitInterruptedError:
    """The failure of a git that somebody (the kernel, when memory is short) killed."""
    return GitInterruptedError(f"{folder}: git {verb} was killed before it was done; refsync tries again by itself")
