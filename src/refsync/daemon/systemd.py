"""Telling systemd how the service is: ready, reloading, stopping, and a line for ``systemctl status``.

The protocol is one datagram a message, see sd_notify(3). Without ``NOTIFY_SOCKET`` nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time

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
