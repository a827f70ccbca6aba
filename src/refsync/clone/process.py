"""Running git: a clean environment, a process group of its own, a deadline."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from threading import get_ident
from typing import NamedTuple

from refsync.clone.git_errors import explain_failure
from refsync.errors import GitCommandError, GitTimeoutError

DEFAULT_TIMEOUT_SECONDS = 60.0
ANY_CODE = range(-64, 256)
"""For ``accept``: whoever called reads the exit code, also that of a git ended by a signal."""

_ENDING_SECONDS = 5.0
_running: dict[int, subprocess.Popen[bytes]] = {}
"""By thread, the command that it waits for."""

_SETTINGS = {
    "LC_ALL": "C",  # messages that we read must not be translated
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",  # nor a window of the desktop, of git's or of ssh's
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_OPTIONAL_LOCKS": "0",  # a look must not write: it would wake the watcher, and lock a person out
    "GIT_LITERAL_PATHSPECS": "1",
}


class GitResult(NamedTuple):
    """How a git command ended; ``error`` is what it said on stderr."""

    code: int
    output: bytes
    error: str


def git_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of refsync without what could point git elsewhere (such as ``GIT_DIR`` inside a hook)."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    safe = {key: value for key, value in os.environ.items() if key.startswith(("GIT_CONFIG_", "GIT_SSH"))}
    return kept | safe | _SETTINGS | dict(extra or {})


def run_git(
    folder: Path,
    *arguments: str,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    accept: Collection[int] = (0,),
) -> GitResult:
    """Run one git command in a folder and wait for it.

    Args:
        folder: where git starts looking for the repository.
        arguments: the command line behind ``git``.
        stdin: bytes for its standard input.
        environment: variables to set beside the clean environment.
        timeout_seconds: after this long git and all its children are killed.
        accept: exit codes that are answers, not failures.

    Raises:
        GitTimeoutError: the deadline passed.
        GitBusyError: another process holds a lock of git's.
        GitUnwritableError: the disk is full, or may not be written.
        CloneError: git distrusts the folder's owner.
        GitCommandError: any other exit code.
    """
    process = _running[get_ident()] = _start(folder, arguments, environment)
    try:
        output, error = process.communicate(stdin, timeout=timeout_seconds)
    except BaseException as failure:
        _end_group(process)
        if isinstance(failure, subprocess.TimeoutExpired):
            raise GitTimeoutError(
                f"{folder}: git {_verb(arguments)} did not end within {timeout_seconds:g} seconds"
            ) from None
        raise
    finally:
        del _running[get_ident()]
    result = GitResult(process.returncode, output, error.decode(errors="replace").strip())
    if result.code not in accept:
        raise explain_failure(folder, _verb(arguments), result.code, result.error)
    return result


def end_command_of(thread: int) -> None:
    """Kill the git command that a thread waits for, with its children; the thread sees it fail."""
    if process := _running.get(thread):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _start(folder: Path, arguments: tuple[str, ...], environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            ["git", *arguments],
            cwd=folder,
            env=git_environment(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as problem:
        if problem.filename != "git":
            raise
        raise GitCommandError("git is not installed, or not in PATH; install it") from None


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill git with its children: killing git alone leaves them running."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.communicate(timeout=_ENDING_SECONDS)
    except subprocess.TimeoutExpired:  # a child of a group of its own holds our pipes
        for pipe in filter(None, (process.stdin, process.stdout, process.stderr)):
            pipe.close()
        process.wait()


def _verb(arguments: tuple[str, ...]) -> str:
    """The git command's own name, behind the options of git itself."""
    position = 0
    while position < len(arguments) and arguments[position].startswith("-"):
        position += 2 if arguments[position] == "-c" else 1
    return arguments[position] if position < len(arguments) else ""
