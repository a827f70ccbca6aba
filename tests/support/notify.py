"""A reference with targets of events, and their messages sent by hand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refsync.application import Application
from refsync.events.sending import send_next
from refsync.targets import keep_outbox_to_targets, links_of, targets_of
from tests.support.receiver import SECRET, target_of
from tests.support.reference import Reference

OPS = "http://127.0.0.1:9/hook"
"""Where nobody listens."""


def keep_to_targets(application: Application) -> None:
    """As the daemon does when it begins, and when the config was changed."""
    keep_outbox_to_targets(application.config, application.store)


@contextmanager
def told_reference(folder: Path, url: str = OPS, more: str = "", *, repository: str = "") -> Iterator[Reference]:
    """A reference whose news go to the target ``ops``; ``more`` is what its table says besides."""
    (folder / "ops.key").write_text(SECRET)
    reference = Reference(folder, more=target_of(url, more=more), repository=repository)
    keep_to_targets(reference.application)
    yield reference
    reference.close()


def send_waiting(application: Application) -> list[tuple[str, str]]:
    """Send what is due to each target, until it is not any more; what became of each try."""
    became: list[tuple[str, str]] = []
    for target in targets_of(application.config):
        while (
            send_next(target, application.store, links_of(application.config), lambda *each: became.append(each)) == 0
        ):
            pass
    return became


def waiting(application: Application, target: str = "ops") -> list[dict[str, Any]]:
    """The news that waits for a target, oldest first, as it is stored."""
    taken: list[dict[str, Any]] = []
    with application.store.writing() as queue:
        while True:
            delivery = queue.outbox.claim(target, due_until=time.time(), claimed_until=0.0)
            if delivery is None:
                return taken
            taken.append(dict(delivery.news))
            queue.outbox.delivered(delivery)


def let_be_due(application: Application, target: str = "ops") -> None:
    """As if the time had come to try again."""
    with application.store.writing() as queue:
        queue.outbox._set_target(target, due_at=0.0)
