"""The process of the door: where it listens, what it refuses to start with, how it ends."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from refsync.http import connections
from refsync.http.sockets import listening
from tests.support.command_line import Desk
from tests.support.daemon import wait_for
from tests.support.door import client_of, open_door
from tests.support.reference import Reference


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.at(tmp_path)


def test_it_serves_a_socket_until_it_is_told_to_stop_and_takes_it_away(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "door.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))  # of a server that was killed
    with desk.running("serve", "--uds", path) as process:
        assert process.stderr
        assert f"refsync serves at {path}" in process.stderr.readline().decode()
        with client_of(path) as client:
            assert client.get("/model_references/v2/clip").content == desk.clone.read("clip.json")
        assert desk("serve", "--uds", path).refusal == (
            f"cannot listen on {path}: Address already in use; is another refsync serve running?"
        )
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"")
    assert "refsync stops serving" in err.decode()
    assert not path.exists()


def test_systemd_hands_its_socket_over_and_is_told_when_the_door_is_open(desk: Desk, tmp_path: Path) -> None:
    notify, path = tmp_path / "notify", tmp_path / "door.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, socket.socket(socket.AF_UNIX) as listener:
        told.bind(str(notify))
        told.settimeout(30)
        listener.bind(str(path))
        listener.listen()
        # As systemd starts it: the socket is descriptor 3, and the process is named.
        program = f"import os; os.dup2({listener.fileno()}, 3); os.environ['LISTEN_PID'] = str(os.getpid())"
        program += "; from refsync.cli.main import main; main()"
        words = [sys.executable, "-c", program, "--config", str(desk.config), "serve"]
        environment = os.environ | {"LISTEN_FDS": "1", "NOTIFY_SOCKET": str(notify)}
        with subprocess.Popen(words, env=environment, pass_fds=[listener.fileno()]) as process:
            try:
                assert told.recv(4096).decode().splitlines() == ["READY=1", f"STATUS={path}"]
                with client_of(path) as client:
                    assert client.get("/livez").status_code == 200
                process.send_signal(signal.SIGTERM)
                assert told.recv(4096) == b"STOPPING=1"
                assert process.wait(30) == 0
            finally:
                process.kill()
    assert path.exists()  # it is systemd's


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--bind", "0.0.0.0:0"], "keys would travel there unencrypted; bind loopback behind a TLS proxy"),
        (["--bind", "nowhere"], "must be ADDRESS:PORT"),
        (["--bind", ""], "nothing to listen on: set serve.bind or serve.socket, or give --bind or --uds"),
        (["--uds", "/nowhere/door.sock"], "cannot listen on /nowhere/door.sock: No such file or directory"),
    ],
)
def test_where_it_cannot_listen_is_told(desk: Desk, arguments: list[str], reason: str) -> None:
    assert reason in desk("serve", *arguments).refusal


def test_what_stands_in_the_place_of_its_socket_is_left_alone(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "Address already in use" in desk("serve", "--uds", tmp_path / "file").refusal
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("words", ["serve", "demo --web"])
def test_without_the_extra_the_command_that_installs_it_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    find_spec = importlib.util.find_spec

    def without(name: str, *more: Any) -> Any:
        return None if name == "uvicorn" else find_spec(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    told = (
        f"refsync {words} needs FastAPI, uvicorn and Jinja2; install them: {sys.executable} -m pip install 'fastapi>="
    )
    assert desk(*words.split()).refusal.startswith(told)


def test_who_asks_for_nothing_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    reference = Reference(tmp_path)
    with open_door(reference.application, tmp_path) as door, socket.socket(socket.AF_UNIX) as slow:
        slow.settimeout(30)
        slow.connect(str(tmp_path / "door.sock"))
        slow.sendall(b"GET /livez HTTP/1.1\r\nHost: d")
        assert slow.recv(100) == b""
        assert door.get("/livez").status_code == 200
    reference.close()


def test_what_is_no_http_is_refused_and_harms_nobody(tmp_path: Path) -> None:
    reference = Reference(tmp_path)
    with open_door(reference.application, tmp_path) as door:
        huge = b"GET / HTTP/1.1\r\nx: " + b"a" * 100_000 + b"\r\n\r\n"
        for rubbish in (b"\0\xff\r\n\r\n", huge, b"GET \xff HTTP/1.1\r\n\r\n"):
            with socket.socket(socket.AF_UNIX) as other:
                other.settimeout(30)
                other.connect(str(tmp_path / "door.sock"))
                other.sendall(rubbish)
                assert other.recv(12) == b"HTTP/1.1 400"
        wait_for("it goes on", lambda: door.get("/livez").status_code == 200)
    reference.close()


def test_an_answer_in_two_parts_is_not_kept_back_by_the_network() -> None:
    with listening("127.0.0.1:0", "") as (listener,):
        assert listener.proto == socket.IPPROTO_TCP  # by which asyncio knows where to send at once
