"""One pass in a process that kills itself at a step.

A step is ``before`` or ``after``, the number of the call, and the function: ``after:1:refsync.module:Class.method``.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import traceback
import warnings
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from refsync.application import open_application
from refsync.config import parse_config


def killed_pass(config_file: Path, step: str) -> None:
    """A pass that dies at the step, which it has to come to.

    In a fork, which has everything imported already; the other threads of a test run have no part in a pass.
    """
    with TemporaryFile("w+") as said:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            _die(config_file, step, said.fileno())
        _, status = os.waitpid(child, 0)
        said.seek(0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, said.read()


def _die(config_file: Path, step: str, errors: int) -> None:
    try:
        os.dup2(errors, 2)
        with open_application(parse_config(config_file.read_text(), config_file, {})) as application:
            die_at(step)
            application.run_pass()
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(1)


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
