"""Reading git's objects through one ``git cat-file --batch``, each of the length that git says."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType

from refsync.clone.objects import GitObject
from refsync.clone.process import GitResult, end_git, explain, interrupted, start_git, waiting_for
from refsync.clone.settings import Settings, git_environment
from refsync.errors import DocumentError, GitTimeoutError
from refsync.regular_files import LARGEST_FILE_BYTES, TOO_LARGE

_COMMAND = ("cat-file", "--batch")
_CHUNK = 1 << 20
_AHEAD = 8  # names that are asked for before the first answer is taken: far less than fill a pipe
_ENDING_SECONDS = 5.0


class CatFile:
    """Reads objects of one clone; git is started at the first one, and ended by :meth:`close`."""

    def __init__(
        self,
        folder: Path,
        timeout_seconds: float,
        environment: Mapping[str, str] = MappingProxyType({}),
        settings: Callable[[], Settings] = tuple,
    ) -> None:
        """Read for the clone in this folder; git may take so long for one object, and is told these settings."""
        self._environment = environment
        self._settings = settings
        self._folder = folder
        self._timeout_seconds = timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = bytearray()

    def __enter__(self) -> CatFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End git and free the descriptors."""
        if self._process:
            end_git(self._process)
        self._process = None
        self._buffer.clear()

    def read(self, name: str) -> GitObject | None:
        """The object of an id, or of a name such as ``COMMIT^{tree}``; ``None`` if it is not there.

        Raises:
            GitInterruptedError: git died before it had given all of it.
            GitTimeoutError: it did not give it in time.
            GitCommandError: git is not installed.
        """
        try:
            return self._read(name)
        except BaseException:
            self.close()  # what it still says would be taken for the answer to another question
            raise

    def read_all(self, names: Iterable[str]) -> Generator[GitObject | None]:
        """The objects of these names one after the other: git is some ahead, so that it works while we do.

        Raises:
            GitInterruptedError: git died before it had given all of it.
            GitTimeoutError: it did not give one in time.
            GitCommandError: git is not installed.
        """
        process = self._process = self._process or self._start()
        asked = 0
        try:
            for name in names:
                with waiting_for(process):
                    self._ask(process, name)
                asked += 1
                if asked > _AHEAD:
                    asked -= 1
                    yield self._answer(process)
            for _ in range(asked):
                yield self._answer(process)
        except BaseException:
            self.close()
            raise

    def _read(self, name: str) -> GitObject | None:
        process = self._process = self._process or self._start()
        with waiting_for(process):
            self._ask(process, name)
        return self._answer(process)

    def _answer(self, process: subprocess.Popen[bytes]) -> GitObject | None:
        deadline = time.monotonic() + self._timeout_seconds
        with waiting_for(process):
            header = self._line(process, deadline).split(" ")
            if len(header) != 3 or not header[2].isdecimal():
                return None  # `NAME missing`, `NAME ambiguous`
            identity, kind, size = header[0], header[1], int(header[2])
            if size > LARGEST_FILE_BYTES:
                raise DocumentError(f"the {kind} {identity} is not read: {TOO_LARGE}")
            return GitObject(kind, identity, self._take(process, size + 1, deadline)[:-1])

    def _start(self) -> subprocess.Popen[bytes]:
        environment = git_environment(os.environ, self._environment, self._settings())
        process = start_git(self._folder, *_COMMAND, environment=environment)
        assert process.stderr
        os.set_blocking(process.stderr.fileno(), False)
        return process

    def _ask(self, process: subprocess.Popen[bytes], name: str) -> None:
        assert process.stdin
        try:
            process.stdin.write(os.fsencode(name) + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise self._dead(process) from None

    def _line(self, process: subprocess.Popen[bytes], deadline: float) -> str:
        while (end := self._buffer.find(b"\n")) < 0:
            self._receive(process, deadline)
        line = self._buffer[:end].decode(errors="surrogateescape")
        del self._buffer[: end + 1]
        return line

    def _take(self, process: subprocess.Popen[bytes], size: int, deadline: float) -> bytes:
        while len(self._buffer) < size:
            self._receive(process, deadline)
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _receive(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        assert process.stdout
        ready, _, _ = select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise GitTimeoutError(
                f"{self._folder}: git {_COMMAND[0]} did not answer within {self._timeout_seconds:g} seconds"
            )
        chunk = os.read(process.stdout.fileno(), _CHUNK)
        if not chunk:
            raise self._dead(process)
        self._buffer += chunk

    def _dead(self, process: subprocess.Popen[bytes]) -> Exception:
        """Why git ended: of itself, and then it says so, or killed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_ENDING_SECONDS)
        assert process.stderr
        said = (process.stderr.read() or b"").decode(errors="replace").strip()
        if process.returncode is None or process.returncode < 0 or not said:
            return interrupted(self._folder, _COMMAND[0])
        return explain(self._folder, _COMMAND, GitResult(process.returncode, b"", said))
