"""The operator's own checks: commands that run on the files of a commit before it is published."""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from refsync.clone.commits import parse_message
from refsync.clone.export import export_tree, tree_of
from refsync.clone.processes import end_processes, processes_with
from refsync.clone.repository import Repository
from refsync.errors import PermanentError
from refsync.pending_queue.holds import Hold, HoldKind
from refsync.pending_queue.models import Batch, PendingChangeRecord
from refsync.plain_text import one_line
from refsync.scratch import scratch_folder

Command = tuple[str, ...]
Verdicts = dict[tuple[Command, str], str | None]
"""By command and tree: how the command failed on it, one line; ``None`` where it did not."""

_POLL_MILLISECONDS = 50
_PIPE_BYTES = 65536
"""All that a pipe holds."""
_TAIL_BYTES = 4096
_LAST_LINES = 5
_LONGEST_TAIL = 500
_FOLDERS = "check-"
_STRAY_ROUNDS = 20


@dataclass(frozen=True)
class CheckSettings:
    """What has to end well before a commit is published; ``folder`` is where trees are exported to."""

    commands: tuple[Command, ...]
    timeout_seconds: float
    folder: Path


@dataclass(frozen=True)
class Checks:
    """The checks of one clone during one pass; ``verdicts`` are those already known."""

    clone: Repository
    settings: CheckSettings
    verdicts: Verdicts
    stopping: Callable[[], bool]

    def failure(self, command: Command, commit: str) -> str | None:
        """How a command fails on the files of a commit, one line; ``None`` where it does not.

        Raises:
            PermanentError: it cannot be started.
            KeyboardInterrupt: refsync was told to stop meanwhile.
        """
        tree = tree_of(self.clone, commit)
        if (command, tree) not in self.verdicts:
            with _scratch(self.settings.folder) as (home, files):
                export_tree(self.clone, tree, files)
                self.verdicts[command, tree] = self._run(command, home, files)
        return self.verdicts[command, tree]

    def _run(self, command: Command, home: Path, files: Path) -> str | None:
        deadline = time.monotonic() + self.settings.timeout_seconds
        with _started(command, home, files) as process:
            try:
                ended, output = _follow(process, lambda: time.monotonic() >= deadline or self.stopping())
            finally:
                _end_group(process)
                _end_strays(home)
        if self.stopping():  # systemd tells the command to stop, too, which says nothing about the files
            raise KeyboardInterrupt
        if ended and process.returncode == 0:
            return None
        how = (
            _how_ended(process.returncode) if ended else f"did not end within {self.settings.timeout_seconds:g} seconds"
        )
        said = _last_lines(output)
        return f"{how}: {said}" if said else how


def red_check(
    checks: Checks,
    tip: str,
    commit: str,
    changes: Sequence[PendingChangeRecord],
    build_part: Callable[[Sequence[PendingChangeRecord]], str | None],
    tell_already_red: Callable[[str], None],
) -> Hold | None:
    """Run every command on a commit; why it must not be published, ``None`` where it may be.

    Args:
        checks: the commands, and where they run.
        tip: the commit's parent; what fails there already says nothing about the commit, and is only told.
        commit: built from all ``changes``.
        changes: in the order in which they build on each other.
        build_part: builds a commit on the tip from the first few of the changes.
        tell_already_red: told of each command that fails on the tip already.

    Raises:
        PermanentError: a command cannot be started.
        KeyboardInterrupt: refsync was told to stop meanwhile.
    """
    for command in checks.settings.commands:
        failure = checks.failure(command, commit)
        if failure is None:
            continue
        if before := checks.failure(command, tip):
            tell_already_red(f"{_named(command)} {before}")
            continue
        change = _breaking_change(checks, command, changes, build_part)
        name = f"{change.operation} {change.category} {change.model_name!r}"
        told = one_line(f"{_named(command)} {failure}; change {change.change_id} ({name}) breaks it")
        return Hold(kind=HoldKind.failed_check, reason=told, about=_shown(command), since_tip=tip)
    return None


def is_known_red(clone: Repository, settings: CheckSettings, batch: Batch, tip: str, change_ids: Sequence[int]) -> bool:
    """Whether a batch is held because a check failed on just these changes on just this tip."""
    hold = batch.hold
    if hold is None or hold.kind is not HoldKind.failed_check or hold.since_tip != tip or batch.commit is None:
        return False
    if not any(hold.about == _shown(command) for command in settings.commands):
        return False
    if not clone.has(batch.commit):  # nothing keeps git from tidying it away
        return False
    built = parse_message(clone.first_parent_history(tip, batch.commit)[-1].message)
    return built is not None and set(built.change_ids) == set(change_ids)


def _named(command: Command) -> str:
    return f"check `{_shown(command)}`"


def _shown(command: Command) -> str:
    return one_line(shlex.join(command))


def _breaking_change(
    checks: Checks,
    command: Command,
    changes: Sequence[PendingChangeRecord],
    build_part: Callable[[Sequence[PendingChangeRecord]], str | None],
) -> PendingChangeRecord:
    """The change with which a command begins to fail: without any it does not, with all it does."""

    def fails(count: int) -> bool:
        commit = build_part(changes[:count])
        return commit is not None and checks.failure(command, commit) is not None

    return changes[bisect_left(range(1, len(changes)), True, key=fails)]


@contextmanager
def _scratch(folder: Path) -> Iterator[tuple[Path, Path]]:
    """A home and a place for files, both gone afterwards."""
    with (
        scratch_folder(folder / _FOLDERS) as scratch,
        TemporaryDirectory(dir=scratch.path, ignore_cleanup_errors=True) as name,  # removes what a check made read-only
    ):
        home, files = Path(name, "home"), Path(name, "files")
        home.mkdir()
        files.mkdir()
        yield home, files


def _started(command: Command, home: Path, files: Path) -> subprocess.Popen[bytes]:
    """Start a command on the files; of our own environment it sees the way to programs only."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
    }
    try:
        return subprocess.Popen(
            command,
            cwd=files,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as problem:
        raise PermanentError(
            f"{_named(command)} cannot be started: {problem.strerror}; correct `commands` in [repository.check]"
        ) from None


def _follow(process: subprocess.Popen[bytes], given_up: Callable[[], bool]) -> tuple[bool, bytes]:
    """Wait for the process itself, whoever else holds its output: whether it ended, and the end of what it said."""
    assert process.stdout is not None
    output, tail = process.stdout.fileno(), b""
    watched = select.poll()
    watched.register(output, select.POLLIN)
    while True:
        ended = _has_ended(process)
        if watched.poll(0 if ended else _POLL_MILLISECONDS):
            said = os.read(output, _PIPE_BYTES)
            tail = (tail + said)[-_TAIL_BYTES:]
            if not said:
                watched.unregister(output)
        if ended or given_up():
            return ended, tail


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Without reaping it: as long as it is a zombie, nobody else gets the number of its group."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the process, if it still runs, with all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end_strays(home: Path) -> None:
    """Kill what left the group of its check, as by setsid: it is known by its home, which no other process has."""
    for _ in range(_STRAY_ROUNDS):  # a new one may start while the old ones are killed
        if not (strays := processes_with("HOME", str(home))):
            return
        end_processes(strays)


def _how_ended(code: int) -> str:
    return f"failed with exit code {code}" if code > 0 else f"was ended by signal {-code}"


def _last_lines(output: bytes) -> str:
    lines = [line for line in map(one_line, output.decode(errors="replace").splitlines()) if line]
    return " | ".join(lines[-_LAST_LINES:])[-_LONGEST_TAIL:]
