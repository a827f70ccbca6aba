"""A PostgreSQL server for tests, in a temporary folder: reached by its socket there, and nowhere else."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

_USER = "postgres"
_PATIENCE_SECONDS = 30.0
_NO_SERVER = "no PostgreSQL server can be started: {}"


class Server:
    """One server, ended by ``close``; it forgets nothing when it is killed, but waits for no disk unless told to."""

    def __init__(self, *, on_disk: bool = False) -> None:
        self._programs = _programs()
        self._flushes = on_disk
        self.folder = Path(tempfile.mkdtemp(prefix="refsync-pg-", dir=None if on_disk else _quick_folder()))
        self._who = _unprivileged()
        if self._who:
            os.chown(self.folder, self._who.pw_uid, self._who.pw_gid)
        self._made = 0
        self._run("initdb", "-D", self.folder / "data", "-U", _USER, "-N", "--auth=trust", "--locale=C", "-E", "UTF8")
        self.start()

    @property
    def pid(self) -> int:
        """Of its first process, whose children are the others."""
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = (self.folder / "log").open("ab")
        options = [
            *([] if self._flushes else ["-F"]),
            "-k",
            self.folder,
            "-c",
            "listen_addresses=",
            "-c",
            "max_connections=200",
        ]
        command = [self._programs / "postgres", "-D", self.folder / "data", *options]
        with log:
            self._process = subprocess.Popen(
                [*_dying_with_us(), *map(str, command)], stdout=log, stderr=log, **self._as_user()
            )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT ends every connection, SIGQUIT is as a crash."""
        self._process.send_signal(how)
        self._process.wait(_PATIENCE_SECONDS)

    def restart(self, how: signal.Signals = signal.SIGQUIT) -> None:
        self.stop(how)
        self.start()

    def close(self) -> None:
        if self._process.poll() is None:
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, *, user: str = _USER) -> str:
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"

    def new_database(self, *options: str) -> str:
        """The URL of an empty one."""
        self._made += 1
        name = f"queue_{self._made}"
        self.do(f"CREATE DATABASE {name} {' '.join(options)}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is connected."""
        name = url.partition("@/")[2].partition("?")[0]
        self.do(f"DROP DATABASE {name} WITH (FORCE)")

    def do_in(self, url: str, statement: str) -> None:
        """Run a statement in the database of a URL."""
        self.do(statement, url.partition("@/")[2].partition("?")[0])

    def do(self, statement: str, database: str = _USER) -> list[tuple[Any, ...]]:
        """Run a statement, and return what it answers."""
        with self.connect(database) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def connect(self, database: str = _USER) -> psycopg.Connection[Any]:
        """A connection without transactions, to be closed."""
        return psycopg.connect(host=str(self.folder), dbname=database, user=_USER, autocommit=True)

    def _answers(self) -> bool:
        try:
            self.do("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **self._as_user())

    def _as_user(self) -> Mapping[str, Any]:
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
        who = {"user": self._who.pw_uid, "group": self._who.pw_gid, "extra_groups": []} if self._who else {}
        return {"env": environment, "cwd": self.folder, **who}


_server: Server | None = None


def server() -> Server:
    """The server of this process, started when it is asked for first; the test is skipped by name where none can be."""
    global _server
    if _server is None:
        _server = Server()
    return _server


def end_server() -> None:
    """End it, if there is one."""
    global _server
    if _server is not None:
        _server.close()
        _server = None


def children_of_ours() -> list[psutil.Process]:
    """What this process has started, and what that has: all but its server, whose workers come and go as it likes."""
    spared = _server.pid if _server is not None else None
    started = [each for each in psutil.Process().children() if each.pid != spared]
    return [*started, *(below for each in started for below in each.children(recursive=True))]


def can_start() -> bool:
    """Whether a server can be started on this machine."""
    return _obstacle() is None


def _obstacle() -> str | None:
    if _installed() is None:
        return "it is not installed (Debian: postgresql)"
    if os.getuid() == 0 and _unprivileged() is None:
        return f"root may not, and there is no user {_USER}"
    return None


def _programs() -> Path:
    if obstacle := _obstacle():
        pytest.skip(_NO_SERVER.format(obstacle))
    programs = _installed()
    assert programs is not None
    return programs


def _installed() -> Path | None:
    """The folder of its programs: the newest one's, where several are installed as Debian does."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


def _unprivileged() -> pwd.struct_passwd | None:
    """Who runs it in root's place: PostgreSQL refuses root."""
    try:
        return pwd.getpwnam(_USER) if os.getuid() == 0 else None
    except KeyError:
        return None


def _quick_folder() -> str | None:
    """A socket's path has to be short, and root's temporary folders are closed to others."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _dying_with_us() -> list[str]:
    return ["setpriv", "--pdeathsig", "QUIT"] if shutil.which("setpriv") else []
