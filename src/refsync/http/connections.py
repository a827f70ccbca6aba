"""One connection: who is at its other end, and how long they may take to ask."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""How long a request's head may take to arrive."""
PEER = "peer"
"""Where a request's state names its :class:`Peer`."""
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7)


@dataclass(frozen=True)
class Peer:
    """Who is connected: an address, or on a Unix socket the user id that the kernel vouches for."""

    address: str
    uid: int | None = None


class Connection(H11Protocol):
    """uvicorn's, that knows its peer and does not wait for ever."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note who it is."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, PEER: _peer_of(transport)}

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        super().data_received(data)
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy or self.transport.is_closing():
            self._stop_waiting()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        self._stop_waiting()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def _peer_of(transport: asyncio.Transport) -> Peer:
    endpoint: Any = transport.get_extra_info("socket")
    if endpoint is not None and endpoint.family == socket.AF_UNIX:
        _, uid, _ = _CREDENTIALS.unpack(endpoint.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        return Peer(f"uid {uid}", uid)
    name = transport.get_extra_info("peername")
    return Peer(str(name[0]) if name else "unknown")
