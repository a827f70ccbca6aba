"""A message to a target, made of a delivery, and what may become of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from refsync.errors import StoreError
from refsync.events.news import News, ToldChange
from refsync.events.wording import text_of
from refsync.pending_queue.diffs import field_changes
from refsync.pending_queue.models import AuditOperation
from refsync.pending_queue.store import PendingQueueStore
from refsync.pending_queue.store.outbox import Delivery
from refsync.pending_queue.store.rows import understood


@dataclass(frozen=True)
class Message:
    """What is sent; ``id`` is the same at each try, ``at`` when it happened, in Unix seconds.

    ``data`` is what happened, for programs, ``text`` the same for people, in Markdown.
    """

    id: str
    at: float
    kind: str
    data: Mapping[str, Any]
    text: str


def new_id() -> str:
    """An id that no other message has."""
    return f"msg_{uuid.uuid4().hex}"


Send = Callable[[Message], None]
"""Sends a message; raises UndeliveredError, or CredentialError where its secret cannot be had."""

LinkOf = Callable[[str, str], str | None]
"""Where a commit of a repository, by name and id, can be looked at, if it can."""


@dataclass(frozen=True)
class Target:
    """Where news is sent to, and how; an attempt takes ``longest_seconds`` at the most."""

    name: str
    send: Send
    longest_seconds: float
    dead_after_seconds: float


def message_of(delivery: Delivery, store: PendingQueueStore, link_of: LinkOf) -> Message:
    """The message, with what changes of the queue do to fields.

    Raises:
        StoreError: the row is none that this refsync can read.
    """
    news = understood(News, delivery.news, f"delivery {delivery.delivery_id} of the outbox")
    if news.link is None and news.commit and news.repository:
        news = news.model_copy(update={"link": link_of(news.repository, news.commit)})
    news = news.model_copy(update={"changes": tuple(_with_fields(each, store) for each in news.changes)})
    return Message(delivery.message_id, delivery.at, news.event, news.model_dump(exclude={"event"}), text_of(news))


def _with_fields(told: ToldChange, store: PendingQueueStore) -> ToldChange:
    """Of a change of the queue, the fields in which an update differs from what it was made from."""
    if told.change is None or told.operation != AuditOperation.UPDATE:
        return told
    try:
        change = store.get_change(told.change)
    except StoreError:  # its category is no longer known
        return told
    if change is None or change.base is None:  # it was purged since, or nobody knows what was there
        return told
    return told.with_fields(field_changes(change.base, change.payload))
