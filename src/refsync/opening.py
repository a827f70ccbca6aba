"""The queue's store, opened as the config says: where it lies, and what lets in there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from refsync.config import Config, QueueSettings
from refsync.credentials import SecretSource, keep_to_ourselves, secret_source, whole_environment

if TYPE_CHECKING:
    from refsync.pending_queue.store import PendingQueueStore


def open_store(config: Config, *, url: str | None = None, upgrades: bool = False) -> PendingQueueStore:
    """Open the store that the config names, and nothing else of an application.

    Args:
        config: checked settings.
        url: of another database instead, which the same password lets in to.
        upgrades: whether an older store on a server is upgraded.

    Raises:
        StoreError: it cannot be used.
        StateDirectoryError: its file cannot be made, read or written.
        TemporaryError: it is locked, full, or away.
    """
    from refsync.pending_queue.store import PendingQueueStore

    return PendingQueueStore(
        root_path=config.state_directory if url is None else None,
        url=config.queue.url if url is None else url,
        catalogue=config.catalogue,
        password=_password_of(config.queue),
        upgrades=upgrades,
    )


def _password_of(settings: QueueSettings) -> SecretSource | None:
    """What lets in to the server that the queue lies on; ``None`` where no password of ours does."""
    if not (settings.password_file or settings.password_variable or settings.password_credential):
        return None
    keep_to_ourselves(settings.password_variable)
    return secret_source(
        "password",
        file=Path(settings.password_file) if settings.password_file else None,
        variable=settings.password_variable,
        credential=settings.password_credential,
        environ=whole_environment(),
    )
