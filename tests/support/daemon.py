"""The real daemon: ``refsync run`` in a process of its own, its log in a file, and conditions to wait for."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from refsync.application import Application, open_application
from refsync.categories import MODEL_REFERENCE_CATEGORY
from refsync.config import load_config
from refsync.pending_queue.models import AuditOperation
from tests.support.queue import review, submit
from tests.support.repositories import Clone, Record, clean_environment
from tests.support.stores import on_chosen_store

DEADLINE_SECONDS = 30.0
IMAGE = MODEL_REFERENCE_CATEGORY.image_generation
IMAGE_FILE = "stable_diffusion.json"
CLIP_FILE = "clip.json"


def wait_for(what: str, condition: Callable[[], object], seconds: float = DEADLINE_SECONDS) -> None:
    """Return once the condition holds; fail with its name when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for: {what}"
        time.sleep(0.02)


def command_line(process: psutil.Process) -> list[str]:
    """Its arguments; none if it has ended meanwhile."""
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []


def record(name: str, **fields: object) -> Record:
    return {"name": name, "baseline": "stable diffusion 1", **fields}


def image_clone(path: Path) -> Clone:
    return Clone.create(path, {IMAGE_FILE: {"Deliberate": record("Deliberate")}, CLIP_FILE: {"ViT": {"name": "ViT"}}})


class Site:
    """A clone, a state directory and a config file under one folder; ``clone`` need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.config_file = folder / "etc" / "refsync.toml"
        self.clone = Clone(folder / "image")
        self.write_config()

    def write_config(
        self, more: str = "", *, state: Path | None = None, level: str = "DEBUG", form: str = "text"
    ) -> None:
        """Write the config file in place."""
        self.config_file.parent.mkdir(exist_ok=True)
        self.config_file.write_text(self.config_text(more, state=state, level=level, form=form))

    def config_text(
        self, more: str = "", *, state: Path | None = None, level: str = "DEBUG", form: str = "text"
    ) -> str:
        text = (
            f'state_directory = "{state or self.state}"\n'
            f'[[repository]]\nname = "image"\npath = "{self.clone.path}"\n'
            f'[repository.categories]\nimage_generation = "{IMAGE_FILE}"\nclip = "{CLIP_FILE}"\n'
            f'[log]\nlevel = "{level}"\nformat = "{form}"\n{more}'
        )
        return on_chosen_store(text, state or self.state)

    @contextmanager
    def application(self) -> Iterator[Application]:
        """What another process than the daemon works with."""
        with open_application(load_config(self.config_file, {})) as application:
            yield application

    def approve(self, *names: str, title: str = "New models", **fields: object) -> list[int]:
        """Submit and approve, as another process than the daemon would, the creation of these models."""
        with self.application() as application:
            ids = [
                submit(
                    application.queue,
                    name,
                    category=IMAGE,
                    operation=AuditOperation.CREATE,
                    payload=record(name, **fields),
                ).change_id
                for name in names
            ]
            review(application.queue, ids, title=title)
        return ids

    def has_model(self, name: str) -> bool:
        return name in self.clone.records(IMAGE_FILE)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            self.command_line(*arguments),
            env=clean_environment() | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def command_line(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "refsync.cli.main", "--config", str(self.config_file), *arguments]

    @contextmanager
    def daemon(self, **environment: str) -> Iterator[Daemon]:
        """A daemon that is ready; killed at the end if the test has not stopped it."""
        daemon = Daemon(self, environment)
        try:
            daemon.wait_until_logged("refsync serves")
            yield daemon
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n--- the end of the daemon's log:\n{daemon.log[-5000:]}") from failure
        finally:
            daemon.kill()


class Daemon:
    """A running ``refsync run``."""

    def __init__(self, site: Site, environment: Mapping[str, str] | None = None) -> None:
        self._log_file = site.folder / f"daemon-{time.monotonic_ns()}.log"
        with self._log_file.open("wb") as log:
            self.process = subprocess.Popen(
                site.command_line("run"),
                env=clean_environment() | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        return self._log_file.read_text()

    @property
    def passes(self) -> int:
        """How many passes have begun."""
        return len(re.findall(r'\bpass \d+(?:$|")', self.log, re.MULTILINE))

    @property
    def idle(self) -> bool:
        """Whether it has made a pass, and none is under way."""
        told = re.findall(r"\bpass \d+( is over)?", self.log)
        return bool(told and told[-1])

    def lines(self, text: str) -> list[str]:
        return [line for line in self.log.splitlines() if text in line]

    def wait_until_logged(self, text: str, times: int = 1) -> None:
        def logged() -> bool:
            assert self.process.poll() is None or len(self.lines(text)) >= times, f"the daemon ended without: {text}"
            return len(self.lines(text)) >= times

        wait_for(f"log: {text}", logged)

    def wait_until_idle(self, quiet_seconds: float = 0.2) -> int:
        """Wait until no pass is under way and none began for a while; returns the number of passes so far."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        seen, since = self.passes, time.monotonic()
        while not self.idle or time.monotonic() - since < quiet_seconds:
            assert time.monotonic() < deadline, "the daemon keeps waking up"
            time.sleep(0.02)
            if not self.idle or self.passes != seen:
                seen, since = self.passes, time.monotonic()
        return seen

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 5.0) -> int:
        """Tell it to end; returns the exit code."""
        self.send(number)
        return self.process.wait(seconds)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_SECONDS)
