"""Whom events are told to: a message to try it out, and what could not be delivered."""

from __future__ import annotations

import time

from refsync.application import Application
from refsync.config import Config, NotifySettings
from refsync.errors import RequestError, UndeliveredError
from refsync.events.message import Message, new_id
from refsync.review.markdown_text import code
from refsync.targets import sender_of
from refsync.use_cases.answer import Answer


class Tried(Answer):
    """A message that a target has taken."""

    target: str
    message_id: str


class Moved(Answer):
    """How many dead messages to a target were taken up again, or forgotten."""

    target: str
    messages: int


def try_target(config: Config, name: str) -> Tried:
    """Send a message of no event to a target.

    Raises:
        RequestError: the config has no such target.
        CredentialError: its secret cannot be had.
        UndeliveredError: it has not taken the message.
    """
    target = _target(config, name)
    send, _ = sender_of(target)
    text = f"refsync reaches {code(name)}: this is a test, and nothing happened"
    message = Message(new_id(), time.time(), "test", {}, text)
    try:
        send(message)
    except UndeliveredError as failure:
        raise UndeliveredError(f"notify {name}: {failure}") from None
    return Tried(target=name, message_id=message.id)


def retry_dead(application: Application, name: str) -> Moved:
    """Have the daemon send to a target again what it had given up, ahead of what waits.

    Raises:
        RequestError: the config has no such target.
    """
    _target(application.config, name)
    with application.store.writing() as queue:
        revived = queue.outbox.revive(name)
    application.state.wake()
    return Moved(target=name, messages=revived)


def discard_dead(application: Application, name: str) -> Moved:
    """Forget what could not be delivered to a target.

    Raises:
        RequestError: the config has no such target.
    """
    _target(application.config, name)
    with application.store.writing() as queue:
        return Moved(target=name, messages=queue.outbox.discard(name))


def _target(config: Config, name: str) -> NotifySettings:
    for each in config.notify:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in config.notify)
    raise RequestError(f"no [[notify]] has the name {name!r}; {f'there are: {known}' if known else 'there is none'}")
