"""A piece of work in a process that kills itself at a step.

A moment is ``before`` or ``after``, the number of the call, and the name of a durable step as the code gives it
(:mod:`refsync.durable_steps`): ``after:1:move the branch``; :func:`moments_of` lists those that some work comes to.
Finer, and without a name, is the number of a call that changes what lies on the disk, or starts a process.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from types import CodeType, FrameType
from typing import Any

import refsync
from refsync.application import open_application
from refsync.config import parse_config
from refsync.durable_steps import durable_steps

DURABLE = ("fsync", "link", "mkdir", "replace", "rename", "rmdir", "symlink", "unlink", "chmod", "fchmod")
_NOT_TO_IMPORT = "refsync.pending_queue.store.migrations."
_all_steps: dict[str, CodeType] = {}
_WHEN = {"call": "before", "return": "after"}


def killed_pass(config_file: Path, moment: str) -> None:
    """A pass that dies at the moment, which it has to come to."""
    _check(moment)
    assert ended_by(lambda: run_pass(config_file, lambda: die_at(moment))) == -signal.SIGKILL


def run_pass(config_file: Path, arm: Callable[[], None] = lambda: None) -> None:
    """A pass of this config, before which something is armed."""
    with open_application(parse_config(config_file.read_text(), config_file, {})) as application:
        arm()
        application.run_pass()


def killed(work: Callable[[], object], moment: str) -> None:
    """The work, in a process that dies at the moment, which it has to come to."""
    _check(moment)

    def dying() -> None:
        die_at(moment)
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

    def count(_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            then()

    for name, function in real.items():
        setattr(os, name, _told_first(function, count))
    if processes:
        subprocess.Popen.__init__ = _told_first(start, count)  # type: ignore[method-assign]
    yield


def _told_first(function: Callable[..., Any], tell: Callable[[Any], None]) -> Callable[..., Any]:
    """The function, which first tells its first argument."""

    def call(*arguments: Any, **named: Any) -> Any:
        tell(arguments[0])
        return function(*arguments, **named)

    return call


def die_at(moment: str) -> None:
    """Kill this process when it comes to the moment."""

    def kill(reached: str) -> None:
        if reached == moment:
            _die_now()

    _watch_steps(kill)


def moments_of(work: Callable[[], object]) -> list[str]:
    """Every moment that the work comes to, in order; a sweep kills it at each."""
    all_steps()
    with TemporaryFile("w+") as told:

        def watched() -> None:
            _watch_steps(lambda moment: os.write(told.fileno(), f"{moment}\n".encode()))
            work()

        assert ended_by(watched) == 0
        told.seek(0)
        return told.read().splitlines()


def nameless_steps_of(work: Callable[[], object]) -> set[str]:
    """What the work changes on the disk outside of any named step, by the call and the place that made it."""
    all_steps()
    with TemporaryFile("w+") as told:
        open_steps = 0

        def follow(moment: str) -> None:
            nonlocal open_steps
            open_steps += 1 if moment.startswith("before") else -1

        def tell(name: str, place: object) -> None:
            if open_steps == 0 and not (name == "mkdir" and os.path.isdir(str(place))):
                caller = next(each for each in reversed(traceback.extract_stack()) if "/refsync/" in each.filename)
                where = f"{caller.filename.split('/refsync/')[-1]}:{caller.name}"
                os.write(told.fileno(), f"{name} in {where}\n".encode())

        def watched() -> None:
            _watch_steps(follow)
            for name in DURABLE:
                setattr(os, name, _told_first(getattr(os, name), partial(tell, name)))
            work()

        assert ended_by(watched) == 0
        told.seek(0)
        return {*told.read().splitlines()}


def _check(moment: str) -> None:
    when, _, rest = moment.partition(":")
    call, _, name = rest.partition(":")
    assert when in ("before", "after"), moment
    assert call.isdigit(), moment
    assert name in all_steps(), f"no durable step is called {name!r}"


def all_steps() -> Mapping[str, CodeType]:
    """The code of every step that there is, by its name."""
    if not _all_steps:
        for module in pkgutil.walk_packages(refsync.__path__, "refsync."):
            if not module.name.startswith(_NOT_TO_IMPORT):
                importlib.import_module(module.name)
        _all_steps.update(durable_steps())
    return _all_steps


def _watch_steps(tell: Callable[[str], object]) -> None:
    """Tell every moment from now on, in every thread; the end of a step counts however it ends."""
    names = {code: name for name, code in all_steps().items()}
    calls: Counter[tuple[str, str]] = Counter()

    def look(frame: FrameType, event: str, _: object) -> None:
        name = names.get(frame.f_code)
        if name and event in _WHEN:
            calls[_WHEN[event], name] += 1
            tell(f"{_WHEN[event]}:{calls[_WHEN[event], name]}:{name}")

    threading.setprofile(look)
    sys.setprofile(look)
