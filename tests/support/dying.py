"""One pass in a process that kills itself at a step: ``python -m tests.support.dying CONFIG STEP``.

A step is ``before`` or ``after``, the number of the call, and the function: ``after:1:refsync.module:Class.method``.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from refsync.application import open_application
from refsync.config import parse_config

ROOT = Path(__file__).parents[2]


def killed_pass(config_file: Path, step: str) -> None:
    """A pass that dies at the step, which it has to come to."""
    command = [sys.executable, "-m", "tests.support.dying", str(config_file), step]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


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


def main(config_file: Path, step: str) -> None:
    with open_application(parse_config(config_file.read_text(), config_file, {})) as application:
        die_at(step)
        application.run_pass()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
