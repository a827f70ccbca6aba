"""A way to a server that is cut at a chosen word, so that what a client asks for is done and the answer lost."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

_AS_POSTGRESQL_CALLS_IT = ".s.PGSQL.5432"


class CutOff:
    """A socket in a folder that passes everything on to the server's, until a word is said; a context manager.

    ``passes_on`` says whether the server still hears the word at which the way is cut.
    """

    def __init__(self, folder: Path, server: Path, *, passes_on: bool) -> None:
        self.folder = folder
        self.word: bytes | None = None
        """Cut at this; ``None``: never."""
        self.ends = False
        """Whether nobody is let in once the way was cut."""
        self._server = server / _AS_POSTGRESQL_CALLS_IT
        self._passes_on = passes_on
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(folder / _AS_POSTGRESQL_CALLS_IT))
        self._door.listen()
        self._threads = [threading.Thread(target=self._welcome)]
        self._open: list[socket.socket] = []

    def __enter__(self) -> CutOff:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._door, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._door, *self._open):
            each.close()

    def _welcome(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server))
            self._open += [client, server]
            for one, other in ((client, server), (server, client)):
                thread = threading.Thread(target=self._pass_on, args=(one, other, one is client))
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, one: socket.socket, other: socket.socket, is_asking: bool) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if is_asking and self.word is not None and self.word in data:
                    self.word = None
                    if self.ends:
                        self._door.shutdown(socket.SHUT_RDWR)
                    one.shutdown(socket.SHUT_RDWR)  # the answer goes nowhere
                    if self._passes_on:
                        other.sendall(data)
                        other.shutdown(socket.SHUT_WR)
                    else:
                        other.shutdown(socket.SHUT_RDWR)
                    return
                other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)
