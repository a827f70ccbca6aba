"""A receiver of webhooks on the loopback, which answers as it is told and keeps what it took."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass(frozen=True)
class Received:
    """A request, its header names in lower case."""

    path: str
    headers: dict[str, str]
    content: bytes
    status: int

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.content)
        return body

    @property
    def kind(self) -> str:
        return str(self.body["type"])

    @property
    def text(self) -> str:
        return str(self.body["data"]["text"])

    def is_signed_with(self, key: bytes) -> bool:
        """Whether the signature is that of the standard's text, written down anew: HMAC of "id.timestamp.body"."""
        signed = b".".join([self.id.encode(), self.headers["webhook-timestamp"].encode(), self.content])
        wanted = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        return f"v1,{wanted}" in self.headers["webhook-signature"].split(" ")


@dataclass
class Receiver:
    """``answers`` are given one after the other, then 204; one of ``None`` is never given."""

    url: str = ""
    answers: list[int | tuple[int, dict[str, str]] | None] = field(default_factory=list)
    asked: list[Received] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def taken(self) -> list[Received]:
        """What it has answered with success."""
        return [each for each in self.asked if 200 <= each.status < 300]

    def kinds(self) -> list[str]:
        return [each.kind for each in self.taken]

    def first(self, kind: str) -> Received:
        return next(each for each in self.taken if each.kind == kind)


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        receiver = self.receiver
        content = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with receiver.lock:
            answer = receiver.answers.pop(0) if receiver.answers else 204
            status, more = answer if isinstance(answer, tuple) else (answer, {})
            receiver.asked.append(Received(self.path, headers, content, status or 0))
        if status is None:
            receiver.let_go.wait(60)
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver; all of its threads have ended afterwards."""
    receiver = Receiver()

    class Handler(_Handler):
        pass

    Handler.receiver = receiver
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()


def target_of(url: str, name: str = "ops", more: str = "") -> str:
    """A ``[[notify]]`` with the secret beside the config file."""
    return f'[[notify]]\nname = "{name}"\nurl = "{url}"\nsecret_file = "{name}.key"\n{more}\n'
