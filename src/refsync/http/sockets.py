"""Where the door listens: the sockets that systemd hands over, or a port and a Unix socket of its own."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator

from refsync.config import host_and_port
from refsync.errors import ConfigError

_FIRST_HANDED_OVER = 3
_SOCKET_MODE = 0o666
"""Anybody on the machine may knock; the kernel says who they are."""
_BACKLOG = 128


@contextlib.contextmanager
def listening(bind: str, path: str) -> Iterator[list[socket.socket]]:
    """The sockets to serve: those of systemd's socket unit where there are any, else those of the settings.

    Args:
        bind: address and port, or empty.
        path: of a Unix socket, or empty; one that nobody serves any more is replaced, and it is removed at the end.

    Raises:
        ConfigError: there is nothing to listen on, or it is taken.
    """
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(each) for each in _handed_over() or _opened(stack, bind, path)]
        if not sockets:
            raise ConfigError("nothing to listen on: set serve.bind or serve.socket, or give --bind or --uds")
        yield sockets


def told(listener: socket.socket) -> str:
    """Where a socket listens, as people write it."""
    if listener.family == socket.AF_UNIX:
        return str(listener.getsockname())
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _handed_over() -> list[socket.socket]:
    """As sd_listen_fds(3) has it."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    return [_taken_over(_FIRST_HANDED_OVER + place) for place in range(count)]


def _taken_over(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    listener = socket.socket(fileno=descriptor)
    listener.setblocking(False)
    return listener


def _opened(stack: contextlib.ExitStack, bind: str, path: str) -> Iterator[socket.socket]:
    if bind:
        yield _on_port(bind)
    if path:
        yield _on_path(path)
        stack.callback(_remove, path)


def _on_port(bind: str) -> socket.socket:
    host, port = host_and_port(bind)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio lets Nagle wait
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _bound(listener, (host, port), bind)


def _on_path(path: str) -> socket.socket:
    _clear_left_over(path)
    listener = _bound(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path, path)
    os.chmod(path, _SOCKET_MODE)
    return listener


def _bound(listener: socket.socket, address: tuple[str, int] | str, shown: str) -> socket.socket:
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as problem:
        listener.close()
        advice = "; is another refsync serve running?" if problem.errno == errno.EADDRINUSE else ""
        raise ConfigError(f"cannot listen on {shown}: {problem.strerror}{advice}") from None
    listener.setblocking(False)
    return listener


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _clear_left_over(path: str) -> None:
    """Remove the socket of a server that is gone; anything else that stands there stays."""
    with contextlib.suppress(OSError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            try:
                knock.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)
