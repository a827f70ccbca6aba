"""A person's desk: a clone, a config file, and the `refsync` program to call on them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from loguru import logger

from refsync.cli.main import run_command
from refsync.state_directory import StateDirectory
from tests.support.repositories import Clone, clean_environment

FILES: Mapping[str, Mapping[str, Any]] = {
    "clip.json": {"ViT-L/14": {"name": "ViT-L/14", "type": "clip"}, "old": {"name": "old"}},
    "blip.json": {"BLIP": {"name": "BLIP"}},
}
TIMEOUT_SECONDS = 60
PROGRAM = (sys.executable, "-c", "from refsync.cli.main import main; main()")
"""As the installed script starts it. Of one started by ``-m`` CPython forgets the exit code where an interruption came
just while ``exec`` ran a string, as every dataclass does, and has it die of the signal."""


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    @property
    def refusal(self) -> str:
        """The one line of a refusal that printed nothing else."""
        assert (self.code, self.out) == (1, ""), self
        (line,) = self.err.splitlines()
        assert line.startswith("refsync: "), self
        return line.removeprefix("refsync: ")

    @property
    def done(self) -> Ended:
        """The same, of a command that succeeded."""
        assert self.code == 0, self
        return self


class Desk:
    """Calls `refsync` on a clone, in this process (quickly) or in one of its own."""

    def __init__(self, clone: Clone, folder: Path) -> None:
        self.clone = clone
        self.folder = folder
        self.config = folder / "refsync.toml"
        self.state = folder / "state"

    @classmethod
    def at(cls, folder: Path, settings: str = "", files: Mapping[str, Mapping[str, Any]] = FILES) -> Desk:
        desk = cls(Clone.create(folder / "clone", files), folder)
        desk.configure(settings)
        return desk

    def configure(self, settings: str = "") -> None:
        repository = f'[[repository]]\nname = "image"\npath = "{self.clone.path}"\n'
        self.config.write_text(f'state_directory = "{self.state}"\n{repository}{settings}')

    def __call__(self, *arguments: str | int | Path, stdin: bytes = b"", **environment: str) -> Ended:
        """Run one command line as the program does, in this process."""
        return self.bare("--config", self.config, *arguments, stdin=stdin, **environment)

    def bare(self, *arguments: str | int | Path, stdin: bytes = b"", **environment: str) -> Ended:
        """The same without naming a config."""
        logger.disable("refsync")  # a process of its own would start with a silent log
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
        words = [*map(str, arguments)]
        try:
            with (
                mock.patch.dict(os.environ, clean_environment() | environment, clear=True),
                mock.patch("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin))),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                code = run_command(words)
                out.flush()
                err.flush()
        finally:
            logger.enable("refsync")
        return Ended(code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode())

    def add(self, operation: str, model: str, record: Any = None, *more: str | int, category: str = "clip") -> int:
        """Submit a change, and give its id."""
        payload = () if record is None else ("--payload", "-")
        words = ("queue", "add", operation, *payload, *more, "--", category, model)
        return int(self(*words, stdin=json.dumps(record).encode()).done.out)

    def land(self, *changes: int, title: str = "Batch") -> str:
        """Approve changes and run a pass; gives the new tip."""
        assert self("queue", "approve", *changes, "--title", title).done
        assert self("sync").done
        return self.clone.tip

    @contextlib.contextmanager
    def running(self, *arguments: str | int | Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
        """The real program with pipes on all its streams; ended at the latest with the block."""
        streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        words = [*PROGRAM, "--config", str(self.config), *map(str, arguments)]
        environment = clean_environment() | options.pop("environment", {})
        environment.pop("COLUMNS", None)  # a terminal's own width counts
        with subprocess.Popen(words, env=environment, cwd=self.folder, **(streams | options)) as process:
            try:
                yield process
            finally:
                process.kill()

    def real(self, *arguments: str | int | Path, **options: Any) -> Ended:
        """Run the real program to its end."""
        with self.running(*arguments, **options) as process:
            out, err = process.communicate(timeout=TIMEOUT_SECONDS)
        return Ended(process.returncode, (out or b"").decode(), (err or b"").decode())

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """A pass of somebody else."""
        with StateDirectory(self.state).pass_lock():
            yield

    @contextlib.contextmanager
    def served(self) -> Iterator[None]:
        """A daemon that serves the store, as far as others can tell."""
        with StateDirectory(self.state).serve():
            yield

    @property
    def everything(self) -> tuple[str, str, str]:
        """What a refused command must leave as it is."""
        return (self("queue", "export").done.out, self.clone.tip, self.clone.status)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, within a deadline."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.1)
