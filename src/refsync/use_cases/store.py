"""The store as such: whether it is whole, upgrading it, and moving the queue from one database to another."""

from __future__ import annotations

from collections.abc import Mapping

from refsync.config import Config
from refsync.errors import RequestError, StoreError
from refsync.opening import open_store
from refsync.pending_queue.daemon_note import tell
from refsync.pending_queue.store import PendingQueueStore
from refsync.pending_queue.store.copying import examine_store, store_file
from refsync.pending_queue.store.schema import VERSION
from refsync.state_directory import prepare
from refsync.use_cases.answer import Answer, Text


class StoreCheck(Answer):
    """What a whole store holds."""

    store: Text
    version: str
    changes: int
    batches: int


class StoreUpgrade(Answer):
    """A store of the present version, and which it was of before."""

    store: Text
    before: str
    version: str


class StoreMove(Answer):
    """From where to where a queue has moved, and how many rows of each table."""

    store: Text
    moved_to: Text
    rows: Mapping[str, int]


def check_store(config: Config) -> StoreCheck:
    """Look through the whole store, and change nothing.

    Raises:
        StoreError: it is damaged, of another version, or holds what makes no sense; the text says what.
        StoreUnavailableError: its server does not answer.
    """
    if file := store_file(config.state_directory, config.queue.url):
        if not file.exists():
            raise StoreError(f"{file}: there is no store there yet; the first command that needs one makes it")
        examine_store(file)
    with open_store(config) as store:
        changes, batches = store.examine()
        return StoreCheck(store=store.name, version=VERSION, changes=changes, batches=batches)


def upgrade_store(config: Config) -> StoreUpgrade:
    """Bring a store to the present tables; one in a file is also when it is opened.

    Raises:
        StoreError: it is newer, or no store.
    """
    with open_store(config, upgrades=True) as store:
        return StoreUpgrade(store=store.name, before=store.upgraded_from or VERSION, version=VERSION)


def move_store(config: Config, url: str) -> StoreMove:
    """Copy the queue to another database, which goes on with it once the config names it.

    Args:
        config: checked settings; its password, if it names one, lets in to either.
        url: of the other database.

    Raises:
        AlreadyRunningError: a daemon serves the state directory.
        RequestError: another process works with the queue, or the other database holds one already.
        StoreError: one of them cannot be used.
    """
    state = prepare(config.state_directory)
    with state.serve(), state.pass_lock(), open_store(config) as store:
        _refuse_company(store)
        with open_store(config, url=url) as other:
            if other.name == store.name:
                raise RequestError(f"{store.name} holds the queue already; name another database")
            return StoreMove(store=store.name, moved_to=other.name, rows=store.move_to(other))


def _refuse_company(store: PendingQueueStore) -> None:
    with store.reading() as queue:
        alive = [each for each in queue.leases.daemons() if each.is_alive]
    if alive:
        raise RequestError(f"{tell(alive[0])} works with the queue; stop it first, and every other")
