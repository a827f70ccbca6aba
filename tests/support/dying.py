"""A piece of work in a process that kills itself at a step.

A step is ``before`` or ``after``, the number of the call, and the function: ``after:1:refsync.module:Class.method``;
or the number of a durable step, which is any call that changes what lies on the disk, or starts a process.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import signal
import subprocess
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from refsync.application import open_application
from refsync.config import parse_config

DURABLE = ("fsync", "link", "mkdir", "replace", "rename", "rmdir", "symlink", "unlink", "chmod", "fchmod")


def killed_pass(config_file: Path, step: str) -> None:
    """A pass that dies at the step, which it has to come to."""
    assert ended_by(lambda: _run_pass(config_file, lambda: die_at(step))) == -signal.SIGKILL


def _run_pass(config_file: Path, arm: Callable[[], None]) -> None:
    with open_application(parse_config(config_file.read_text(), config_file, {})) as application:
        arm()
        application.run_pass()


def killed(work: Callable[[], object], step: str) -> None:
    """The work, in a process that dies at the step, which it has to come to."""

    def dying() -> None:
        die_at(step)
        work()

    assert ended_by(dying) == -signal.SIGKILL


def killed_at_durable_step(work: Callable[[], object], number: int) -> bool:
    """The work, in a process that dies before its durable step of this number; whether it came so far."""

    def dying() -> None:
        with _before_durable_step(number):
            work()

    code = ended_by(dying)
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def failing_at_durable_step(work: Callable[[], object], number: int, error: int) -> bool:
    """The work, in a process whose durable step of this number fails by this ``errno``; whether it came so far."""
    with TemporaryFile("w+") as came:

        def fail() -> None:
            os.write(came.fileno(), b"x")
            raise OSError(error, os.strerror(error), "the durable step")

        def failing() -> None:
            with _before_durable_step(number, fail, processes=False):
                work()

        assert ended_by(failing) == 0
        return bool(os.fstat(came.fileno()).st_size)


def ended_by(work: Callable[[], object]) -> int:
    """How a process ends that does the work: 0, or the signal by which it was killed, below 0.

    In a fork, which has everything imported already; the other threads of a test run have no part in it.
    """
    with TemporaryFile("w+") as said:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            _work_and_end(work, said.fileno())
        _, status = os.waitpid(child, 0)
        said.seek(0)
        code = os.waitstatus_to_exitcode(status)
        assert code <= 0, said.read()
        return code


def _work_and_end(work: Callable[[], object], errors: int) -> None:
    code = 1
    try:
        os.dup2(errors, 2)
        work()
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _die_now() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def _before_durable_step(number: int, then: Callable[[], None] = _die_now, *, processes: bool = True) -> Iterator[None]:
    """Do this, die by default, before this call of those that change the disk, or start a process."""
    left = number
    real = {name: getattr(os, name) for name in DURABLE}
    start = subprocess.Popen.__init__

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            then()

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            count()
            return function(*arguments, **named)

        return call

    for name, function in real.items():
        setattr(os, name, counted(function))
    if processes:
        subprocess.Popen.__init__ = counted(start)  # type: ignore[method-assign]
    yield


def die_at(step: str) -> None:
    when, count, place = step.split(":", 2)
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner: Any = functools.reduce(getattr, owners, importlib.import_module(module))
    real = getattr(owner, name)
    calls = 0

    @functools.wraps(real)
    def dying(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if when == "before" and calls == int(count):
            os.kill(os.getpid(), signal.SIGKILL)
        answer = real(*arguments, **named)
        if when == "after" and calls == int(count):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(owner, name, dying)
