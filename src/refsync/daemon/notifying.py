"""Sending news beside the passes: one thread for each target, so that one that hangs holds up nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from loguru import logger

from refsync.errors import RefsyncError, told
from refsync.events.message import LinkOf, Target
from refsync.events.sending import LONGEST_DELAY_SECONDS, Notified, send_next
from refsync.pending_queue.store import PendingQueueStore

_AFTER_TROUBLE_SECONDS = 30.0
_PATIENCE_SECONDS = 1.0
"""How long a message in hand is waited for when the threads are told to end; the next start sends it again."""


class Notifying:
    """The threads; none without a target."""

    def __init__(
        self, targets: Iterable[Target], store: PendingQueueStore, link_of: LinkOf, notified: Notified
    ) -> None:
        """Begin."""
        self._senders = [_Sender(each, store, link_of, notified) for each in targets]
        for sender in self._senders:
            sender.start()

    def wake(self) -> None:
        """There may be something new in the outbox."""
        for sender in self._senders:
            sender.woken.set()

    def stop(self) -> None:
        """Tell the threads to end, and wait a little for what they have in hand."""
        for sender in self._senders:
            sender.stopping = True
            sender.woken.set()
        until = time.monotonic() + _PATIENCE_SECONDS
        for sender in self._senders:
            sender.join(max(0.0, until - time.monotonic()))


class _Sender(threading.Thread):
    """One target's thread."""

    def __init__(self, target: Target, store: PendingQueueStore, link_of: LinkOf, notified: Notified) -> None:
        super().__init__(name=f"notify {target.name}", daemon=True)
        self._target = target
        self._store = store
        self._link_of = link_of
        self._notified = notified
        self._is_troubled = False
        self.woken = threading.Event()
        self.stopping = False

    def run(self) -> None:
        """Send whatever is due, then sleep until something is, or may be."""
        while not self.stopping:
            self.woken.clear()
            pause = self._send_next()
            if pause != 0.0 and not self.stopping:
                self.woken.wait(LONGEST_DELAY_SECONDS if pause is None else pause)

    def _send_next(self) -> float | None:
        try:
            pause = send_next(self._target, self._store, self._link_of, self._notified)
            self._is_troubled = False
            return pause
        except (RefsyncError, OSError) as problem:  # of the store; the passes tell it, too
            if not self._is_troubled:
                logger.warning("notify {}: {}; it is tried again", self._target.name, told(problem))
        except Exception:
            logger.exception("notify {}: a bug in refsync", self._target.name)
        self._is_troubled = True
        return _AFTER_TROUBLE_SECONDS
