"""The door of a reference, in this process: the real server on a Unix socket, and clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx

from refsync.application import Application
from refsync.http.identity.gate import Gate
from refsync.http.server import Server
from refsync.http.sockets import listening
from tests.support.daemon import wait_for


@contextlib.contextmanager
def open_door(
    application: Application, folder: Path, *, port: bool = False, gate: Gate | None = None
) -> Iterator[httpx.Client]:
    """Serve an application for as long as the block runs; gives a client of its socket, or of its port."""
    path = folder / "door.sock"
    with listening("127.0.0.1:0" if port else "", str(path)) as sockets:
        server = Server(application, sockets, gate)
        address = sockets[0].getsockname()
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets)))
        thread.start()
        try:
            wait_for("the door is open", lambda: server.started or not thread.is_alive())
            with httpx.Client(base_url=f"http://127.0.0.1:{address[1]}") if port else client_of(path) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


def client_of(path: Path, **headers: str) -> httpx.Client:
    """A program that asks over a Unix socket."""
    return httpx.Client(
        transport=httpx.HTTPTransport(uds=str(path)), base_url="http://door", headers=headers, timeout=30.0
    )


def bearer(client: httpx.Client, token: str) -> httpx.Client:
    """The same door, asked by who shows a token."""
    return httpx.Client(transport=client._transport, base_url=client.base_url, headers={"apikey": token}, timeout=30.0)


@contextlib.contextmanager
def passes(application: Application) -> Iterator[None]:
    """A daemon, as far as others can tell: it makes one pass after the other."""
    stopped = threading.Event()

    def work() -> None:
        while not stopped.wait(0.02):
            application.run_pass()

    with application.state.serve():
        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()
