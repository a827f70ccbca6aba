"""A daemon that takes its next durable step only when it is told to, in a process that can be killed."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

from loguru import logger
from sqlalchemy import Engine, event

from refsync.application import Application, open_application
from refsync.clone import remotes
from refsync.config import parse_config
from refsync.errors import RefsyncError, RemoteUnavailableError, StoreBusyError
from refsync.leasing import SharedQueue
from refsync.pending_queue import membership
from refsync.pending_queue.store import database
from refsync.publishing import upstream
from tests.support.dying import all_steps

_FORK = multiprocessing.get_context("fork")
_JULIAN_EPOCH, _DAY = 2440587.5, 86400.0
TraceFunction = Callable[[FrameType, str, Any], Any]
READY, DONE, HEARD = "ready", "done", "heard"


@dataclass(frozen=True)
class Surroundings:
    """What is true around a daemon now: both clocks, in Unix seconds, and what does not answer it."""

    now: float
    database_now: float
    database_away: bool = False
    answer_lost: bool = False
    """Whether its next push arrives, and nobody can tell it so."""


class Puppet:
    """The process, as its master sees it; ``at`` is the step that it stands before or behind, in a pass."""

    def __init__(self, config_file: Path, seed: int, around: Surroundings) -> None:
        all_steps()  # imported once, and not by each process anew
        mine, theirs = _FORK.Pipe()
        self._pipe = mine
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process = _FORK.Process(target=_live, args=(config_file, seed, theirs, around), daemon=True)
            self._process.start()
        theirs.close()
        self.at: str | None = None
        self.has_begun = self._hear() == READY

    def go(self, around: Surroundings) -> str:
        """Begin a pass, or go on with it; the step that it has come to, or the end."""
        self._pipe.send(("go", around))
        said = self._hear()
        self.at = None if said == DONE else said
        return said

    def beat(self, around: Surroundings) -> None:
        """Be heard of by the queue, whatever else it does."""
        self._pipe.send(("beat", around))
        assert self._hear() == HEARD

    def kill(self) -> None:
        """End it at once, where it stands."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()

    def _hear(self) -> str:
        said: tuple[str, str] = self._pipe.recv()
        assert said[0] != "bug", said[1]
        return said[1]


class _Life:
    """What happens in the process."""

    def __init__(self, pipe: Connection, around: Surroundings) -> None:
        self._pipe = pipe
        self._around = around
        self._names = {code: name for name, code in all_steps().items()}
        self.member: membership.Membership | None = None

    def take_over_clocks(self) -> None:
        """Let nothing pass by itself: neither time, nor what the database tells of it, nor a heart."""
        time.time = lambda: self._around.now
        time.sleep = lambda seconds: None
        vars(upstream)["time"] = SimpleNamespace(monotonic=lambda: self._around.now)
        membership._beat = lambda *_: None
        event.listen(Engine, "connect", self._set_database_clock)
        for name in ("reading", "writing"):
            setattr(database.Database, name, self._reached(getattr(database.Database, name)))
        remotes._try_push = self._pushed(remotes._try_push)
        remotes.read_refs = self._answered(remotes.read_refs)
        vars(upstream)["read_refs"] = remotes.read_refs
        self._is_deaf = False

    def obey(self, application: Application) -> None:
        """Do as told, pass after pass."""
        self._say(READY)
        while True:
            self._await_go()
            self._is_deaf = False
            sys.settrace(self._look)
            try:
                application.run_pass()
            except RefsyncError as problem:
                logger.info("the pass failed: {}", problem)
            finally:
                sys.settrace(None)
            self._say(DONE)

    def _look(self, frame: FrameType, _what: str, _: object) -> TraceFunction | None:
        """Stand still at each end of a durable step; nothing but calls is looked at, which costs least."""
        name = self._names.get(frame.f_code)
        if name is None:
            return None
        frame.f_trace_lines = False
        self._stand(f"before {name}")
        return partial(self._look_for_its_end, name)

    def _look_for_its_end(self, name: str, _frame: FrameType, what: str, _: object) -> None:
        if what == "return":
            self._stand(f"after {name}")

    def _stand(self, where: str) -> None:
        self._say(where)
        self._await_go()

    def _await_go(self) -> None:
        while True:
            order, self._around = self._pipe.recv()
            if order == "go":
                return
            with suppress(RefsyncError):
                if self.member is not None:
                    self.member.be_heard()
            self._say(HEARD)

    def _say(self, what: str) -> None:
        self._pipe.send(("said", what))

    def _set_database_clock(self, connection: Any, _: object) -> None:
        connection.create_function("julianday", 1, lambda _: self._around.database_now / _DAY + _JULIAN_EPOCH)

    def _reached(self, transaction: Any) -> Any:
        def reach(*arguments: Any, **named: Any) -> Any:
            if self._around.database_away:
                raise StoreBusyError("the database does not answer; try again")
            return transaction(*arguments, **named)

        return reach

    def _pushed(self, push: Any) -> Any:
        def lose_answer(*arguments: Any, **named: Any) -> Any:
            failure = push(*arguments, **named)
            self._is_deaf = self._is_deaf or self._around.answer_lost
            return failure

        return lose_answer

    def _answered(self, read: Any) -> Any:
        def answer(*arguments: Any, **named: Any) -> Any:
            if self._is_deaf:  # until the pass ends
                raise RemoteUnavailableError("the remote does not answer")
            return read(*arguments, **named)

        return answer


def _live(config_file: Path, seed: int, pipe: Connection, around: Surroundings) -> None:
    logger.remove()
    logger.add(config_file.with_suffix(".log"), level="DEBUG")
    try:
        random.seed(seed)
        life = _Life(pipe, around)
        life.take_over_clocks()
        config = parse_config(config_file.read_text(), config_file, {})
        with open_application(config, wakes_daemon=False) as application, application.leasing.attend() as member:
            assert isinstance(application.leasing, SharedQueue)
            assert isinstance(member, membership.Membership)
            life.member = member
            life.obey(application)
    except RefsyncError as refusal:
        pipe.send(("said", str(refusal)))
    except BaseException:
        pipe.send(("bug", traceback.format_exc()))
    finally:
        os._exit(0)
