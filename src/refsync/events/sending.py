"""Sending what the outbox holds for a target: one message at a time, in order, at least once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from loguru import logger

from refsync.errors import RefsyncError, UndeliveredError, told
from refsync.events.message import LinkOf, Target, message_of
from refsync.pending_queue.store import PendingQueueStore
from refsync.pending_queue.store.outbox import Delivery

FIRST_DELAY_SECONDS = 2.0
LONGEST_DELAY_SECONDS = 3600.0
_MARGIN_SECONDS = 5.0
_DOUBLINGS = 16
_SOON_SECONDS = 1.0

Notified = Callable[[str, str], None]
"""Is told of a target and what became of a message: ``delivered``, ``failed`` or ``dead``."""


def send_next(target: Target, store: PendingQueueStore, link_of: LinkOf, notified: Notified) -> float | None:
    """Send the oldest message that waits for a target, if the target is due.

    Two senders of one queue do not send to a target at the same time: who sends has claimed it, for as long as an
    attempt may take. One that dies meanwhile leaves its message to the next, so that a target may get it twice.

    Returns:
        In how many seconds to ask again; ``None`` where nothing waits.

    Raises:
        RefsyncError: the store cannot be used.
    """
    now = time.time()
    with store.reading() as queue:
        due_at = queue.outbox.due_at(target.name)
    if due_at is None:
        return None
    farthest = now + LONGEST_DELAY_SECONDS + target.longest_seconds + _MARGIN_SECONDS
    if now < due_at <= farthest:  # what is farther was set by a clock that was ahead
        return due_at - now
    with store.writing() as queue:
        claimed_until = now + target.longest_seconds + _MARGIN_SECONDS
        delivery = queue.outbox.claim(target.name, due_until=due_at, claimed_until=claimed_until)
    if delivery is None:
        return _SOON_SECONDS
    return _send(delivery, target, store, link_of, notified)


def _send(
    delivery: Delivery, target: Target, store: PendingQueueStore, link_of: LinkOf, notified: Notified
) -> float | None:
    try:
        target.send(message_of(delivery, store, link_of))
    except RefsyncError as failure:
        return _after_failure(delivery, target, store, notified, failure)
    with store.writing() as queue:
        queue.outbox.delivered(delivery)
    notified(target.name, "delivered")
    if delivery.failures:
        logger.info("notify {}: takes messages again", target.name)
    return 0.0


def _after_failure(
    delivery: Delivery, target: Target, store: PendingQueueStore, notified: Notified, failure: RefsyncError
) -> float:
    """Leave the target alone for a while; what has waited for too long while it failed is dead."""
    now = time.time()
    delay = _delay(delivery.failures, failure)
    failing_since = now if delivery.failing_since is None else min(now, delivery.failing_since)
    died = 0
    with store.writing() as queue:
        queue.outbox.failed(delivery, told(failure), failing_since=failing_since, due_at=now + delay)
        if now - failing_since >= target.dead_after_seconds:
            died = queue.outbox.let_die(target.name, older_than=now - target.dead_after_seconds, now=now)
    notified(target.name, "failed")
    for _ in range(died):
        notified(target.name, "dead")
    if not delivery.failures:
        logger.warning("notify {}: {}; it is tried again", target.name, told(failure))
    if died:
        logger.error("notify {}: gives up on messages: {}; refsync notify retry {}", target.name, died, target.name)
    return delay


def _delay(failures: int, failure: RefsyncError) -> float:
    """Growing, but for a target that says itself when it is to be asked again."""
    if isinstance(failure, UndeliveredError) and failure.again_after is not None:
        return min(max(failure.again_after, _SOON_SECONDS), LONGEST_DELAY_SECONDS)
    longest: float = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(failures, _DOUBLINGS))
    return longest * random.uniform(0.5, 1.0)
