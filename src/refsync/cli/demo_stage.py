"""Where the demo plays: a folder and an environment of its own, a real daemon, and no trace of them afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from refsync.errors import RefsyncError, RequestError, TemporaryError

_PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.01
_END_SECONDS = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NOT_OURS = ("GIT_", "REFSYNC_", "NOTIFY_SOCKET")
# A machine's own git settings may sign, run hooks, or change line ends.
_PLAIN_GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


@contextmanager
def workplace(directory: Path | None, *, keep: bool) -> Iterator[Path]:
    """A folder to play in, as the current one, where no setting of this machine reaches the play.

    Args:
        directory: the folder, empty or not there yet; ``None`` for a temporary one.
        keep: whether it stays; else it is removed, whatever happens.

    Raises:
        RequestError: the directory cannot be used.
    """
    if shutil.which("git") is None:
        raise RequestError("git is not installed, or not on PATH; install git 2.32 or newer")
    with ExitStack() as stack:
        stack.enter_context(_ended_by_signals())
        folder, made = _make(directory)
        if not keep:
            stack.callback(_remove, folder, whole=made)
        stack.enter_context(_plain_environment())
        stack.enter_context(chdir(folder))
        yield folder


@contextmanager
def running(what: str, log: Path, *words: str) -> Iterator[Callable[[], None]]:
    """Run a long command of refsync in the log's folder; gives a check that raises once it has ended.

    Args:
        what: what it is, for people.
        log: the file that it writes its log to.
        words: the command.

    Raises:
        RefsyncError: by the check, with the last line of its log.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "refsync.cli.main", *words],
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the demo, which ends it itself
        )

    def check() -> None:
        if process.poll() is not None:
            said = log.read_text(errors="replace").strip().splitlines()[-1:] or ["without a word"]
            raise RefsyncError(f"the demo's {what} ended with exit code {process.returncode}: {said[0]}")

    try:
        yield check
    finally:
        _end(process)


def wait_until(condition: Callable[[], bool], what: str, check: Callable[[], None]) -> None:
    """Wait for a condition.

    Args:
        condition: asked again and again.
        what: what is waited for.
        check: raises where waiting has become pointless.

    Raises:
        TemporaryError: it did not come true in good time.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        check()
        if time.monotonic() > deadline:
            raise TemporaryError(
                f"the demo waited {_PATIENCE_SECONDS:.0f} seconds in vain for {what}; is it a slow disk?"
            )
        time.sleep(_POLL_SECONDS)


def _make(directory: Path | None) -> tuple[Path, bool]:
    """The folder, and whether it was made for this."""
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="refsync-demo-")).resolve(), True
    folder = directory.resolve()
    try:
        folder.mkdir()
        return folder, True
    except FileExistsError:
        if folder.is_dir() and not any(folder.iterdir()):
            return folder, False
        raise RequestError(f"{directory}: is not an empty folder; name another one with --directory") from None
    except OSError as problem:
        raise RequestError(f"{directory}: cannot be created: {problem.strerror}") from None


def _remove(folder: Path, *, whole: bool) -> None:
    """Remove all that was made in the folder, and the folder itself if it was made, too."""
    if whole:
        shutil.rmtree(folder)
        return
    for entry in list(folder.iterdir()):
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _plain_environment() -> Iterator[None]:
    """Take away what a git hook, a config of refsync or of git would bring in."""
    before = dict(os.environ)
    for name in [name for name in before if name.startswith(_NOT_OURS)]:
        del os.environ[name]
    os.environ.update(_PLAIN_GIT)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Turn the first signal that asks to end into a tidy end, which later ones do not disturb."""
    asked = False

    def interrupt(_: int, __: FrameType | None) -> NoReturn:
        nonlocal asked
        asked = True
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
        if asked:  # it came while a weak reference died, where Python drops what is raised
            raise KeyboardInterrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
