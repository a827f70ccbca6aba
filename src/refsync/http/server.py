"""The process of the door."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import uvicorn
from loguru import logger

from refsync import log
from refsync.application import Application, open_application
from refsync.config import load_config
from refsync.daemon import systemd
from refsync.http.app import create_app
from refsync.http.connections import Connection
from refsync.http.identity.gate import Gate
from refsync.http.sockets import listening, told
from refsync.state_directory import made_for_the_group

MOST_CONNECTIONS = 512
GRACE_SECONDS = 5
IDLE_SECONDS = 15


def serve(config_file: Path, environ: Mapping[str, str]) -> None:
    """Be the door of an installation until SIGTERM or SIGINT.

    Args:
        config_file: the config file.
        environ: the environment, whose ``REFSYNC_`` variables win over the file.

    Raises:
        ConfigError: the config cannot be used, or where it listens is taken.
        StateDirectoryError: the state directory cannot be used.
        StoreError: the store cannot be used.
    """
    config = load_config(config_file, environ)
    log.configure(config.log.level, config.log.format)
    _lead_uvicorns_log_to_ours()
    with (
        made_for_the_group(),
        open_application(config) as application,
        listening(config.serve.bind, config.serve.socket) as sockets,
    ):
        asyncio.run(Server(application, sockets).serve(sockets))


class Server(uvicorn.Server):
    """uvicorn's, with our settings; says where it listens, to people and to systemd."""

    def __init__(self, application: Application, sockets: Sequence[socket.socket], gate: Gate | None = None) -> None:
        config = uvicorn.Config(
            create_app(application, gate),
            http=Connection,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # an address that anybody may claim is none
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        super().__init__(config)
        self._places = ", ".join(map(told, sockets))

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End gently by SIGTERM and SIGINT, and call that well; uvicorn would die of the signal once it is done."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the door."""
        await super().startup(sockets)
        logger.info("refsync serves at {}", self._places)
        systemd.ready(self._places)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close it; what is under way ends first."""
        systemd.stopping()
        logger.info("refsync stops serving")
        await super().shutdown(sockets)


class _ToOurs(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        logger.opt(exception=record.exc_info).log(record.levelname, "{}", record.getMessage())


def _lead_uvicorns_log_to_ours() -> None:
    """What it warns of; what it tells of its life, we say ourselves."""
    uvicorns = logging.getLogger("uvicorn")
    uvicorns.handlers, uvicorns.propagate = [_ToOurs()], False
    uvicorns.setLevel(logging.WARNING)
