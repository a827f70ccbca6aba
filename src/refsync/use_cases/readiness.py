"""Whether what an installation needs to be of use is there: the store, the clones, and a daemon that makes passes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from refsync.application import Application
from refsync.errors import RefsyncError
from refsync.pending_queue.models import RepositoryNote
from refsync.use_cases.answer import Answer, Text


class Readiness(Answer):
    """Whether all is there, and a line for each thing that is not."""

    ready: bool
    problems: list[Text]


def readiness(application: Application) -> Readiness:
    """Look at the store, at each clone, and at when each repository had its last pass; changes nothing."""
    problems = list(_problems(application))
    return Readiness(ready=not problems, problems=problems)


def _problems(application: Application) -> Iterator[str]:
    repositories = application.config.repositories
    for repository in repositories:
        if not os.access(repository.path, os.R_OK | os.X_OK):
            yield f"{repository.name}: the clone {repository.path} cannot be read"
    try:
        notes = application.queue.repository_notes()
    except RefsyncError as problem:
        yield f"the queue: {problem}"
        return
    for repository in repositories:
        last = notes.get(repository.name, RepositoryNote(name=repository.name)).last_pass_at
        if last is None or time.time() - last > application.oldest_pass_seconds:
            ago = "there was no pass yet" if last is None else f"the last pass was {time.time() - last:.0f} seconds ago"
            yield f"{repository.name}: {ago}; is the daemon running?"
