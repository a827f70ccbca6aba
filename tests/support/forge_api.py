"""The HTTP side of the forge's stand-in: a server on the loopback, requests and answers."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from tests.support.forge import ForgeStandIn

ENTERPRISE = "/api/v3"  # before every path of a GitHub Enterprise server


@dataclass
class Request:
    """What was asked, and the status that it was answered with."""

    method: str
    path: str
    query: dict[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: Any = field(repr=False)
    root: str = ""
    at: float = field(default_factory=time.monotonic, repr=False)
    status: int = 0

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")


@dataclass
class Answer:
    status: int
    data: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    drip_seconds: float = 0.0


class Server:
    """Serves a stand-in on a free port, one thread for each connection; all have ended after ``stop``."""

    def __init__(self, forge: ForgeStandIn, certificate: Path | None = None) -> None:
        class Handler(_Handler):
            stand_in = forge

        self._server = _ThreadingServer(("127.0.0.1", 0), Handler, bind_and_activate=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="forge")
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self._server.server_address[1]}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _ThreadingServer(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may go while they are answered; anything else is a fault of the stand-in."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    stand_in: ForgeStandIn
    timeout = 10

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _serve(self) -> None:
        answer = self.stand_in.handle(self._request())
        if answer is None:
            with contextlib.suppress(OSError):  # the client may be gone already
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        text = answer.data if isinstance(answer.data, str) else json.dumps(answer.data)
        body = b"" if answer.status in (204, 304) else text.encode()
        self.send_response_only(answer.status)
        kind = "text/html" if isinstance(answer.data, str) else "application/json; charset=utf-8"
        headers = {
            "Date": formatdate(self.stand_in.clock(), usegmt=True),
            "Content-Type": kind,
            "X-RateLimit-Remaining": "4321",
        }
        for name, value in (headers | answer.headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if answer.drip_seconds:
            self._drip(body, answer.drip_seconds)
        else:
            self.wfile.write(body)

    def _drip(self, body: bytes, seconds: float) -> None:
        with contextlib.suppress(OSError):
            for byte in body:
                if self.stand_in.closing.wait(seconds):
                    return
                self.wfile.write(bytes([byte]))

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        prefix = ENTERPRISE if parts.path.startswith(ENTERPRISE) else ""
        path, body = unquote(parts.path.removeprefix(prefix)), json.loads(content) if content else None
        return Request(self.command, path, query, headers, body, root=self.stand_in.url + prefix)

    def log_message(self, format: str, *args: Any) -> None:
        pass
