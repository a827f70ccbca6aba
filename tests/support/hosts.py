"""Stand-ins of the hosts that model files lie on: real HTTP on the loopback, answers in the hosts' own shapes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Told:
    """An answer: its status, headers and content; ``seconds`` is how long it takes, ``endless`` that it never ends."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    seconds: float = 0.0
    endless: bool = False


@dataclass
class Host:
    """A host on the loopback: ``files`` are its answers by path, ``asked`` what it was asked, as verb and path."""

    url: str = ""
    files: dict[str, Told | Callable[[], Told]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def on_hugging_face(self, path: str, sha256: str, size: int, *, quoted: str = '"{}"') -> str:
        """A large file: a redirect to the store, with the hash and size of what lies there; gives its URL."""
        headers = {
            "X-Linked-Etag": quoted.format(sha256),
            "X-Linked-Size": str(size),
            "Location": f"{self.url}/store/{sha256}",
        }
        self.files[path] = Told(302, headers)
        return self.url + path

    def on_civitai(self, version: int, *files: dict[str, Any], **told: Any) -> str:
        """A version of a model; gives the URL of its file."""
        url = f"{self.url}/api/download/models/{version}"
        answer = {"id": version, "baseModel": "SDXL 1.0", "trainedWords": ["x"], "files": files, **told}
        content = json.dumps(answer).encode()
        self.files[f"/api/v1/model-versions/{version}"] = Told(content=content)
        return url

    def at(self, path: str, told: Told) -> str:
        """An answer of a plain host; gives its URL."""
        self.files[path] = told
        return self.url + path


def record_linking(url: str, sha256: str = "a" * 64, size: int = 7) -> dict[str, Any]:
    """A record with one file."""
    return {
        "config": {
            "files": [{"path": "f", "sha256sum": sha256}],
            "download": [{"file_name": "f", "file_path": "", "file_url": url}],
        },
        "size_on_disk_bytes": size,
    }


class _Handler(BaseHTTPRequestHandler):
    host: Host

    def do_GET(self) -> None:
        host, path = self.host, self.path.partition("?")[0]
        with host.lock:
            host.asked.append((self.command, self.path))
            host.agents.add(self.headers["user-agent"])
            host.at_once += 1
            host.most_at_once = max(host.most_at_once, host.at_once)
        found = host.files.get(path, Told(404))
        told = found() if callable(found) else found
        try:
            self._answer(told)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with host.lock:
                host.at_once -= 1

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, told: Told) -> None:
        time.sleep(told.seconds)
        self.send_response(told.status)
        for name, value in told.headers.items():
            self.send_header(name, value)
        if not told.endless and "Content-Length" not in told.headers:
            self.send_header("Content-Length", str(len(told.content)))
        self.end_headers()
        while told.endless and self.command == "GET":
            self.wfile.write(b"\0" * 65536)
        if self.command == "GET":
            self.wfile.write(told.content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""


@contextmanager
def serving(address: str = "127.0.0.1") -> Iterator[Host]:
    """A host; all of its threads have ended afterwards."""
    host = Host()

    class Handler(_Handler):
        pass

    Handler.host = host
    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = False
    host.url = f"http://{address}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
