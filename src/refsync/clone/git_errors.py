"""Why a git command failed, told to a person in one line: git's own reason and hint, and what to do.

Here are the faults of this clone and this machine, whoever was asked; those of a remote are in
:mod:`refsync.clone.remote_errors`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from refsync.commands import command, git_command
from refsync.errors import CloneError, GitBusyError, GitCommandError, GitUnwritableError, RefsyncError, told
from refsync.plain_text import shortened

_TOOK = re.compile(r" after \d+ (ms|milliseconds)\b")
_NO_REASON = ("warning:", "hint:", "To ", "From ", "remote:")
"""How lines of git begin that do not say why it failed."""


class _Fault(NamedTuple):
    """Words of git, and what they mean; ``{0}`` in the text is what the words' first group holds."""

    words: str
    error: type[RefsyncError]
    text: str


_FAULTS = (
    _Fault(
        r"\.lock': File exists",
        GitBusyError,
        "{reason}; another git command is at work there, or one left its lock behind",
    ),
    _Fault(
        r"dubious ownership in repository at '([^']+)'",
        CloneError,
        "git refuses {0} because it belongs to another user; run refsync as its owner, or let git trust it: {trust}",
    ),
    _Fault(
        r"No space left on device|Disk quota exceeded|File too large",
        GitUnwritableError,
        "the disk is full ({reason}); make room",
    ),
    _Fault(
        r"Read-only file system|Permission denied(?! \()|insufficient permission|Operation not permitted",
        GitUnwritableError,
        "{reason}; let the user whom refsync runs as write there",
    ),
    _Fault(
        r"'(refs/[^']+)' exists; cannot create '(refs/[^']+)'",
        GitCommandError,
        "its own ref {0} is in the way of {1}; if it is a left-over, delete it: {delete}",
    ),
    _Fault(
        r"unable to resolve reference '(refs/[^']+)': reference broken|bad object (refs/\S+)|broken ref (refs/\S+)",
        GitCommandError,
        "its own ref {0} is broken, as a power cut leaves it; see what it held by: {reflog}, and remove it: {remove}",
    ),
    _Fault(
        r"Unable to read current working directory",
        CloneError,
        "the current folder is gone; go to one that is there: cd",
    ),
)


def explain_local(path: Path, error: str) -> RefsyncError | None:
    """A fault of the clone or of this machine; ``None`` where git's words name none that is known."""
    for fault in _FAULTS:
        if found := re.search(fault.words, error):
            groups = [group for group in found.groups() if group]
            return fault.error(f"{path}: {fault.text.format(*groups, **_words(path, error, groups))}")
    return None


def unwritable(path: Path, problem: OSError) -> RefsyncError:
    """The failure to write a file of git's without git, told as git's own would be."""
    reason = told(problem)
    return explain_local(path, reason) or GitUnwritableError(f"{path}: {reason}")


def explain_failure(path: Path, verb: str, code: int, error: str) -> RefsyncError:
    """The failure of a git command that ended with this code and said this."""
    reason = reason_of(error) or f"exit code {code}"
    return explain_local(path, error) or GitCommandError(f"{path}: git {verb}: {reason}{hint_of(error)}")


def reason_of(error: str) -> str:
    """The line that says why git failed; empty where it says nothing.

    How many milliseconds a try took is left out: the same failure is the same text, and told once.
    """
    lines = [_TOOK.sub("", line) for line in error.splitlines() if line.strip()]
    reasons = [line for line in lines if not line.startswith(_NO_REASON)] or lines
    return shortened(re.sub(r"^(fatal|error): ", "", reasons[0])) if reasons else ""


def hint_of(error: str) -> str:
    """What git itself advises, in brackets."""
    hints = [line.removeprefix("hint:") for line in error.splitlines() if line.startswith("hint:")]
    return f" ({shortened(' '.join(hints))})" if hints else ""


def _words(path: Path, error: str, groups: list[str]) -> dict[str, str]:
    ref = groups[0] if groups else ""
    return {
        "reason": reason_of(error),
        "trust": command("git", "config", "--global", "--add", "safe.directory", ref),
        "delete": git_command(path, "update-ref", "-d", ref),
        "reflog": git_command(path, "reflog", "show", ref),
        "remove": _remove(path, ref),
    }


def _remove(path: Path, ref: str) -> str:
    """The command that removes a ref's file, which git itself refuses to touch."""
    if (path / ".git").is_dir():
        return command("rm", path / ".git" / ref)
    return f'rm "$({git_command(path, "rev-parse", "--path-format=absolute", "--git-path", ref)})"'
