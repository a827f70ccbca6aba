"""Whom the config has told of events: what each target wants to hear, and how it is reached."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from refsync.categories import CategoryName
from refsync.config import Config, NotifySettings
from refsync.credentials import SecretSource, keep_to_ourselves, secret_source, whole_environment
from refsync.events.kinds import EventKind

if TYPE_CHECKING:
    from refsync.events.message import LinkOf, Send, Target
    from refsync.events.news import Subscription
    from refsync.pending_queue.store import PendingQueueStore
    from refsync.pending_queue.store.transaction import QueueTransaction


def outbox_of(config: Config) -> Callable[[QueueTransaction], None] | None:
    """What keeps news for the config's targets; ``None`` where it has none."""
    if not config.notify:
        return None
    from refsync.events.outbox import outbox_for

    subscriptions = {each.name: _subscription(config, each) for each in config.notify}
    return outbox_for(subscriptions, lambda category: _holder(config, category))


def targets_of(config: Config) -> Iterator[Target]:
    """The config's targets."""
    from refsync.events.message import Target

    for each in config.notify:
        send, longest_seconds = sender_of(each)
        dead_after = each.dead_after_hours * 3600
        yield Target(each.name, send, longest_seconds, dead_after)


def sender_of(settings: NotifySettings) -> tuple[Send, float]:
    """What sends to a target, and how many seconds that takes at the most."""
    secret = secret_of(settings)
    if settings.kind == "apprise":
        from refsync.events.chat import LONGEST_SECONDS, chat

        return chat(settings.name, secret), LONGEST_SECONDS
    from refsync.events.webhook import webhook
    from refsync.exchange import WHOLE_IN_TIMEOUTS

    send = webhook(settings.name, settings.url, secret, settings.timeout_seconds)
    return send, settings.timeout_seconds * WHOLE_IN_TIMEOUTS


def check_secret(settings: NotifySettings) -> None:
    """See that a target's secret can be had and is one; nothing is sent.

    Raises:
        CredentialError: it cannot, or is none.
        ConfigError: what the target needs is not installed.
    """
    secret = secret_of(settings)
    if settings.kind == "apprise":
        from refsync.events.chat import check_url

        check_url(settings.name, secret)
    else:
        from refsync.events.webhook import key_of

        key_of(secret(), settings.name)


def secret_of(settings: NotifySettings) -> SecretSource:
    """What the config names: the key of a webhook, the URL of what apprise knows."""
    keep_to_ourselves(settings.secret_variable)
    return secret_source(
        "secret",
        file=settings.secret_file,
        variable=settings.secret_variable,
        credential=settings.secret_credential,
        environ=whole_environment(),
    )


def links_of(config: Config) -> LinkOf:
    """Where commits can be looked at: on the forges of those repositories that have one."""
    from refsync.ways_out import commit_link

    repositories = {each.name: each for each in config.repositories}

    def link(repository: str, commit: str) -> str | None:
        settings = repositories.get(repository)
        return commit_link(settings, commit) if settings else None

    return link


def wants_foreign_commits(config: Config) -> bool:
    """Whether any target wants to be told of commits that no batch brought."""
    return any(EventKind.foreign_commit in (each.events or EventKind) for each in config.notify)


def keep_outbox_to_targets(config: Config, store: PendingQueueStore) -> None:
    """Forget what the outbox holds for targets that the config no longer has, and what is too old.

    A reader of a shared queue leaves that to who sends.

    Raises:
        RefsyncError: the store cannot be read or written.
    """
    if config.daemon.role == "reader":
        return
    names, tells_commits, now = [each.name for each in config.notify], wants_foreign_commits(config), time.time()
    with store.reading() as queue:
        if queue.outbox.is_kept_to(names, tells_commits=tells_commits, now=now):
            return
    with store.writing() as queue:
        queue.outbox.keep_to(names, tells_commits=tells_commits, now=now)


def _subscription(config: Config, settings: NotifySettings) -> Subscription:
    """What a target wants to hear; of repositories as a whole, those that it names or that hold its categories."""
    from refsync.events.news import Subscription

    holders = frozenset(filter(None, (_holder(config, each) for each in settings.categories)))
    return Subscription(
        frozenset(settings.events or EventKind),
        frozenset(settings.repositories) or holders or None,
        frozenset(map(str, settings.categories)) or None,
    )


def _holder(config: Config, category: CategoryName) -> str | None:
    holder = config.repository_of(category)
    return holder.name if holder else None
