"""A backup of what git cannot give back, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from refsync.application import Application
from refsync.backup.archive import Manifest
from refsync.backup.making import make_backup
from refsync.backup.restoring import restore_backup
from refsync.config import Config
from refsync.errors import RequestError
from refsync.pending_queue.store.copying import store_file
from refsync.state_directory import prepare
from refsync.use_cases.answer import Answer


class Backup(Answer):
    """A backup; ``changes`` and ``batches`` are ``None`` where the queue lies on a server and is not in it."""

    file: str
    made_at: float
    store_version: str | None
    changes: int | None
    batches: int | None
    repositories: list[str]


def backup(application: Application, config_file: Path, file: Path, *, force: bool = False) -> Backup:
    """Write queue and metadata, as they are at one moment, to one file; the daemon may work meanwhile.

    Args:
        application: the parts.
        config_file: the config, of which a copy goes into it.
        file: where to.
        force: whether a backup that stands there is replaced.

    Raises:
        RequestError: something stands there, or there is no such folder.
        StoreError: the store is damaged.
        StateDirectoryError: something of it cannot be read.
    """
    config = application.config
    store = store_file(config.state_directory, config.queue.url)
    names = [each.name for each in config.repositories]
    with _explained(file):
        manifest = make_backup(application.state, store, names, config_file, file.absolute(), force=force)
    return _answer(file.absolute(), manifest)


def restore(config: Config, file: Path, *, force: bool = False) -> Backup:
    """Replace queue and metadata by those of a backup.

    Args:
        config: checked settings.
        file: the backup.
        force: whether a queue that holds something is replaced.

    Raises:
        AlreadyRunningError: a daemon serves the state directory.
        RequestError: the file is no whole backup, does not fit, or a queue would be replaced.
        StoreError: the backup is of a newer store.
    """
    state = prepare(config.state_directory)
    store = store_file(config.state_directory, config.queue.url)
    with _explained(file):
        manifest = restore_backup(state, store, file.absolute(), force=force)
    return _answer(file.absolute(), manifest)


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise RequestError(
            f"{problem.filename or file}: {problem.strerror or problem}; mend that and try again"
        ) from None


def _answer(file: Path, manifest: Manifest) -> Backup:
    return Backup(file=str(file), **manifest.model_dump(include=set(Backup.model_fields) - {"file"}))
