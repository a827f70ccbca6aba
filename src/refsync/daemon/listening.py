"""Hearing of what others do to the queue: where it lies on a server, a thread waits for the server's word."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loguru import logger

from refsync.errors import RefsyncError

if TYPE_CHECKING:
    from refsync.pending_queue.store import PendingQueueStore

_RETRY_SECONDS = 5.0


@contextmanager
def listening(store: PendingQueueStore, wake: Callable[[], None]) -> Iterator[None]:
    """Meanwhile be woken, at once, by what other processes do to the queue, on whatever machine they are.

    Of a queue in a file the wake file tells.
    """
    if not store.tells_news:
        yield
        return
    ended, end = os.pipe()
    ear = threading.Thread(target=_listen, args=(store, wake, ended), name="queue news", daemon=True)
    ear.start()
    try:
        yield
    finally:
        os.write(end, b"\0")
        ear.join()
        os.close(ended)
        os.close(end)


def _listen(store: PendingQueueStore, wake: Callable[[], None], ended: int) -> None:
    """Until told to end; a server that is gone is asked again now and then."""
    is_told = False
    while not _is_over(ended, 0.0):
        try:
            with store.news() as news:
                if is_told:
                    logger.info("the queue's news are heard again")
                is_told = False
                wake()  # for what nobody has heard until now
                while news.wait(ended):
                    wake()
        except RefsyncError as problem:
            if not is_told:
                logger.warning("the queue's news are not heard: {}", problem)
            is_told = True
            _is_over(ended, _RETRY_SECONDS)
        except Exception:
            logger.exception("a bug in refsync while it listens to the queue")
            _is_over(ended, _RETRY_SECONDS)


def _is_over(ended: int, seconds: float) -> bool:
    return bool(select.select([ended], [], [], seconds)[0])
