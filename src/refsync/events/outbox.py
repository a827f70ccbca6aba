"""Into the outbox: what a transaction did, for every target that wants to be told of it, in that transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from refsync.events.message import new_id
from refsync.events.news import RepositoryOf, Subscription, news_of
from refsync.pending_queue.lifecycle import ACCEPTED_STATUSES

if TYPE_CHECKING:
    from refsync.pending_queue.store.transaction import QueueTransaction


def outbox_for(
    subscriptions: Mapping[str, Subscription], repository_of: RepositoryOf
) -> Callable[[QueueTransaction], None]:
    """What keeps news of a transaction for targets, given by their names."""

    def keep(queue: QueueTransaction) -> None:
        news = news_of(queue.events, repository_of, lambda number: queue.told_of_batch(number, ACCEPTED_STATUSES))
        now = time.time()
        queue.outbox.put(
            [
                {
                    "target": target,
                    "message_id": new_id(),
                    "news": wanted.model_dump(exclude_defaults=True),
                    "at": now,
                }
                for each in news
                for target, subscription in subscriptions.items()
                if (wanted := subscription.narrowed(each))
            ]
        )

    return keep
