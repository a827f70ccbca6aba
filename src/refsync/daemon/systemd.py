"""Telling systemd how the service is: ready, reloading, stopping, getting on, and a line for ``systemctl status``.

The protocol is one datagram a message, see sd_notify(3). Without ``NOTIFY_SOCKET`` nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping

_PATIENCE_SECONDS = 0.2


def ready(status: str) -> None:
    """The service is up, or up again after a reload."""
    _notify(READY="1", STATUS=status)


def reloading() -> None:
    """The config file is being read again; :func:`ready` ends it."""
    _notify(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))


def stopping() -> None:
    """The service is about to end."""
    _notify(STOPPING="1")


def status(text: str) -> None:
    """One line for ``systemctl status``."""
    _notify(STATUS=text)


def extend_timeout(seconds: float) -> None:
    """Let whatever the unit limits (a start, the whole run) take at least so much longer from now on."""
    _notify(EXTEND_TIMEOUT_USEC=_microseconds(seconds))


class Watchdog:
    """Systemd's watchdog (``WatchdogSec=``), which kills a service that it does not hear from in time.

    Where there is none nothing is sent.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Find out from the environment whether there is one, for this very process, and how long it waits."""
        limit = environ.get("WATCHDOG_USEC", "")
        is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._limit = int(limit) / 1e6 if is_ours and limit.isdecimal() else None
        self._fed_at = float("-inf")

    @property
    def pause(self) -> float | None:
        """For how many seconds the service may sleep between two feedings; ``None``: for ever."""
        return None if self._limit is None else self._limit / 3

    def feed(self) -> None:
        """Say that the service gets on; as often as one likes."""
        if self.pause is not None and time.monotonic() - self._fed_at >= self.pause / 4:
            self._fed_at = time.monotonic()
            _notify(WATCHDOG="1")

    def allow(self, seconds: float) -> None:
        """Let it wait for so many seconds at the least from now on; for longer where the unit says so."""
        if self._limit is not None:
            _notify(WATCHDOG_USEC=_microseconds(max(seconds, self._limit)))


def _microseconds(seconds: float) -> str:
    return str(int(seconds * 1e6))


def _notify(**fields: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # One line a field: what a person typed must not begin another one.
    message = "\n".join(f"{key}={' '.join(value.split())}" for key, value in fields.items())
    with (
        contextlib.suppress(OSError),  # a service must not fail because nobody listens
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
    ):
        sender.settimeout(_PATIENCE_SECONDS)  # nor hang because nobody reads
        # An address that begins with @ is an abstract one.
        sender.connect("\0" + address[1:] if address.startswith("@") else address)
        sender.sendall(message.encode(errors="backslashreplace"))
